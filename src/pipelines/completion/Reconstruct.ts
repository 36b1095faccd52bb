/** The pictures that a pixel decoder draws from the codes of images: what the codes keep of them. */
import { Effect } from "effect"
import * as Fidelity from "../../domain/fidelity/Fidelity.ts"
import * as Ssim from "../../domain/fidelity/Ssim.ts"
import type { ImageSet } from "../../layers/images/reading/ImageSet.ts"
import { Progress } from "../../layers/run/Progress.ts"
import * as Decoder from "../trained/Decoder.ts"
import type * as Tokenizer from "../trained/Tokenizer.ts"
import * as Batches from "../training/Batches.ts"
import * as Encoder from "../training/Encoder.ts"
import * as Stage from "../training/Stage.ts"
import * as Drawing from "./Drawing.ts"
import * as PatchPlaces from "./PatchPlaces.ts"

/** Number of images that networks see at once. */
export const BATCH = 32

/** The fidelity of the pictures of a decoder, and of two baselines. */
export interface DecoderFigures {
  readonly split: string
  readonly images: number
  /**
   * `decoder`: the decoder's pictures. `meanPatch`: the mean patch of each code over the training images. `meanColour`: the
   * mean colour of each image.
   */
  readonly methods: Readonly<Record<"decoder" | "meanPatch" | "meanColour", Fidelity.Fidelity>>
}

/** Refuses pictures that are smaller than a window of SSIM. */
export const checkSize = (stage: string, { imageSize }: Pick<Decoder.Described, "imageSize">) =>
  Stage.requireConfig(stage, {
    "tokenizer.encoder.imageSize": [
      imageSize < Ssim.WINDOW,
      `expected at least ${Ssim.WINDOW} pixels, the window of SSIM, got ${imageSize}`
    ]
  })

/**
 * Draws the central views of a set from their codes, and compares them with the images. Memory does not grow with the set.
 *
 * Fails with `OtherTokenizer` if the decoder was trained with another tokenizer, with `ConfigError` if its images are smaller
 * than 11 pixels, with `OutputError` if a value is not finite, and as the engine and the images fail.
 */
export const evaluateDecoder = Effect.fn("patchword.evaluateDecoder")(function*(
  decoder: Decoder.Decoder,
  tokenizer: Tokenizer.Tokenizer,
  set: ImageSet
) {
  yield* Effect.annotateCurrentSpan({ "patchword.split": set.name, "patchword.images": set.length })
  yield* Decoder.checkTokenizer("pixel decoder", decoder.tokenizer, tokenizer)
  yield* checkSize("decoder", decoder)
  const { report } = yield* Progress
  const { augment, encoder: { imageSize: side, patches } } = tokenizer.config
  const size = { channels: 3, height: side, width: side }
  const batchSize = Batches.fitting(BATCH, set)
  const codesOf = yield* Encoder.open(tokenizer, set, batchSize)
  const { draw, length, meanPatches, places } = yield* Drawing.open(decoder, batchSize)
  const tallies = { decoder: Fidelity.tally(), meanPatch: Fidelity.tally(), meanColour: Fidelity.tally() }
  let seen = 0
  yield* Batches.evaluation(
    { set, batchSize, size: side, augment },
    Effect.fnUntraced(function*(shown) {
      const { indices, unit: { data }, valid } = shown
      const codes = yield* codesOf(shown, valid)
      const drawn = yield* draw(codes, { valid, describe: (row) => set.describe(indices[row]!) })
      drawn.forEach((picture, row) => {
        const truth = data.subarray(row * length, (row + 1) * length)
        const own = codes.subarray(row * patches, (row + 1) * patches)
        const colour = PatchPlaces.plain(PatchPlaces.meanColour(truth, places), length)
        tallies.decoder.add(Fidelity.compare(truth, picture, size))
        tallies.meanPatch.add(Fidelity.compare(truth, meanPatches(own), size))
        tallies.meanColour.add(Fidelity.compare(truth, colour, size))
      })
      seen += valid
      yield* report({ stage: `draw ${set.name}`, step: seen, total: set.length, metrics: {} })
    })
  )
  const { decoder: own, meanColour, meanPatch } = tallies
  const figures: DecoderFigures = {
    split: set.name,
    images: set.length,
    methods: { decoder: own.figures(), meanPatch: meanPatch.figures(), meanColour: meanColour.figures() }
  }
  return figures
}, Effect.scoped)
