import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import * as KeyedRandom from "../../src/domain/values/KeyedRandom.ts"
import * as DropPath from "../../src/nn/blocks/DropPath.ts"

const SAMPLES = 20_000

const rates = fc.array(fc.integer({ min: 0, max: 90 }).map((percent) => percent / 100), { minLength: 1, maxLength: 3 })

const branches = (of: ReadonlyArray<number>, samples: number, seed: number) =>
  DropPath.draw(of, samples, { seed, purpose: "dropPath", epoch: 0, index: 0 })

const mean = (values: Float32Array) => values.reduce((sum, x) => sum + x, 0) / values.length

describe("drop path", () => {
  it("drops a branch or scales it by what the dropped ones are worth", () => {
    fc.assert(fc.property(rates, fc.integer(), (of, seed) => {
      branches(of, 64, seed).forEach(({ attention, mlp }, block) => {
        const kept = Math.fround(1 / (1 - of[block]!))
        for (const factor of [...attention.data, ...mlp.data]) assert.include([0, kept], factor)
      })
    }))
  })

  it("leaves the mean of a branch as it is", () => {
    fc.assert(
      fc.property(rates, fc.integer(), (of, seed) => {
        branches(of, SAMPLES, seed).forEach(({ attention, mlp }, block) => {
          const rate = of[block]!
          const deviation = Math.sqrt(rate / (1 - rate) / SAMPLES)
          for (const { data } of [attention, mlp]) assert.closeTo(mean(data), 1, 5 * deviation + 1e-6)
        })
      }),
      { numRuns: 10 }
    )
  })

  it("draws a number for each sample and branch, in the order of timm", () => {
    fc.assert(fc.property(rates, fc.integer({ min: 1, max: 8 }), fc.integer(), (of, samples, seed) => {
      const { uniform } = KeyedRandom.generator({ seed, purpose: "dropPath", epoch: 0, index: 0 })
      branches(of, samples, seed).forEach(({ attention, mlp }, block) => {
        for (const factor of [...attention.data, ...mlp.data]) assert.strictEqual(factor > 0, uniform() >= of[block]!)
      })
    }))
  })
})
