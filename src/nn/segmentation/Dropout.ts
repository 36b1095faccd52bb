/**
 * Dropout of whole channels of maps (PyTorch's `Dropout2d`). The host draws the factors as a part of the batch.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Dropout } from "patchword/nn"
 *
 * const factors = Dropout.draw(0.5, [4, 8], { seed: 0, purpose: "dropout", epoch: 0, index: 0 })
 * assert.ok(factors.data.every((factor) => factor === 0 || factor === 2))
 * ```
 */
import * as KeyedRandom from "../../domain/values/KeyedRandom.ts"
import * as HostTensor from "../../shapes/HostTensor.ts"

/** The official share of dropped channels. */
export const RATE = 0.1

/**
 * Draws a factor for each channel of each image, `[B, C]`, by a key. It is 0 with probability `rate`, else `1 / (1 - rate)`.
 */
export const draw = <B extends number, C extends number>(
  rate: number,
  shape: readonly [batch: B, channels: C],
  key: KeyedRandom.Key
): HostTensor.HostTensor<[B, C], "float32"> => {
  const { uniform } = KeyedRandom.generator(key)
  const data = Float32Array.from({ length: shape[0] * shape[1] }, () => Math.floor(1 - rate + uniform()) / (1 - rate))
  return HostTensor.make([...shape] as [B, C], "float32", data)
}
