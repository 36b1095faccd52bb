/**
 * The settings of data augmentation: how an image file becomes a view for training or for evaluation.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Presets } from "patchword/domain"
 *
 * assert.deepStrictEqual(Presets.base.pretrain.augment.cropScale, [0.2, 1])
 * ```
 */
import { Schema } from "effect"
import * as Quantity from "../values/Quantity.ts"

/** The filters for resizing, in Pillow's definitions. */
export const Interpolation = Schema.Literals(["bilinear", "bicubic", "lanczos"])

/** The largest relative change of each property: a factor is drawn from `1 - x` to `1 + x`; 0 leaves it alone. */
export const Jitter = Schema.Struct({
  brightness: Quantity.NonNegative,
  contrast: Quantity.NonNegative,
  saturation: Quantity.NonNegative
})

/**
 * How the colours of image files are read. `managed`: upright, opaque on grey, by colour profiles, as a person sees them.
 * `official`: as the official code reads them, which drops transparency and ignores profiles and orientation;
 * `docs/numerics.md` tells both apart.
 */
export const Colour = Schema.Literals(["managed", "official"])
export type Colour = typeof Colour.Type

/** Random views for training, the central view for evaluation, and normalisation for both. */
export class AugmentConfig extends Schema.Class<AugmentConfig>("patchword/AugmentConfig")(
  Schema.Struct({
    /** How files are decoded; `managed` when absent. */
    colour: Schema.optionalKey(Colour),
    /** Least and greatest area of the random crop, as a share of the image. */
    cropScale: Quantity.Range.check(
      Schema.makeFilter(([, high]: readonly [number, number]) => high <= 1, { expected: "shares of at most 1" })
    ),
    /** Least and greatest ratio of width to height of the random crop. */
    cropRatio: Quantity.Range,
    /** Probability of a horizontal flip. */
    flip: Quantity.Share,
    /** Random changes of colour. */
    jitter: Jitter,
    /**
     * The filter that resizes the crop. `random` draws bilinear or bicubic for each training view, and is bicubic for
     * evaluation.
     */
    interpolation: Schema.Literals([...Interpolation.literals, "random"]),
    /** The filter of the view that the tokenizer sees in pretraining; `interpolation` when absent. */
    secondInterpolation: Schema.optionalKey(Interpolation),
    /** Side of the central crop of evaluation, as a share of the shorter side of the resized image. */
    evaluationCrop: Quantity.Factor,
    /**
     * What of the picture is resized to the side that `evaluationCrop` is a share of: its `shorter` side, or `both`, which makes
     * a square of any picture. `shorter`, the official way, when absent.
     */
    evaluationSides: Schema.optionalKey(Schema.Literals(["shorter", "both"])),
    /**
     * How half a pixel beside the central crop is rounded: to the `even` one, the official way and that when absent, or `down`, as
     * transformers does.
     */
    evaluationOffset: Schema.optionalKey(Schema.Literals(["even", "down"])),
    /** Subtracted from each channel, which lies in [0, 1]. */
    mean: Quantity.Channels,
    /** What each channel is divided by afterwards. */
    std: Schema.Tuple([Quantity.Positive, Quantity.Positive, Quantity.Positive])
  })
) {}
