/** The factors by which drop path keeps or drops the branches of each sample: drawn on the host, given to the step. */
import * as KeyedRandom from "../../domain/values/KeyedRandom.ts"
import * as HostTensor from "../../shapes/HostTensor.ts"

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
