/**
 * The settings of training a segmenter (UperNet) on a pretrained network, as published for ADE20K. No stage uses them yet.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Presets } from "patchword/domain"
 *
 * assert.deepStrictEqual(Presets.base.segmentation?.taps, [4, 6, 8, 12])
 * ```
 */
import { Schema } from "effect"
import * as Quantity from "../values/Quantity.ts"
import { VitConfig } from "./VitConfig.ts"

/** The settings of a segmentation run. The number of classes comes with the data. */
export class SegmentationConfig extends Schema.Class<SegmentationConfig>("patchword/SegmentationConfig")(
  Schema.Struct({
    /** The random seed of the stage. */
    seed: Schema.Int.annotateKey({ description: "Random seed of the stage." }),
    /** The network; `vit.imageSize` is the side of the crops. */
    vit: VitConfig.annotateKey({ description: "The network." }),
    /** The blocks whose patch tokens form the four levels of the feature pyramid, counted from 1. */
    taps: Schema.Tuple([Quantity.Count, Quantity.Count, Quantity.Count, Quantity.Count]).annotateKey({
      description: "Blocks whose patch tokens form the feature pyramid, counted from 1."
    }),
    /** Channels of the decoder. */
    channels: Quantity.Count.annotateKey({ description: "Channels of the decoder." }),
    /** Factor of the auxiliary head's loss. */
    auxiliary: Quantity.NonNegative.annotateKey({ description: "Factor of the auxiliary head's loss." }),
    /** Factor of the learning rate from each block to the block before it. */
    layerDecay: Quantity.Factor.annotateKey({
      description: "Factor of the learning rate from each block to the one before it."
    }),
    /** Peak learning rate. It falls linearly to 0. */
    lr: Quantity.Positive.annotateKey({ description: "Peak learning rate. It falls linearly to 0." }),
    /** Decay rates of the first and second moment. */
    betas: Schema.Tuple([Quantity.Rate, Quantity.Rate]).annotateKey({
      description: "Decay rates of the first and second moment of AdamW."
    }),
    /** Decoupled weight decay. It is multiplied by the learning rate. */
    weightDecay: Quantity.NonNegative.annotateKey({
      description: "Decoupled weight decay. It is multiplied by the learning rate."
    }),
    /** Images of one step. */
    batchSize: Quantity.Count.annotateKey({ description: "Images of one step." }),
    /** Length of the stage and of its linear warmup, in steps. */
    steps: Quantity.Count.annotateKey({ description: "Length of the stage, in steps." }),
    warmup: Quantity.Whole.annotateKey({ description: "Length of the linear warmup, in steps." }),
    /**
     * The size that images are resized to fit, `[long, short]` side in pixels. It is multiplied by a random factor within
     * `scale`.
     */
    resize: Schema.Tuple([Quantity.Count, Quantity.Count]).annotateKey({
      description: "Long and short side that images are resized to fit, in pixels."
    }),
    scale: Schema.Tuple([Quantity.Positive, Quantity.Positive]).annotateKey({
      description: "Smallest and largest random factor of that size."
    }),
    /** Distance between the windows of sliding-window evaluation, in pixels. */
    stride: Quantity.Count.annotateKey({ description: "Distance between the windows of evaluation, in pixels." })
  }).check(
    Schema.makeFilter(({ steps, taps, vit, warmup }) => [
      ...(taps.every((tap, i) => tap <= vit.depth && tap > (taps[i - 1] ?? 0))
        ? []
        : [{ path: ["taps"], issue: `expected rising numbers up to vit.depth ${vit.depth}, got ${taps.join(", ")}` }]),
      ...(warmup < steps
        ? []
        : [{ path: ["warmup"], issue: `expected fewer steps than the ${steps} of the stage, got ${warmup}` }])
    ])
  ),
  { description: "Training of a segmenter (UperNet); null if no recipe is published. No stage uses it yet." }
) {}
