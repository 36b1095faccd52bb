/**
 * The result of training segmentation: a vision transformer with a head that classifies pixels.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Presets } from "patchword/domain"
 * import { Segmenter } from "patchword/pipelines"
 *
 * const { classes, width } = Segmenter.sizes(Presets.tiny.segmentation!, 10)
 * assert.deepStrictEqual([classes, width], [10, 128])
 * ```
 */
import { Schema } from "effect"
import { SegmentationConfig } from "../../domain/config/SegmentationConfig.ts"
import * as Weights from "../../layers/weights/Weights.ts"
import * as Parameter from "../../nn/blocks/Parameter.ts"
import type * as Head from "../../nn/segmentation/Head.ts"
import * as LinearHead from "../../nn/segmentation/LinearHead.ts"
import * as Network from "../../nn/segmentation/Segmenter.ts"
import * as UperNet from "../../nn/segmentation/UperNet.ts"
import * as Dim from "../../shapes/Dim.ts"
import * as Inference from "./Inference.ts"
import * as VitSizes from "./VitSizes.ts"

/** The configuration of a segmenter, and the names of the classes of pixels. */
export const Described = Schema.Struct({
  config: SegmentationConfig,
  classes: Schema.Array(Schema.String).check(Schema.isMinLength(1))
})
export type Described = typeof Described.Type

/** A trained segmenter: arrays under the names of mmsegmentation (`backbone.*`, `decode_head.*`, `auxiliary_head.*`). */
export interface Segmenter extends Described {
  readonly tensors: Weights.Tensors
}

/** The name of the model in files. */
export const NAME = "segmenter"

/** Returns the sizes of a segmenter for a number of classes. */
export const sizes = (config: SegmentationConfig, classes: number) => ({
  ...VitSizes.positioned(config.vit),
  taps: config.taps,
  classes: Dim.named("classes", classes)
})

/** The sizes of a segmenter, as the network's type parameter. */
export type Sizes = ReturnType<typeof sizes>

/** Channels of UperNet's auxiliary head, as published. */
const AUXILIARY_CHANNELS = 256

/** Returns the head of a segmenter. */
export const headOf = (config: SegmentationConfig, classes: number): Network.HeadOf<Sizes, Head.Parts> => {
  const { channels, finalNorm, head, vit: { normEpsilon, patchSize, width } } = config
  const sizes = { width: Dim.named("width", width), classes: Dim.named("classes", classes) }
  if (head === "linear") return LinearHead.make(sizes, { finalNorm, epsilon: normEpsilon })
  // The parts of a head are hidden from here on: no stage reads them by name.
  const made: unknown = UperNet.make({
    ...sizes,
    channels: Dim.named("channels", channels),
    auxiliaryChannels: Dim.named("auxiliaryChannels", Math.min(AUXILIARY_CHANNELS, channels)),
    patch: patchSize
  })
  return made as Network.HeadOf<Sizes, Head.Parts>
}

/** Returns the arrays that training changes, under their official names. */
export const spec = (config: SegmentationConfig, classes: number): object =>
  Network.spec<Sizes, Head.Parts>(sizes(config, classes), headOf(config, classes))

/** Matches the statistics of batch normalisations, which the optimizer does not change. */
const RUNNING = /\.running_(?:mean|var)$/

/** Renames the arrays of a segmenter to the names of its inferences. */
export const weights = (trained: Pick<Segmenter, "tensors">): Weights.Tensors =>
  Inference.renamed(trained.tensors, (name) => `${RUNNING.test(name) ? "running" : "parameters"}.${name}`)

/** Returns the initial running statistics of a head. */
export const running = (config: SegmentationConfig, classes: number): object =>
  Parameter.initialise(headOf(config, classes).running, config.seed)
