/**
 * The settings of training a segmenter on a pretrained network: UperNet, as published for ADE20K, or a linear head.
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
import { Jitter } from "./AugmentConfig.ts"
import { VitConfig } from "./VitConfig.ts"

/** The logistic regression that learns a linear head on the features of a frozen network. */
export const Frozen = Schema.Struct({
  imageSize: Quantity.Size.annotateKey({ description: "Side of the windows that the frozen network sees, in pixels." }),
  finalNorm: Schema.Boolean.annotateKey({
    description: "True if the layer norm behind the network is part of the features, as finalNorm."
  }),
  images: Quantity.Count.annotateKey({ description: "Images that it learns from: the first ones of the split." }),
  l2: Quantity.NonNegative.annotateKey({ description: "L2 penalty." }),
  iterations: Quantity.Count.annotateKey({ description: "Largest number of iterations of the solver." })
})

/**
 * Random changes of colour. `mmsegmentation` changes brightness, contrast, saturation and hue as its `PhotoMetricDistortion`. A
 * jitter leaves the hue as it is. Null is no change.
 */
export const Distortion = Schema.Union([Schema.Literal("mmsegmentation"), Jitter, Schema.Null]).annotate({
  expected: "mmsegmentation, an object with brightness, contrast and saturation, or null"
})

/** The settings of a segmentation run. The number of classes comes with the data. */
export class SegmentationConfig extends Schema.Class<SegmentationConfig>("patchword/SegmentationConfig")(
  Schema.Struct({
    /** The random seed of the stage. */
    seed: Schema.Int.annotateKey({ description: "Random seed of the stage." }),
    /** The network; `vit.imageSize` is the side of the crops. */
    vit: VitConfig.annotateKey({ description: "The network." }),
    /** The head: UperNet on four blocks, or a linear layer on the last of them. */
    head: Schema.Literals(["upernet", "linear"]).annotateKey({
      description: "Head: upernet, or linear on the last of the taps."
    }),
    /**
     * True if a linear head sees the tokens behind a layer norm. It has no weights, because those of the linear layer do the same.
     */
    finalNorm: Schema.Boolean.annotateKey({
      description: "True if a linear head sees the tokens behind a layer norm."
    }),
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
    /** Peak learning rate. */
    lr: Quantity.Positive.annotateKey({ description: "Peak learning rate." }),
    /** Factor of the backbone's learning rate. */
    backboneRate: Quantity.Factor.annotateKey({ description: "Factor of the backbone's learning rate." }),
    /** The way in which the learning rate falls to 0. */
    schedule: Schema.Literals(["linear", "cosine"]).annotateKey({
      description: "The way in which the learning rate falls to 0: linear or cosine."
    }),
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
    /**
     * Steps of one update; 1 when absent. Their gradients are averaged. A batch normalisation sees the images of one step, so two
     * steps of 8 images are not equal to one of 16.
     */
    accumulate: Schema.optionalKey(Quantity.Count).annotateKey({
      description: "Steps whose gradients make one update; batch norms see the images of one step. Default 1."
    }),
    /** Length of the stage and of its linear warmup, in updates. An update takes `accumulate` steps. */
    steps: Quantity.Count.annotateKey({ description: "Length of the stage, in updates." }),
    warmup: Quantity.Whole.annotateKey({ description: "Length of the linear warmup, in updates." }),
    /**
     * The size that images are resized to fit, `[long, short]` side in pixels. It is multiplied by a random factor within
     * `scale`. Null for images that keep their size.
     */
    resize: Schema.NullOr(Schema.Tuple([Quantity.Count, Quantity.Count])).annotateKey({
      description: "Long and short side that images are resized to fit, in pixels; null for none."
    }),
    scale: Schema.Tuple([Quantity.Positive, Quantity.Positive]).annotateKey({
      description: "Smallest and largest random factor of that size."
    }),
    /** Largest share of one class in a crop. Other crops are drawn again, ten times at most. */
    maxClassShare: Quantity.Share.annotateKey({
      description: "Largest share of one class in a crop; others are drawn again. 1 for any."
    }),
    /** Random changes of the colours of the crops: those of mmsegmentation, or a jitter of given size; null for none. */
    distortion: Distortion.annotateKey({
      description:
        "Random changes of colour: mmsegmentation, or the largest relative change of each property; null for none."
    }),
    /** Mean and standard deviation of each channel, for values from 0 to 1. */
    mean: Quantity.Channels.annotateKey({ description: "Mean of each channel, for values from 0 to 1." }),
    std: Schema.Tuple([Quantity.Positive, Quantity.Positive, Quantity.Positive]).annotateKey({
      description: "Standard deviation of each channel."
    }),
    /** Logistic regression on the features of the frozen network; null for none. */
    frozen: Schema.NullOr(Frozen).annotateKey({
      description: "Logistic regression on the features of the frozen network; null for none."
    }),
    /** Distance between the windows of sliding-window evaluation, in pixels. */
    stride: Quantity.Count.annotateKey({ description: "Distance between the windows of evaluation, in pixels." })
  }).check(
    Schema.makeFilter(({ finalNorm, head, maxClassShare, scale, steps, stride, taps, vit, warmup }) => [
      ...(stride <= vit.imageSize
        ? []
        : [{ path: ["stride"], issue: `expected at most vit.imageSize ${vit.imageSize}, got ${stride}` }]),
      ...(scale[0] <= scale[1]
        ? []
        : [{ path: ["scale"], issue: `expected the smaller factor first, got ${scale.join(", ")}` }]),
      ...(maxClassShare > 0
        ? []
        : [{ path: ["maxClassShare"], issue: `expected more than 0, got ${maxClassShare}` }]),
      ...(finalNorm && head !== "linear"
        ? [{ path: ["finalNorm"], issue: `expected false, because the head is ${head}, got true` }]
        : []),
      ...(taps.every((tap, i) => tap <= vit.depth && tap > (taps[i - 1] ?? 0))
        ? []
        : [{ path: ["taps"], issue: `expected rising numbers up to vit.depth ${vit.depth}, got ${taps.join(", ")}` }]),
      ...(warmup < steps
        ? []
        : [{ path: ["warmup"], issue: `expected fewer steps than the ${steps} of the stage, got ${warmup}` }])
    ])
  ),
  { description: "Training of a segmenter; null if there is no recipe." }
) {}
