/**
 * Drop path (stochastic depth): a block's branches left out of some images. What is drawn on the host is a part of the batch.
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

/** Factors of a block's two branches for every image: 0 where the branch is dropped, `1 / (1 - rate)` where it is kept. */
export interface Factors<in out B extends number> {
  readonly attention: Tensor<[B]>
  readonly mlp: Tensor<[B]>
}

/** The factors of `depth` blocks in a batch. */
export const spec = <B extends number>(depth: number, batch: B): ReadonlyArray<SpecOf<Factors<B>>> => {
  const factors: SpecOf<Tensor<[B]>> = { shape: [batch], dtype: "float32" }
  return Array.from({ length: depth }, () => ({ attention: factors, mlp: factors }))
}

/**
 * Factors for blocks of the given rates, `[B]` for each of a block's two branches: 0 with probability `rate`, else
 * `1 / (1 - rate)`, made of numbers `u` from 0 to 1 by `floor(1 - rate + u)` as timm makes them. Each block takes a number
 * for every sample and its attention, then for every sample and its MLP.
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

/** `make` of numbers drawn by a key. */
export const draw = <B extends number>(rates: ReadonlyArray<number>, batchSize: B, key: KeyedRandom.Key) =>
  make(rates, batchSize, KeyedRandom.generator(key).uniform)
