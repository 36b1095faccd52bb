/**
 * The settings of training a segmenter (UperNet) on a pretrained network, as published for ADE20K. No stage takes them
 * yet.
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

/** A segmentation run. The number of classes comes with the data. */
export class SegmentationConfig extends Schema.Class<SegmentationConfig>("patchword/SegmentationConfig")(
  Schema.Struct({
    /** Names the stream of every random number of the stage. */
    seed: Schema.Int,
    /** The network; `vit.imageSize` is the side of the crops. */
    vit: VitConfig,
    /** The blocks whose patch tokens make the four levels of the pyramid, counted from 1. */
    taps: Schema.Tuple([Quantity.Count, Quantity.Count, Quantity.Count, Quantity.Count]),
    /** Channels of the decoder. */
    channels: Quantity.Count,
    /** Weight of the auxiliary head's loss. */
    auxiliary: Quantity.NonNegative,
    /** Factor of the learning rate from each block to the one before it. */
    layerDecay: Quantity.Factor,
    /** Peak learning rate. It falls in a straight line to 0. */
    lr: Quantity.Positive,
    /** Decay rates of the first and second moment. */
    betas: Schema.Tuple([Quantity.Rate, Quantity.Rate]),
    /** Decoupled weight decay, times the learning rate, per step. */
    weightDecay: Quantity.NonNegative,
    /** Images in one step. */
    batchSize: Quantity.Count,
    /** Length of the stage and of its linear warm-up, in steps. */
    steps: Quantity.Count,
    warmup: Quantity.Whole,
    /** Images are resized to fit this, `[long, short]` side in pixels, times a random factor within `scale`. */
    resize: Schema.Tuple([Quantity.Count, Quantity.Count]),
    scale: Schema.Tuple([Quantity.Positive, Quantity.Positive]),
    /** Distance between the windows of evaluation, in pixels. */
    stride: Quantity.Count
  }).check(
    Schema.makeFilter(({ steps, taps, vit, warmup }) => [
      ...(taps.every((tap, i) => tap <= vit.depth && tap > (taps[i - 1] ?? 0))
        ? []
        : [{ path: ["taps"], issue: `expected rising numbers up to vit.depth ${vit.depth}, got ${taps.join(", ")}` }]),
      ...(warmup < steps
        ? []
        : [{ path: ["warmup"], issue: `expected fewer steps than the ${steps} of the stage, got ${warmup}` }])
    ])
  )
) {}
