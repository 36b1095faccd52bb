/**
 * Completion of images: a pretrained network predicts the codes of masked patches, and a pixel decoder draws them. So one sees
 * the pixels that its predictions mean.
 */
import { Effect } from "effect"
import * as Fidelity from "../../domain/fidelity/Fidelity.ts"
import * as Grid from "../../domain/values/Grid.ts"
import type { ImageSet } from "../../layers/images/reading/ImageSet.ts"
import { Progress } from "../../layers/run/Progress.ts"
import * as MaskedCodes from "../evaluate/MaskedCodes.ts"
import type { Backbone } from "../trained/Backbone.ts"
import * as Decoder from "../trained/Decoder.ts"
import type { Tokenizer } from "../trained/Tokenizer.ts"
import * as Batches from "../training/Batches.ts"
import * as Encoder from "../training/Encoder.ts"
import * as Stage from "../training/Stage.ts"
import * as Drawing from "./Drawing.ts"
import * as PatchPlaces from "./PatchPlaces.ts"
import { BATCH, checkSize } from "./Reconstruct.ts"

/** The pixels of visible patches in a completed image. */
export type Visible = "keep" | "decode"

/** The networks of a completion. All know the codes of the same tokenizer. */
export interface Networks {
  readonly backbone: Backbone
  readonly decoder: Decoder.Decoder
  readonly tokenizer: Tokenizer
}

/** A completed image. Pictures are `[3, S, S]` with values from 0 to 1. */
export interface Completed {
  /** Its index in the set. */
  readonly index: number
  /** 1 for each masked patch, `[N]`. */
  readonly mask: Uint8Array
  readonly truth: Float32Array
  /** Drawn from the true codes of all patches: what the codes keep. */
  readonly decoded: Float32Array
  /** The masked patches drawn from predicted codes. */
  readonly completed: Float32Array
}

/** The fidelity of completed images: PSNR on their masked patches, SSIM on the whole. */
export interface CompletionFigures {
  readonly split: string
  /** The pixels of visible patches: those of the image, or drawn by each way to fill masked patches. */
  readonly visible: Visible
  readonly images: number
  /** Number of masked patches of each image, and of all its patches. */
  readonly masked: number
  readonly patches: number
  /** The share of masked patches whose code is predicted correctly. */
  readonly codeAccuracy: number
  /**
   * The ways to fill masked patches. `completed`: the decoder draws predicted codes. `trueCodes`: it draws the true codes, which
   * the network does not see. `meanPatch`: the mean patch of each predicted code. `meanColour`: the mean colour of the visible
   * patches. With `decode`, each way draws the visible patches, too: the first three from true codes, the last one in that colour.
   */
  readonly methods: Readonly<Record<"completed" | "trueCodes" | "meanPatch" | "meanColour", Fidelity.Fidelity>>
}

/** The options of a completion. */
export interface CompleteOptions {
  /** The pixels of visible patches: those of the image (`keep`), or drawn as masked ones are (`decode`). Default `keep`. */
  readonly visible?: Visible
}

/** Refuses networks that do not fit each other. */
const checked = Effect.fnUntraced(function*({ backbone, decoder, tokenizer }: Networks) {
  const { codes, config: { vit } } = backbone
  const { encoder } = tokenizer.config
  yield* Decoder.checkTokenizer("pixel decoder", decoder.tokenizer, tokenizer)
  yield* checkSize("complete", decoder)
  yield* Stage.requireConfig("complete", {
    "vit.imageSize": [
      !Grid.equal(encoder.grid, vit.grid),
      `expected as many patches as the tokenizer's ${encoder.imageSize} pixels in patches of ${encoder.patchSize} make, got ${vit.imageSize} in ${vit.patchSize}`
    ],
    codes: [codes !== decoder.codes, `expected the ${decoder.codes} codes of the decoder, got ${codes}`]
  })
})

