/**
 * A cache of a teacher's features on disk. Training from a cache does not need the teacher. The SHA-256 of the pixels of an
 * image is its key, so the features are always those of exactly this view, for any kind of cropping.
 *
 * A cache is a folder with `cache.json` and shards `shard-00000.bin`. A shard holds the keys of its images, then the
 * features of each image in float16 or float32. Shards are written atomically, and `cache.json` records the SHA-256 of
 * each. An interrupted cache continues after its last shard. Features are read from their positions in the shards, because
 * Node.js cannot map files into memory. The index of these positions takes about 50 bytes of memory per image.
 *
 * ```ts
 * import assert from "node:assert"
 * import { FeatureCache } from "patchword/layers"
 *
 * // CLIP ViT-B/16 on ImageNet, for one epoch.
 * const bytes = FeatureCache.bytes({ images: 1_281_167, tokens: 196, width: 512, dtype: "float16" })
 * assert.strictEqual((bytes / 1e9).toFixed(0), "257")
 * ```
 */
export {
  BelowHalf,
  BeyondHalf,
  CacheDamaged,
  FeatureCacheError,
  NoCache,
  NotCached,
  OtherFeatures,
  TooLittleRoom
} from "./FeatureCacheError.ts"
export { About, bytes, DType, keys, type OpenOptions } from "./FeatureCacheFolder.ts"
export { type Reader, reader } from "./FeatureCacheReader.ts"
export type { Row } from "./FeatureCacheRow.ts"
export {
  type FillOptions,
  nextWriter,
  requireFree,
  type Series,
  SHARD_BYTES,
  walked,
  type Writer,
  writer
} from "./FeatureCacheWriter.ts"
