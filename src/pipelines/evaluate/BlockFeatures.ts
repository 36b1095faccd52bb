/**
 * The features of the last blocks of a network, computed once. The evaluations take theirs from them, without another pass over
 * the images.
 *
 * ```ts
 * import assert from "node:assert"
 * import { BlockFeatures } from "patchword/pipelines"
 * import { HostTensor } from "patchword/shapes"
 *
 * // One image, two blocks, two channels: both class tokens, then both means.
 * const features = HostTensor.make([1, 8], "float32", Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8))
 * const set = { name: "val", digest: "", classes: ["owl"], labels: Int32Array.of(0), blocks: 2, features }
 * const found = BlockFeatures.select(set, { blocks: 1, pooling: "cls+mean" })
 * assert.deepStrictEqual(found.features.data, Float32Array.of(3, 4, 7, 8))
 * ```
 */
import * as ProbeSweep from "../../nn/finetune/ProbeSweep.ts"
import * as HostTensor from "../../shapes/HostTensor.ts"
import type { FeatureSet } from "./FeatureSet.ts"

/**
 * The features of several blocks. A row `[2 * blocks * C]` has the class token of each block, the oldest first, then the mean of
 * its patch tokens.
 */
export interface BlockFeatureSet extends FeatureSet {
  readonly blocks: number
}

/** The part of a set that has the features. */
export type Blocks = Pick<BlockFeatureSet, "blocks" | "features">

/** Returns the channels of a token. */
export const channels = (set: Blocks): number => set.features.shape[1] / (2 * set.blocks)

/** Returns the places of the parts of some features among the parts of a row. */
const partsOf = (blocks: number, features: ProbeSweep.Features): ReadonlyArray<number> => {
  const last = Array.from({ length: features.blocks }, (_, i) => blocks - features.blocks + i)
  const means = last.map((part) => blocks + part)
  if (features.pooling === "cls") return last
  return features.pooling === "mean" ? means : [...last, 2 * blocks - 1]
}

/** Copies some features of the images at `places`, `[places, width]`, row-major. */
export const copy = (
  set: Blocks,
  features: ProbeSweep.Features,
  places: ArrayLike<number>
): Float32Array => {
  const width = channels(set)
  const parts = partsOf(set.blocks, features)
  const rows = new Float32Array(places.length * parts.length * width)
  for (let row = 0; row < places.length; row++) {
    const first = places[row]! * 2 * set.blocks
    parts.forEach((part, i) =>
      rows.set(
        set.features.data.subarray((first + part) * width, (first + part + 1) * width),
        (row * parts.length + i) * width
      )
    )
  }
  return rows
}

/** Selects the features of an evaluation. There must be as many blocks. */
export const select = (set: BlockFeatureSet, features: ProbeSweep.Features): FeatureSet => {
  const { blocks: _, ...rest } = set
  const { length } = set.labels
  const shape: [number, number] = [length, ProbeSweep.width(features, channels(set))]
  return {
    ...rest,
    features: HostTensor.make(shape, "float32", copy(set, features, Array.from({ length }, (_, i) => i)))
  }
}
