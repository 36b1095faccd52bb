/** The features of one image, as a cache stores them. */
import { Effect } from "effect"
import * as FeatureDirections from "../../domain/method/FeatureDirections.ts"
import * as Float16 from "../../domain/values/Float16.ts"
import { BelowHalf, BeyondHalf } from "./FeatureCacheError.ts"
import type { About } from "./FeatureCacheFolder.ts"

/** The key of an image, and the bytes of its features. */
export interface Row {
  readonly key: Uint8Array
  readonly row: Uint8Array
}

/**
 * Encodes the features `[tokens, width]` of an image. Fails with `NoDirection`, `BeyondHalf` or `BelowHalf`, which name the image by
 * `image`.
 */
export const encode = Effect.fnUntraced(function*(about: About, values: Float32Array, image: string) {
  const { dtype, tokens, width } = about
  yield* Effect.fromResult(FeatureDirections.check(values, { tokens, width, nameOf: () => image }))
  if (dtype === "float32") return Uint8Array.from(bytesOf(values))
  const halves = Float16.encode(values)
  const beyond = halves.findIndex((half) => (half & 0x7fff) >= 0x7c00)
  if (beyond >= 0) return yield* new BeyondHalf({ image, value: values[beyond]! })
  const stored = Float16.decode(halves)
  for (let patch = 0; patch < tokens; patch++) {
    const of = (all: Float32Array) => all.subarray(patch * width, (patch + 1) * width)
    if (!FeatureDirections.hasChanged(of(values), of(stored))) continue
    return yield* new BelowHalf({ image, patch, length: FeatureDirections.length(of(values)) })
  }
  return bytesOf(halves)
})

const bytesOf = ({ buffer, byteLength, byteOffset }: Float32Array | Uint16Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength)
