/**
 * A part of the features of a cache, which one of several processes computes. It has the key and the features of each image that occurs
 * in it, one after the other, in the order in which they occur first.
 */
import { Effect } from "effect"
import * as Pauses from "../machine/Pauses.ts"
import { type FeatureCacheError, inBatch, within } from "./FeatureCacheError.ts"
import { type About, rowBytes } from "./FeatureCacheFolder.ts"
import * as Row from "./FeatureCacheRow.ts"
import { KEY, KeyIndex } from "./KeyIndex.ts"

/** A part that is being made. */
export interface Part {
  /** Tests whether the part has the features of an image already. */
  readonly has: (key: Uint8Array) => boolean
  /**
   * Returns what the features `[B, tokens, width]` of a batch add to the part. Fails as `append` of `Writer` does. `nameOf` gives the names
   * of images for errors.
   */
  readonly next: (
    keys: ReadonlyArray<Uint8Array>,
    features: Float32Array,
    nameOf?: (image: number) => string
  ) => Effect.Effect<Uint8Array, FeatureCacheError>
}

/** Begins a part for the cache of a folder. */
export const begin = (directory: string, about: About): Part => {
  const index = new KeyIndex()
  const has = (key: Uint8Array) => index.find(key) >= 0
  const numbers = about.tokens * about.width
  return {
    has,
    next: Effect.fnUntraced(function*(keys, features, nameOf = inBatch) {
      const added: Array<Uint8Array> = []
      for (const [i, key] of keys.entries()) {
        if (has(key)) continue
        yield* Pauses.pause
        added.push(key, yield* Row.encode(about, features.subarray(i * numbers, (i + 1) * numbers), nameOf(i)))
        index.add(key)
      }
      return Buffer.concat(added)
    }, within(directory))
  }
}

/** Returns the images of a part. */
export const rows = (about: About, content: Uint8Array): ReadonlyArray<Row.Row> => {
  const length = KEY + rowBytes(about)
  return Array.from({ length: content.length / length }, (_, i) => ({
    key: content.subarray(i * length, i * length + KEY),
    row: content.subarray(i * length + KEY, (i + 1) * length)
  }))
}
