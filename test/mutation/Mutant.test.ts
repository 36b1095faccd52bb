import { assert, describe, it } from "@effect/vitest"
import * as Classic from "./Classic.ts"
import * as Mutant from "./Mutant.ts"
import * as Source from "./Source.ts"

const source = `
import { scale, Schema } from "x"
const limit: 3 = 3
export const mean = (values: ReadonlyArray<number>, at = \`row \${1 + 1}\`): number => {
  if (values.length < 1) throw new RangeError("mean: expected values, got " + 0)
  const total = values.reduce((a, b) => a + b, 0)
  return scale(total, 1 / values.length)
}
const Count = Schema.Number.check(Schema.isGreaterThan(0))
`

const all = Mutant.of("x.ts", source)

describe("mutants", () => {
  it("change numbers, operators and calls", () => {
    const changes = all.map(({ after, before }) => `${before} → ${after}`)
    assert.deepStrictEqual(changes.toSorted(), [
      "+ → -",
      "/ → *",
      "0 → 1",
      "1 → 0",
      "1 → 2",
      "3 → 0",
      "3 → 2",
      "3 → 4",
      "3 → 6",
      "scale(total, 1 / values.length) → (total)"
    ])
  })

  it("leave texts, types, schemas and refusals alone", () => {
    for (const line of [4, 5, 9]) assert.isFalse(all.some((mutant) => mutant.line === line))
  })

  it("change the text at their place", () => {
    const mutant = all.find(({ before }) => before === "/")
    assert.include(Mutant.apply(mutant!, source), "scale(total, 1 * values.length)")
  })

  it("are drawn by the seed, one of each place", () => {
    const drawn = Mutant.draw(all, 5, 1)
    assert.deepStrictEqual(Mutant.draw(all, 5, 1), drawn)
    assert.notDeepEqual(Mutant.draw(all, 5, 2), drawn)
    assert.strictEqual(new Set(drawn.map(({ start }) => start)).size, 5)
    assert.strictEqual(Mutant.draw(all, 100, 1).length, new Set(all.map(({ end, start }) => `${start} ${end}`)).size)
  })

  it("know their function, as the instrumented source tells it", () => {
    const reached = new Set<string>()
    Object.assign(globalThis, { __reached: reached })
    const text = Source.instrument(
      "globalThis.twice = (x) => [x].map((one) => 2 * one)[0]; const far = () => { return 1 }",
      "y.ts"
    )
    new Function(text)()
    assert.deepStrictEqual([...reached], ["y.ts#-1"])
    assert.strictEqual(Reflect.get(globalThis, "twice")(4), 8)
    assert.deepStrictEqual([...reached], ["y.ts#-1", "y.ts#0", "y.ts#1"])
    const mutant = Mutant.of("y.ts", "const far = (x) => [x].map((one) => one - 1)").find(({ before }) =>
      before === "-"
    )
    assert.strictEqual(mutant!.inside, 1)
    Reflect.deleteProperty(globalThis, "twice")
    Reflect.deleteProperty(globalThis, "__reached")
  })

  it("include the listed faults, whose places are there", () => {
    assert.isAbove(Classic.mutants().length, 30)
  })
})
