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
  brightness: Quantity.NonNegative.annotateKey({ description: "Largest relative change of brightness; 0 for none." }),
  contrast: Quantity.NonNegative.annotateKey({ description: "Largest relative change of contrast; 0 for none." }),
  saturation: Quantity.NonNegative.annotateKey({ description: "Largest relative change of saturation; 0 for none." })
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
    colour: Schema.optionalKey(Colour).annotateKey({
      description:
        "How files are decoded: managed (as a person sees them) or official (as the official code does). Default managed."
    }),
    /** Least and greatest area of the random crop, as a share of the image. */
    cropScale: Quantity.Range.check(
      Schema.makeFilter(([, high]: readonly [number, number]) => high <= 1, { expected: "shares of at most 1" })
    ).annotateKey({ description: "Least and greatest area of the random crop, as a share of the image." }),
    /** Least and greatest ratio of width to height of the random crop. */
    cropRatio: Quantity.Range.annotateKey({
      description: "Least and greatest ratio of width to height of the random crop."
    }),
    /** Probability of a horizontal flip. */
    flip: Quantity.Share.annotateKey({ description: "Probability of a horizontal flip." }),
    /** Random changes of colour. */
    jitter: Jitter.annotateKey({
      description: "Random changes of colour: the largest relative change of each property."
    }),
    /**
     * The filter that resizes the crop. `random` draws bilinear or bicubic for each training view, and is bicubic for
     * evaluation.
     */
    interpolation: Schema.Literals([...Interpolation.literals, "random"]).annotateKey({
      description: "Filter that resizes crops: bilinear, bicubic, lanczos, or random (bilinear or bicubic)."
    }),
    /** The filter of the view that the tokenizer sees in pretraining; `interpolation` when absent. */
    secondInterpolation: Schema.optionalKey(Interpolation).annotateKey({
      description: "Filter of the view that the tokenizer sees in pretraining. Default: interpolation."
    }),
    /** Side of the central crop of evaluation, as a share of the shorter side of the resized image. */
    evaluationCrop: Quantity.Factor.annotateKey({
      description: "Side of the central crop of evaluation, as a share of the resized image."
    }),
    /**
     * What of the picture is resized to the side that `evaluationCrop` is a share of: its `shorter` side, or `both`, which makes
     * a square of any picture. `shorter`, the official way, when absent.
     */
    evaluationSides: Schema.optionalKey(Schema.Literals(["shorter", "both"])).annotateKey({
      description: "Sides that evaluation resizes: the shorter one, or both to a square. Default shorter."
    }),
    /**
     * How half a pixel beside the central crop is rounded: to the `even` one, the official way and that when absent, or `down`, as
     * transformers does.
     */
    evaluationOffset: Schema.optionalKey(Schema.Literals(["even", "down"])).annotateKey({
      description: "Rounding of half a pixel beside the central crop: even or down. Default even."
    }),
    /** Subtracted from each channel, which lies in [0, 1]. */
    mean: Quantity.Channels.annotateKey({
      description: "Mean of each channel, which is subtracted from pixels in [0, 1]."
    }),
    /** What each channel is divided by afterwards. */
    std: Schema.Tuple([Quantity.Positive, Quantity.Positive, Quantity.Positive]).annotateKey({
      description: "Standard deviation of each channel, which divides afterwards."
    })
  }),
  { description: "Views of images for training and evaluation, and their normalisation." }
) {}
