/**
 * Features of a teacher on disk, so that training needs no teacher. An image is known by the SHA-256 of its pixels: what
 * is found for it is what the teacher said of exactly this view, however the images were cropped.
 *
 * A cache is a folder with `cache.json` and shards `shard-00000.bin` of one size: the keys of their images, then the
 * features of each image in float16 or float32. Shards are written whole or not at all, and `cache.json` records the
 * SHA-256 of each, so a cache that was interrupted goes on after its last shard. Node.js cannot map files into memory;
 * features are read from their places in the shards, and memory holds some 50 bytes an image to find them.
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
export { type FillOptions, type Series, type Writer, writer } from "./FeatureCacheWriter.ts"