/**
 * Masks the central views of a set, one fixed mask per image, predicts the codes of masked patches, draws them, and compares
 * them with the image. `use` gets a few images at a time, in order. Memory does not grow with the set.
 *
 * Fails with `OtherTokenizer` and `ConfigError` if the networks do not fit each other, with `MaskError` as `pretrain` does, with
 * `OutputError` if a value is not finite, and as the engine, the images and `use` fail.
 */
export const complete = Effect.fn("patchword.complete")(function*<E, R>(
  networks: Networks,
  set: ImageSet,
  options: CompleteOptions,
  use: (some: ReadonlyArray<Completed>) => Effect.Effect<void, E, R>
) {
  yield* Effect.annotateCurrentSpan({ "patchword.split": set.name, "patchword.images": set.length })
  yield* checked(networks)
  const { backbone, decoder, tokenizer } = networks
  const { visible = "keep" } = options
  const { report } = yield* Progress
  const { augment, mask: { count }, vit } = backbone.config
  yield* Batches.checkColours(set, tokenizer.config.augment, "the tokenizer")
  const { encoder: { imageSize: side, patches } } = tokenizer.config
  const size = { channels: 3, height: side, width: side }
  const batchSize = Batches.fitting(BATCH, set)
  const codesOf = yield* Encoder.open(tokenizer, set, batchSize)
  const predict = yield* MaskedCodes.open(backbone, batchSize)
  const { draw, length, meanPatches, places } = yield* Drawing.open(decoder, batchSize)
  const tallies = {
    completed: Fidelity.tally(),
    trueCodes: Fidelity.tally(),
    meanPatch: Fidelity.tally(),
    meanColour: Fidelity.tally()
  }
  let [seen, right] = [0, 0]
  yield* Batches.evaluation(
    { set, batchSize, size: vit.imageSize, secondSize: side, augment },
    Effect.fnUntraced(function*(shown) {
      const { indices, unit: { data }, valid } = shown
      const rows = { valid, describe: (row: number) => set.describe(indices[row]!) }
      const codes = yield* codesOf(shown, valid)
      const { mask, predicted } = yield* predict(shown, codes)
      const guessed = codes.map((code, at) => (mask[at] === 1 ? predicted[at]! : code))
      const decoded = yield* draw(codes, rows)
      const drawn = yield* draw(guessed, rows)
      const some = drawn.map((picture, row): Completed => {
        const cut: [number, number] = [row * patches, (row + 1) * patches]
        const [truth, hidden] = [data.slice(row * length, (row + 1) * length), mask.slice(...cut)]
        const over = (other: Float32Array) =>
          visible === "decode" ? other : PatchPlaces.filled(truth, other, places, hidden)
        const colour = PatchPlaces.meanColour(truth, places, (patch) => hidden[patch] === 0)
        const ways = {
          completed: over(picture),
          trueCodes: over(decoded[row]!),
          meanPatch: over(meanPatches(guessed.subarray(...cut))),
          meanColour: over(PatchPlaces.plain(colour, length))
        }
        const compared = PatchPlaces.masked(places, hidden)
        for (const key of ["completed", "trueCodes", "meanPatch", "meanColour"] as const) {
          tallies[key].add(Fidelity.compare(truth, ways[key], size, compared))
        }
        for (let at = cut[0]; at < cut[1]; at++) right += mask[at] === 1 && predicted[at] === codes[at] ? 1 : 0
        return { index: indices[row]!, mask: hidden, truth, decoded: decoded[row]!, completed: ways.completed }
      })
      yield* use(some)
      seen += valid
      yield* report({ stage: `complete ${set.name}`, step: seen, total: set.length, metrics: {} })
    })
  )
  const { completed, meanColour, meanPatch, trueCodes } = tallies
  const figures: CompletionFigures = {
    split: set.name,
    visible,
    images: set.length,
    masked: count,
    patches,
    codeAccuracy: set.length === 0 ? 0 : right / (set.length * count),
    methods: {
      completed: completed.figures(),
      trueCodes: trueCodes.figures(),
      meanPatch: meanPatch.figures(),
      meanColour: meanColour.figures()
    }
  }
  return figures
}, Effect.scoped)
