/** Encodes images with several processes that share a folder. */
import { Effect } from "effect"
import * as ComputedOn from "../../domain/values/ComputedOn.ts"
import { Engine } from "../../layers/engine/Engine.ts"
import type { ImageSet } from "../../layers/images/reading/ImageSet.ts"
import { Progress } from "../../layers/run/Progress.ts"
import * as SharedWork from "../../layers/storage/SharedWork.ts"
import * as Weights from "../../layers/weights/Weights.ts"
import type { Tokenizer } from "../trained/Tokenizer.ts"
import * as Batches from "../training/Batches.ts"
import * as Encoder from "../training/Encoder.ts"
import { BATCH } from "./Encode.ts"

/** Options of shared encoding. */
export interface ShardOptions {
  /** Number of batches of 64 images in a shard; default 16. */
  readonly batches?: number
}

/**
 * Encodes the central views of a set together with all processes that call this with the same folder, and returns all codes,
 * `[images, N]`. They are the same bytes as those of one process. It ends when all images are encoded, by whichever process. See
 * `SharedWork`.
 *
 * Fails with `SharedWorkError`, for example if the folder holds the codes of another tokenizer, of other images or of another engine,
 * and as `encode` does.
 */
export const encodeShards = Effect.fn("patchword.encodeShards")(
  function*(tokenizer: Tokenizer, set: ImageSet, folder: string, options: ShardOptions = {}) {
    const { batches = 16 } = options
    const { augment, encoder: { imageSize, patches } } = tokenizer.config
    const engine = yield* Engine
    const progress = yield* Progress
    const images = batches * BATCH
    const work: SharedWork.Work = {
      shards: Math.ceil(set.length / images),
      about: {
        tokenizer: yield* Weights.digest(tokenizer.tensors),
        images: set.digest,
        imageSize,
        imagesOfShard: images,
        computedOn: ComputedOn.of(engine.about)
      }
    }
    const batchSize = Batches.fitting(BATCH, set)
    const codesOf = yield* Encoder.open(tokenizer, set, batchSize)
    const views = { set, batchSize, size: imageSize, augment }
    yield* SharedWork.make(
      folder,
      work,
      Effect.fnUntraced(function*(shard, write) {
        const end = Math.min(set.length, (shard + 1) * images)
        for (let start = shard * images; start < end; start += batchSize) {
          const batch = yield* Batches.central(views, start)
          const codes = yield* codesOf(batch, batch.valid)
          yield* write(bytesOf(codes.slice(0, batch.valid * patches)))
        }
      }),
      (made) =>
        progress.report({
          stage: "encode",
          step: Math.min(set.length, made * images),
          total: set.length,
          metrics: { shards: made }
        })
    )
    const codes = new Int32Array(set.length * patches)
    for (let shard = 0; shard < work.shards; shard++) {
      bytesOf(codes).set(yield* SharedWork.read(folder, shard), shard * images * patches * codes.BYTES_PER_ELEMENT)
    }
    return codes
  },
  Effect.scoped
)

const bytesOf = ({ buffer, byteLength, byteOffset }: Int32Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength)
