/** A tokenizer on the engine: it encodes batches of images as codes. */
import { Effect } from "effect"
import type { ImageSet } from "../../layers/images/reading/ImageSet.ts"
import * as TokenizerStep from "../../nn/tokenizer/TokenizerStep.ts"
import * as Dim from "../../shapes/Dim.ts"
import * as HostTensor from "../../shapes/HostTensor.ts"
import * as Inference from "../trained/Inference.ts"
import * as Tokenizer from "../trained/Tokenizer.ts"
import type * as Batches from "./Batches.ts"
import * as Outputs from "./Outputs.ts"

/**
 * Opens a tokenizer that returns the codes `[B·N]` of batches of a set, and the vectors before quantization, `[B·N, E]`. It fails
 * with `OutputError` if a vector of the first `valid` images is not finite, with `QuantizerError` if a code is not one of the
 * quantizer's, and as the engine does.
 */
export const openVectors = Effect.fnUntraced(
  function*(tokenizer: Tokenizer.Tokenizer, set: ImageSet, batchSize: number) {
    const { quantizer, sizes, tensors } = yield* Tokenizer.open(tokenizer)
    const inference = TokenizerStep.encode(sizes, Dim.named("batch", batchSize), quantizer)
    const handle = yield* Inference.open(inference, tensors)
    return Effect.fnUntraced(function*(
      images: Pick<Batches.ImageBatch, "indices" | "unit">,
      valid: number = batchSize
    ) {
      const { indices, unit } = images
      const { codes, vectors } = yield* handle.run({
        images: HostTensor.make(inference.batch.images.shape, "float32", unit.data)
      })
      yield* Outputs.checkFinite("vectors before their codes", vectors.data, {
        rows: batchSize,
        valid,
        describe: (row) => set.describe(indices[row]!)
      })
      yield* Tokenizer.checkCodes(quantizer, codes.data)
      return { codes: codes.data, vectors: vectors.data }
    })
  }
)

/** Opens a tokenizer that returns the codes `[B·N]` of batches of a set. Fails as {@link openVectors} does. */
export const open = Effect.fnUntraced(function*(tokenizer: Tokenizer.Tokenizer, set: ImageSet, batchSize: number) {
  const run = yield* openVectors(tokenizer, set, batchSize)
  return (images: Pick<Batches.ImageBatch, "indices" | "unit">, valid: number = batchSize) =>
    Effect.map(run(images, valid), ({ codes }) => codes)
})
