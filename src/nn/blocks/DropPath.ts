/**
 * Drop path (stochastic depth): skips branches of a block for some images. The host draws the factors as a part of the batch.
 *
 * ```ts
 * import assert from "node:assert"
 * import { DropPath } from "patchword/nn"
 *
 * const [block] = DropPath.draw([0.5], 4, { seed: 0, purpose: "dropPath", epoch: 0, index: 0 })
 * assert.ok(block!.mlp.data.every((factor) => factor === 0 || factor === 2))
 * ```
 */
import * as KeyedRandom from "../../domain/values/KeyedRandom.ts"
import * as HostTensor from "../../shapes/HostTensor.ts"
import type { SpecOf } from "../../shapes/Step.ts"
import type { Tensor } from "../../shapes/Tensor.ts"

/**
 * The factors of a block's two branches for every image. A factor is 0 if the branch is dropped and `1 / (1 - rate)` if it is
 * kept.
 */
export interface Factors<in out B extends number> {
  readonly attention: Tensor<[B]>
  readonly mlp: Tensor<[B]>
}

/** Specifies the factors of `depth` blocks in a batch. */
export const spec = <B extends number>(depth: number, batch: B): ReadonlyArray<SpecOf<Factors<B>>> => {
  const factors: SpecOf<Tensor<[B]>> = { shape: [batch], dtype: "float32", split: "rows" }
  return Array.from({ length: depth }, () => ({ attention: factors, mlp: factors }))
}

/**
 * Makes the factors of blocks with the given rates, `[B]` for each of a block's two branches. A factor is 0 with probability
 * `rate`, else `1 / (1 - rate)`. As in timm, it is computed as `floor(1 - rate + u)` from a number `u` between 0 and 1. Each
 * block takes one number per sample for its attention, then one per sample for its MLP.
 */
export const make = <B extends number>(rates: ReadonlyArray<number>, batchSize: B, uniform: () => number) => {
  const factors = (rate: number) =>
    HostTensor.make(
      [batchSize],
      "float32",
      Float32Array.from({ length: batchSize }, () => Math.floor(1 - rate + uniform()) / (1 - rate))
    )
  return rates.map((rate) => ({ attention: factors(rate), mlp: factors(rate) }))
}

/** Makes factors from numbers that are drawn by a key. */
export const draw = <B extends number>(rates: ReadonlyArray<number>, batchSize: B, key: KeyedRandom.Key) =>
  make(rates, batchSize, KeyedRandom.generator(key).uniform)
