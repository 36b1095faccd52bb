import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import type { HostTensor } from "../../src/shapes/HostTensor.ts"
import type { HostOf, TrainStep } from "../../src/shapes/Step.ts"
import * as Tree from "../../src/shapes/Tree.ts"
import { cases, casesOf } from "../nn/steps.ts"
import * as Eager from "../parity/eager.ts"

interface Case<S, B, M> {
  readonly step: TrainStep<S, B, M>
  readonly state: (seed: number) => HostOf<S>
  readonly batch: (seed: number) => HostOf<B>
}

const poisons = fc.record({
  seed: fc.nat(),
  place: fc.nat(),
  value: fc.constantFrom(NaN, Infinity, -Infinity)
})

const bits = (data: ArrayLike<number>) => [...new Uint32Array(Float32Array.from(data).buffer)]

const check = <S extends object, B extends { readonly images: unknown }, M extends { readonly gradientNorm: unknown }>(
  { batch, state, step }: Case<S, B, M>
) => {
  it("leaves the state as it was, to the bit, when a gradient is not finite", () => {
    fc.assert(
      fc.property(poisons, ({ place, seed, value }) => {
        const before = state(seed)
        const poisoned = Tree.map<HostOf<B>>(batch(seed), (leaf, path) => {
          if (path !== "images") return leaf
          const data = Float32Array.from((leaf as HostTensor).data)
          return { ...leaf, data: data.with(place % data.length, value) }
        })
        const { metrics, state: after } = Eager.train(step, before, poisoned)
        const [, norm] = Eager.leaves(metrics).find(([path]) => path === "gradientNorm")!
        assert.isFalse(Number.isFinite(norm.data[0]))
        const kept = new Map(Eager.leaves(after))
        for (const [path, { data }] of Eager.leaves(before)) {
          assert.deepStrictEqual(bits(kept.get(path)!.data), bits(data), path)
        }
      }),
      { numRuns: 15 }
    )
  })

  it("changes every value of the state otherwise, if it is not frozen", () => {
    const before = state(0)
    const { state: after } = Eager.train(step, before, batch(0))
    const changed = new Map(Eager.leaves(after))
    for (const [path, { data }] of Eager.leaves(before)) {
      assert.isTrue(changed.get(path)!.data.every(Number.isFinite), path)
      const now = [...changed.get(path)!.data]
      if (path.startsWith("frozen.")) assert.deepStrictEqual(now, [...data], path)
      else assert.notDeepEqual(now, [...data], path)
    }
  })
}

describe("tokenizer", () => check(cases.tokenizer))
describe("pretrain", () => check(cases.pretrain))
describe("pretrain without aggregation", () => check(cases.plain))
describe("the last of two steps of an update", () => check(casesOf({ image: 16, batch: 2, accumulate: 2 }).tokenizer))
describe("finetune", () => check(cases.finetune))
describe("segment", () => check(cases.segment))
describe("decoder", () => check(cases.decoder))
