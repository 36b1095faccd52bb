/**
 * The settings of a sweep of linear classifiers that are trained together (`dinov2/eval/linear.py`). Settings that are absent
 * have DINOv2's values. DINOv3 differs in `blocks: [1]` and `pooling: ["cls+mean"]`.
 *
 * ```ts
 * import assert from "node:assert"
 * import { SweepConfig } from "patchword/domain"
 *
 * const { blocks, pooling, rates } = SweepConfig.complete({})
 * assert.strictEqual(blocks.length * pooling.length * rates.length, 52)
 * ```
 */
import { Schema } from "effect"
import * as Quantity from "../values/Quantity.ts"
import { AugmentConfig } from "./AugmentConfig.ts"

/**
 * The pooling of several blocks: the class tokens of all, the means of their patch tokens, or the class tokens of all and the
 * mean of the last one.
 */
export const SweepPooling = Schema.Literals(["cls", "cls+mean", "mean"])

const { cropRatio, cropScale, flip, interpolation } = AugmentConfig.fields

/** The random views of the training images. */
export const SweepViews = Schema.Struct({
  cropScale: Schema.optionalKey(cropScale).annotateKey({
    description: "Smallest and largest area of the random crop, as a share of the image. Default [0.08, 1]."
  }),
  cropRatio: Schema.optionalKey(cropRatio).annotateKey({
    description: "Smallest and largest ratio of width to height of the random crop. Default [3/4, 4/3]."
  }),
  flip: Schema.optionalKey(flip).annotateKey({ description: "Probability of a horizontal flip. Default 0.5." }),
  interpolation: Schema.optionalKey(interpolation).annotateKey({
    description: "Filter that resizes the crops. Default bicubic."
  })
})
export type SweepViews = typeof SweepViews.Type

/** The settings. */
export const SweepConfig = Schema.Struct({
  /** Numbers of last blocks whose tokens are joined. */
  blocks: Schema.optionalKey(Schema.NonEmptyArray(Quantity.Blocks)).annotateKey({
    description: "Numbers of last blocks whose tokens are joined. Default [1, 4]."
  }),
  /** The poolings to try. */
  pooling: Schema.optionalKey(Schema.NonEmptyArray(SweepPooling)).annotateKey({
    description: "Poolings to try: cls, cls+mean (mean of the last block) or mean. Default [cls, cls+mean]."
  }),
  /** The learning rates to try, for batches of 256 images. They grow with the batch. */
  rates: Schema.optionalKey(Schema.NonEmptyArray(Quantity.Positive)).annotateKey({
    description: "Learning rates to try, for 256 images; times batchSize / 256. Default 13 from 1e-5 to 0.1."
  }),
  /** Images of a step. */
  batchSize: Schema.optionalKey(Quantity.Count).annotateKey({ description: "Images of a step. Default 128." }),
  /** Number of steps. The learning rates fall to 0 along half a cosine. */
  steps: Schema.optionalKey(Quantity.Count).annotateKey({
    description: "Steps; the rates fall along a cosine. Default 12500."
  }),
  /**
   * The random views of the training images, whose features are computed anew in each step. Null for the central views, whose
   * features are computed once.
   */
  augment: Schema.optionalKey(Schema.NullOr(SweepViews)).annotateKey({
    description:
      "Random views that the classifiers learn from; null for central views, computed once. Default DINOv2's."
  }),
  /** Momentum of SGD. */
  momentum: Schema.optionalKey(Quantity.Rate).annotateKey({ description: "Momentum of SGD. Default 0.9." }),
  /** True for a batch norm without parameters before each classifier, as in MAE. */
  batchNorm: Schema.optionalKey(Schema.Boolean).annotateKey({
    description: "True for a batch norm without parameters before each classifier, as in MAE. Default false."
  }),
  /** The share of each class of the training images that the choice is made on, if no split is given for that. */
  heldOut: Schema.optionalKey(Quantity.Part).annotateKey({
    description: "Share of the training images for the choice, without a split for that. Default 0.1."
  })
})
export type SweepConfig = typeof SweepConfig.Type

/** The settings without absent values. */
export type Complete = Required<Omit<SweepConfig, "augment">> & { readonly augment: Required<SweepViews> | null }

const views: Required<SweepViews> = {
  cropScale: [0.08, 1],
  cropRatio: [3 / 4, 4 / 3],
  flip: 0.5,
  interpolation: "bicubic"
}

const official: Required<Omit<SweepConfig, "augment">> = {
  blocks: [1, 4],
  pooling: ["cls", "cls+mean"],
  rates: [1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1],
  batchSize: 128,
  steps: 12_500,
  momentum: 0.9,
  batchNorm: false,
  heldOut: 0.1
}

/** Returns the settings with DINOv2's values in place of those that are absent. */
export const complete = (given: SweepConfig = {}): Complete => ({
  ...official,
  ...given,
  augment: given.augment === null ? null : { ...views, ...given.augment }
})
