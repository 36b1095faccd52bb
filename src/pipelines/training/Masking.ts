/** The masks of a batch, and where its masked patches are. */
import * as BlockMask from "../../domain/method/BlockMask.ts"
import type * as KeyedRandom from "../../domain/values/KeyedRandom.ts"

/** Masks of a batch `[B, N]` and its masked patches, counted row-major over the batch. */
export interface Masked {
  readonly mask: Uint8Array
  readonly rows: Int32Array
}

/** One mask per key, laid side by side. */
export const draw = (options: BlockMask.Options, keys: ReadonlyArray<KeyedRandom.Key>): Masked => {
  const patches = options.height * options.width
  const mask = new Uint8Array(keys.length * patches)
  keys.forEach((key, i) => mask.set(BlockMask.fromKey(options, key), i * patches))
  const rows = Int32Array.from(mask.keys()).filter((place) => mask[place] === 1)
  return { mask, rows }
}
