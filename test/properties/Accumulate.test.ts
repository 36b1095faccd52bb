import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import { OptimizerConfig } from "../../src/domain/config/OptimizerConfig.ts"
import { tiny } from "../../src/domain/config/presets/Presets.ts"
import type * as HostTensor from "../../src/shapes/HostTensor.ts"
import * as Tree from "../../src/shapes/Tree.ts"
import { casesOf } from "../nn/steps.ts"
import * as Eager from "../parity/eager.ts"

const IMAGE = 16
const BATCH = 2

const shares = fc.record({ seed: fc.nat(), accumulate: fc.integer({ min: 2, max: 4 }) })

const finetuning = (batch: number, accumulate: number) => casesOf({ image: IMAGE, batch, accumulate }).finetune

const part = <T extends object>(batch: T, at: number): T =>
  Tree.map<T>(batch, (leaf, path) => {
    const { data, dtype, shape: [images, ...rest] } = leaf as HostTensor.Any
    if (path.startsWith("hyper.")) return leaf
    const size = data.length / images!
    return { dtype, shape: [BATCH, ...rest], data: data.slice(at * BATCH * size, (at + 1) * BATCH * size) }
  })

const split = (seed: number, accumulate: number) => {
  const whole = finetuning(BATCH * accumulate, 1).batch(seed, 0)
  const { batch, state, step } = finetuning(BATCH, accumulate)
  const parts = Array.from({ length: accumulate }, (_, at) => ({ ...part(whole, at), hyper: batch(seed, at).hyper }))
  return { whole, parts, state: state(seed), step }
}

const bits = (state: object, groups: RegExp) =>
  Eager.leaves(state).filter(([path]) => groups.test(path)).map(([path, { data }]) => [
    path,
    ...new Uint32Array(Float32Array.from(data).buffer)
  ])

describe("several steps of one update", () => {
  it("end where one step on all their images does", () => {
    fc.assert(
      fc.property(shares, ({ accumulate, seed }) => {
        const { parts, state, step, whole } = split(seed, accumulate)
        const { mean: _, ...before } = state
        const expected = Eager.train(finetuning(BATCH * accumulate, 1).step, before, whole).state
        let reached = state
        for (const one of parts) reached = Eager.train(step, reached, one).state as typeof state
        const found = new Map(Eager.leaves(reached))
        for (const [path, { data }] of Eager.leaves(expected)) {
          data.forEach((value, i) => {
            assert.approximately(found.get(path)!.data[i]!, value, 2e-5 + 2e-4 * Math.abs(value), path)
          })
        }
      }),
      { numRuns: 10 }
    )
  })

  it("change nothing but the mean gradient before the last", () => {
    fc.assert(
      fc.property(shares, ({ accumulate, seed }) => {
        const { parts, state, step } = split(seed, accumulate)
        let reached = state
        for (const one of parts.slice(0, -1)) {
          const next = Eager.train(step, reached, one).state as typeof state
          assert.deepStrictEqual(bits(next, /^(parameters|first|second)/), bits(state, /^(parameters|first|second)/))
          assert.notDeepEqual(bits(next, /^mean/), bits(reached, /^mean/))
          reached = next
        }
      }),
      { numRuns: 5 }
    )
  })

  it("do not depend on what an earlier update left", () => {
    const { parts: [first], state, step } = split(7, 2)
    const other = { ...state, mean: state.first }
    assert.deepStrictEqual(
      bits(Eager.train(step, other, first!).state, /^mean/),
      bits(Eager.train(step, state, first!).state, /^mean/)
    )
  })
})

describe("AdamW", () => {
  it("refuses a state of one step an update where two make one", () => {
    const { batch, state, step } = finetuning(BATCH, 2)
    const { mean: _, ...plain } = state(0)
    const { hyper } = finetuning(BATCH, 1).batch(0)
    const refusal = /AdamW: 2 steps make one update, but state or hyper are for another number/
    assert.throws(() => Eager.train(step, plain, batch(0)), refusal)
    assert.throws(() => Eager.train(step, state(0), { ...batch(0), hyper }), refusal)
  })
})

describe("a configuration of several steps an update", () => {
  const configs = fc.record({
    accumulate: fc.integer({ min: 1, max: 5 }),
    batchSize: fc.integer({ min: 1, max: 8 }),
    duration: fc.integer({ min: 2, max: 6 }),
    unit: fc.constantFrom("steps", "epochs"),
    images: fc.integer({ min: 40, max: 200 })
  })

  it("updates as often, and at the rates, as one whose batch is as large as theirs together", () => {
    fc.assert(fc.property(configs, ({ accumulate, batchSize, duration, images, unit }) => {
      const options = { ...tiny.pretrain.optimizer, duration, unit, warmup: 1 }
      const many = new OptimizerConfig({ ...options, batchSize, accumulate })
      const one = new OptimizerConfig({ ...options, batchSize: batchSize * accumulate })
      const [steps, updates] = [many.stepsPerEpoch(images), one.stepsPerEpoch(images)]
      assert.strictEqual(steps, updates * accumulate)
      const { total } = one.steps(updates)
      assert.strictEqual(many.steps(steps).total, total * accumulate)
      for (let step = 0; step < total * accumulate; step++) {
        const update = Math.floor(step / accumulate)
        assert.strictEqual(many.learningRate(steps)(step), one.learningRate(updates)(update))
      }
    }))
  })
})
