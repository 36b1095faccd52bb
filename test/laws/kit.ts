import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Laws from "../../src/laws/index.ts"

export const holds = (what: string, laws: ReadonlyArray<Laws.Law>): void => {
  describe(what, () => {
    for (const law of laws) it(law.name, () => law.check())
  })
}

export interface Mutant<A> {
  readonly mutant: A
  readonly said: RegExp
}

export const refuses = <A>(
  what: string,
  laws: (of: A) => ReadonlyArray<Laws.Law>,
  original: A,
  mutants: Readonly<Record<string, Mutant<A> | ReadonlyArray<Mutant<A>>>>
): void => {
  describe(`mutants of ${what} are refused`, () => {
    it("one by each law", () => assert.sameMembers(laws(original).map(({ name }) => name), Object.keys(mutants)))

    const each = Object.entries(mutants).flatMap(([name, some]) => [some].flat().map((one) => [name, one] as const))

    it.each(each)("%s", async (name, { mutant, said }) => {
      const law = laws(mutant).find((law) => law.name === name)!
      const error = await Effect.runPromise(Effect.flip(Laws.verify(law, { seed: 1 })))
      assert.match(error.message, said)
      assert.include(error.message, `the law "${name}" does not hold: `)
    })
  })
}
