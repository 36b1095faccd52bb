/** A pixel decoder on the engine: it draws pictures from codes, and so does its baseline, the mean patch of each code. */
import { Effect } from "effect"
import * as DecoderStep from "../../nn/decoder/DecoderStep.ts"
import * as Dim from "../../shapes/Dim.ts"
import * as HostTensor from "../../shapes/HostTensor.ts"
import * as Decoder from "../trained/Decoder.ts"
import * as Inference from "../trained/Inference.ts"
import * as Outputs from "../training/Outputs.ts"
import * as PatchPlaces from "./PatchPlaces.ts"

/** The rows of a batch that count, and the names of their images in errors. */
interface Rows {
  readonly valid: number
  readonly describe: (row: number) => string
}

/**
 * Opens a decoder for batches of `batchSize` images. Pictures are `[3, S, S]` with values from 0 to 1. It fails with
 * `OutputError` if a value is not finite, with `WeightsError` if the weights do not fit, and as the engine does.
 */
export const open = Effect.fnUntraced(function*(decoder: Decoder.Decoder, batchSize: number) {
  const { config: { augment: { mean, std } }, imageSize, patchSize } = decoder
  const means = yield* Decoder.meanPatches(decoder)
  const batch = Dim.named("batch", batchSize)
  const inference = DecoderStep.draw<typeof batch, Decoder.Sizes>(Decoder.sizes(decoder), batch, { mean, std })
  const handle = yield* Inference.open(inference, Decoder.weights(decoder))
  const places = PatchPlaces.of({ imageSize, patchSize })
  const length = 3 * imageSize ** 2
  return {
    places,
    /** Number of values of a picture. */
    length,
    /** Draws the pictures of a batch from their codes `[B·N]`. */
    draw: Effect.fnUntraced(function*(codes: Int32Array, rows: Rows) {
      const { describe, valid } = rows
      const { images: { data } } = yield* handle.run({
        codes: HostTensor.make(inference.batch.codes.shape, "int32", codes)
      })
      yield* Outputs.checkFinite("pixels", data, { rows: batchSize, valid, describe })
      return Array.from({ length: valid }, (_, row) => data.slice(row * length, (row + 1) * length))
    }),
    /** Draws a picture with the mean patch of each of its codes `[N]`. */
    meanPatches: (codes: ArrayLike<number>): Float32Array => {
      const picture = new Float32Array(length)
      places.forEach((own, patch) =>
        own.forEach((place, at) => {
          const channel = Math.floor(at / patchSize ** 2)
          const value = means[codes[patch]! * own.length + at]! * std[channel]! + mean[channel]!
          picture[place] = Math.min(1, Math.max(0, value))
        })
      )
      return picture
    }
  }
})
