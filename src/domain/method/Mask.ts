/**
 * Masks: the patches of an image that are hidden from a network. Pretraining takes any value of type {@link Mask}. `blockwise`
 * (the default) and `random` are provided.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Mask } from "patchword/domain"
 *
 * const key = { seed: 0, purpose: "mask", epoch: 0, index: 0 }
 * const drawn = Mask.random.draw({ height: 14, width: 14, count: 75, minBlock: 16 }, key)
 * assert.strictEqual(drawn.reduce((sum, masked) => sum + masked, 0), 75)
 * ```
 */
import * as KeyedRandom from "../values/KeyedRandom.ts"
import * as BlockMask from "./BlockMask.ts"

/** A mask generator. */
export interface Mask {
  /** Its name in files and errors. */
  readonly name: string
  /**
   * Draws the mask of a key: `[height * width]`, row by row, 1 for the `count` masked patches. Each image and epoch has its own
   * key.
   */
  readonly draw: (options: BlockMask.Options, key: KeyedRandom.Key) => Uint8Array
}

/** Random rectangles, as published. See `BlockMask`. */
export const blockwise: Mask = { name: "blockwise", draw: BlockMask.fromKey }

/**
 * Single patches, drawn uniformly without replacement.
 *
 * Its `draw` throws a RangeError for an invalid grid or `count`. Configurations exclude them.
 */
export const random: Mask = {
  name: "random",
  draw: (options, key) => {
    BlockMask.check("random", options, ["height", "width", "count"])
    const { count, height, width } = options
    const patches = height * width
    const mask = new Uint8Array(patches)
    KeyedRandom.permutation(key, patches).subarray(0, count).forEach((patch) => (mask[patch] = 1))
    return mask
  }
}
