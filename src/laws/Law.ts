/**
 * A law: a sentence about a part, and a property that searches for a counterexample.
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
 *   /the law "keeps every number" does not hold: the number of numbers is 0 but must be 1/
 * )
 * ```
 */
import { Effect, Schema } from "effect"
import type { Arbitrary, IRawProperty, Parameters as CheckParameters } from "fast-check"
import { TaggedError } from "../domain/values/TaggedError.ts"
import { fc } from "./FastCheck.ts"

/** Parameters of a check: `numRuns`, `seed`, `path`, `verbose` and the other parameters of fast-check. */
export type Parameters = CheckParameters<unknown>

/** A law of one part. */
export interface Law {
  /** The claim, as the rest of a sentence whose subject is the part: "gives equal keys equal masks". */
  readonly name: string
  /** The property, for `fc.assert` and `fc.check`. */
  readonly property: IRawProperty<unknown, true>
  /** The default number of examples. It is smaller for slow parts. */
  readonly numRuns: number
  /** Checks the property. Rejects with a {@link LawError} if an example violates it. Works in vitest, node:test and Jest. */
  readonly check: (parameters?: Parameters) => Promise<void>
}

/** The error of a law that does not hold. The message explains the violation and shows the smallest example that was found. */
export class LawError extends TaggedError<LawError>()("LawError", {
  /** The name of the law. */
  law: Schema.String,
  /** The explanation of the violation. */
  complaint: Schema.String,
  /** The example, as JavaScript code. */
  example: Schema.String,
  /** Parameters of fast-check that repeat the example. */
  again: Schema.Struct({ seed: Schema.Number, path: Schema.String }),
  cause: Schema.Defect()
}) {
  get finding() {
    return `the law "${this.law}" does not hold: ${this.complaint}\nexample: ${this.example}`
  }
  get remedy() {
    const { path, seed } = this.again
    return `repeat with: { seed: ${seed}, path: "${path}" }`
  }
}

/** Checks a law, as an Effect. */
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
            ? `the law skipped all examples, ${numSkips} of them`
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

/** Options of a law. */
export interface Options {
  readonly numRuns?: number
}

/**
 * Makes a law that `body` checks for every value of an arbitrary. If the law is violated, `body` throws, preferably with a
 * `Claim`.
 */
export const make = <A>(
  name: string,
  arbitrary: Arbitrary<A>,
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
