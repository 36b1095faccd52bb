/**
 * A law: a sentence about a thing, and a property that finds an example against it.
 *
 * ```ts
 * import assert from "node:assert"
 * import fc from "fast-check"
 * import * as Laws from "patchword/laws"
 *
 * const sorts = (sort: (all: Array<number>) => Array<number>): Laws.Law =>
 *   Laws.make("keeps every number", fc.array(fc.integer()), (all) => {
 *     Laws.Claim.same(sort([...all]).length, all.length, "the number of numbers")
 *   })
 * await sorts((all) => all.sort()).check()
 * await assert.rejects(
 *   sorts((all) => all.slice(1)).check({ seed: 1 }),
 *   /it does not hold that it keeps every number: the number of numbers is 0 but must be 1/
 * )
 * ```
 */
import { Effect, Schema } from "effect"
import fc from "fast-check"

/** How a law is checked: `numRuns`, `seed`, `path`, `verbose` and the rest of fast-check's parameters. */
export type Parameters = fc.Parameters<unknown>

/** A law of one thing. */
export interface Law {
  /** What is claimed, as the rest of a sentence that begins with the thing: "gives equal keys equal masks". */
  readonly name: string
  /** The property, for `fc.assert` and `fc.check`. */
  readonly property: fc.IRawProperty<unknown, true>
  /** How often the property is tried where nothing else is asked. Laws of slow things are tried less often. */
  readonly numRuns: number
  /** Tries the property; rejects with a {@link LawError} when an example breaks it. For vitest, node:test, Jest. */
  readonly check: (parameters?: Parameters) => Promise<void>
}

/** A law does not hold. The message says what is wrong, with the smallest example that was found. */
export class LawError extends Schema.TaggedError<LawError>()("LawError", {
  /** The name of the law. */
  law: Schema.String,
  /** What is wrong with the example. */
  complaint: Schema.String,
  /** The example, as JavaScript. */
  example: Schema.String,
  /** fast-check's parameters that come to the same example at once. */
  again: Schema.Struct({ seed: Schema.Number, path: Schema.String }),
  cause: Schema.Defect()
}) {
  override get message() {
    const { again, complaint, example, law } = this
    const { path, seed } = again
    return `it does not hold that it ${law}: ${complaint}\nexample: ${example}\n`
      + `again: { seed: ${seed}, path: "${path}" }`
  }
}

/** Tries a law, as an Effect. */
export const verify = (law: Law, parameters: Parameters = {}): Effect.Effect<void, LawError> =>
  Effect.flatMap(
    Effect.promise(async () => fc.check(law.property, { numRuns: law.numRuns, ...parameters })),
    (details) => {
      if (!details.failed) return Effect.void
      const { counterexample, counterexamplePath, errorInstance, numSkips, seed } = details
      return Effect.fail(
        new LawError({
          law: law.name,
          complaint: counterexample === null
            ? `${numSkips} examples were not of the kind that the law is about`
            : errorInstance instanceof Error
            ? errorInstance.message
            : fc.stringify(errorInstance),
          example: (counterexample === null ? [] : [counterexample]).flat().map((value) => fc.stringify(value)).join(),
          again: { seed, path: counterexamplePath ?? "" },
          cause: errorInstance
        })
      )
    }
  )

/** How a law is made. */
export interface Options {
  readonly numRuns?: number
}

/** A law that `body` claims of every value of an arbitrary: it throws, best by a `Claim`, where the law is broken. */
export const make = <A>(
  name: string,
  arbitrary: fc.Arbitrary<A>,
  body: (given: A) => void | Promise<void>,
  options: Options = {}
): Law => {
  const law: Law = {
    name,
    numRuns: options.numRuns ?? 100,
    property: fc.asyncProperty(arbitrary, async (given) => {
      await body(given)
    }),
    check: (parameters) => Effect.runPromise(verify(law, parameters))
  }
  return law
}
