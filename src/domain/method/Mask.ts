/**
 * What a mask is: which patches of an image a network does not see. Pretraining takes any value of this kind; ours are
 * `blockwise`, the default, and `random`.
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

/** A way to draw masks. */
export interface Mask {
  /** What files and errors call it. */
  readonly name: string
  /**
   * The mask that a key names: `[height * width]`, row by row, 1 where a patch is masked, which `count` are. Each image and epoch
   * has its key.
   */
  readonly draw: (options: BlockMask.Options, key: KeyedRandom.Key) => Uint8Array
}

/** Random rectangles, as published; see `BlockMask`. */
export const blockwise: Mask = { name: "blockwise", draw: BlockMask.fromKey }

/**
 * Patches one by one, every choice of `count` equally likely.
 *
 * Its `draw` throws a RangeError for a grid or a `count` that cannot be, which configurations rule out.
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
