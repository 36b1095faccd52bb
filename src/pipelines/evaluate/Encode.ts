/** Images as words: the codes that a tokenizer gives to patches. */
import { Effect } from "effect"
import type { ImageSet } from "../../layers/images/reading/ImageSet.ts"
import * as TokenizerStep from "../../nn/tokenizer/TokenizerStep.ts"
import * as Dim from "../../shapes/Dim.ts"
import * as HostTensor from "../../shapes/HostTensor.ts"
import * as Inference from "../trained/Inference.ts"
import * as Tokenizer from "../trained/Tokenizer.ts"
import * as Batches from "../training/Batches.ts"
import * as Outputs from "../training/Outputs.ts"

const BATCH = 64

/** The codes of one image, `[N]`, patches row by row. */
export interface Encoded {
  /** Its place in the set. */
  readonly index: number
  readonly codes: Int32Array
}

/**
 * Gives the codes of the central views of a set to `use`, some images at a time, in order. Fails with `OutputError` where a
 * vector is not finite, of which any code would be wrong, and as the engine, the images and `use` fail.
 */
export const encode = Effect.fn("encode")(function*<E, R>(
  tokenizer: Tokenizer.Tokenizer,
  set: ImageSet,
  use: (images: ReadonlyArray<Encoded>) => Effect.Effect<void, E, R>
) {
  const { config, teacherWidth } = tokenizer
  const { augment, encoder: { imageSize, patches } } = config
  const inference = TokenizerStep.encode(Tokenizer.sizes(config, teacherWidth), Dim.named("batch", BATCH))
  const handle = yield* Inference.open(inference, Tokenizer.weights(tokenizer))
  yield* Batches.evaluation(
    { set, batchSize: BATCH, size: imageSize, augment },
    Effect.fnUntraced(function*({ indices, unit, valid }) {
      const { codes, vectors } = yield* handle.run({
        images: HostTensor.make(inference.batch.images.shape, "float32", unit.data)
      })
      yield* Outputs.checkFinite("vectors before their codes", vectors.data, {
        rows: BATCH,
        valid,
        describe: (row) => set.describe(indices[row]!)
      })
      yield* use(
        indices.slice(0, valid).map((index, row) => ({
          index,
          codes: codes.data.slice(row * patches, (row + 1) * patches)
        }))
      )
    })
  )
}, Effect.scoped)
