/** Encodes images: the codes that a tokenizer gives to their patches. */
import { Effect } from "effect"
import type { ImageSet } from "../../layers/images/reading/ImageSet.ts"
import type { Tokenizer } from "../trained/Tokenizer.ts"
import * as Batches from "../training/Batches.ts"
import * as Encoder from "../training/Encoder.ts"

/** The largest number of images that are encoded at once. */
export const BATCH = 64

/** The codes of one image, `[N]`, patches row by row. */
export interface Encoded {
  /** Its index in the set. */
  readonly index: number
  readonly codes: Int32Array
}

/**
 * Encodes the central views of a set, and calls `use` with the codes of a few images at a time, in order. Fails with
 * `OutputError` if a vector is not finite, and as the engine, the images and `use` fail.
 */
export const encode = Effect.fn("patchword.encode")(function*<E, R>(
  tokenizer: Tokenizer,
  set: ImageSet,
  use: (images: ReadonlyArray<Encoded>) => Effect.Effect<void, E, R>
) {
  yield* Effect.annotateCurrentSpan({ "patchword.split": set.name, "patchword.images": set.length })
  const { augment, encoder: { imageSize, patches } } = tokenizer.config
  const batchSize = Batches.fitting(BATCH, set)
  const codesOf = yield* Encoder.open(tokenizer, set, batchSize)
  yield* Batches.evaluation(
    { set, batchSize, size: imageSize, augment },
    Effect.fnUntraced(function*(batch) {
      const { indices, valid } = batch
      const codes = yield* codesOf(batch, valid)
      yield* use(
        indices.slice(0, valid).map((index, row) => ({
          index,
          codes: codes.slice(row * patches, (row + 1) * patches)
        }))
      )
    })
  )
}, Effect.scoped)

/** Encodes all central views of a set, as {@link encode} does. Returns the codes, `[images, N]`. */
export const encodeAll = Effect.fnUntraced(function*(tokenizer: Tokenizer, set: ImageSet) {
  const { patches } = tokenizer.config.encoder
  const codes = new Int32Array(set.length * patches)
  yield* encode(
    tokenizer,
    set,
    (some) => Effect.sync(() => some.forEach((one) => codes.set(one.codes, one.index * patches)))
  )
  return codes
})
