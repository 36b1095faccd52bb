import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import fc from "fast-check"
import * as Laws from "../../src/laws/index.ts"

const sorts = (sort: (all: Array<number>) => Array<number>) =>
  Laws.make("keeps every number", fc.array(fc.integer()), (all) => {
    Laws.Claim.same(sort([...all]).length, all.length, "the number of numbers")
  })

const broken = sorts((all) => all.slice(1))

describe("a law", () => {
  it.effect("holds as a promise, as an Effect and as a property", () =>
    Effect.gen(function*() {
      const law = sorts((all) => all.toSorted((a, b) => a - b))
      yield* Effect.promise(() => law.check())
      yield* Laws.verify(law, { numRuns: 10 })
      yield* Effect.promise(async () => fc.assert(law.property))
    }))

  it("rejects with a sentence, the smallest example and how to come to it again", async () => {
    const error = await broken.check({ seed: 1 }).then(() => undefined, (error: unknown) => error)
    assert.instanceOf(error, Laws.LawError)
    const path = error.again.path
    assert.strictEqual(
      error.message,
      "the law \"keeps every number\" does not hold: the number of numbers is 0 but must be 1\n"
        + `example: [0]\nrepeat with: { seed: 1, path: "${path}" }`
    )
    const again = await Effect.runPromise(Effect.flip(Laws.verify(broken, error.again)))
    assert.strictEqual(again.example, "[0]")
  })

  it("is tried as often as asked", async () => {
    let tried = 0
    const law = Laws.make("is tried", fc.nat(), () => void tried++, { numRuns: 3 })
    await law.check()
    assert.strictEqual(tried, 3)
    await law.check({ numRuns: 5 })
    assert.strictEqual(tried, 8)
  })

  it("says so when no example is of its kind", async () => {
    const law = Laws.make("is about nothing", fc.nat(), () => fc.pre(false))
    const error = await Effect.runPromise(Effect.flip(Laws.verify(law)))
    assert.include(error.message, "the law skipped all examples")
  })

  it("takes what is thrown for its complaint", async () => {
    const law = Laws.make("is quiet", fc.nat(), async () => {
      throw new RangeError("too loud")
    })
    const error = await Effect.runPromise(Effect.flip(Laws.verify(law, { seed: 1 })))
    assert.include(error.message, "the law \"is quiet\" does not hold: too loud\nexample: 0")
    assert.instanceOf(error.cause, RangeError)
  })
})

describe("a claim", () => {
  it("says what is not so", () => {
    assert.throws(() => Laws.Claim.close([1, NaN], [1, 2], 1, "the means"), "number 1 of the means is NaN")
    assert.throws(
      () => Laws.Claim.close([1, NaN], [1, NaN], 1, "the means"),
      "number 1 of the means is NaN, and the number to compare it with is NaN"
    )
    assert.throws(() => Laws.Claim.close([1], [1, 2], 1, "the means"), "the length of the means is 1 but must be 2")
    assert.throws(() => Laws.Claim.holds(false, () => "it is dark"), "it is dark")
    Laws.Claim.close([1, 2], [1, 2.5], (expected) => expected / 4, "the means")
    Laws.Claim.same({ a: Float32Array.of(1) }, { a: Float32Array.of(1) }, "a record")
  })
})
