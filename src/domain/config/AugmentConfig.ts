/**
 * The settings of data augmentation. They turn an image file into a view for training or for evaluation.
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

/** The filters for resizing, as Pillow defines them. */
export const Interpolation = Schema.Literals(["bilinear", "bicubic", "lanczos"])

/** The largest relative change of each property. A factor is drawn from `1 - x` to `1 + x`. 0 leaves the property as it is. */
export const Jitter = Schema.Struct({
  brightness: Quantity.NonNegative.annotateKey({ description: "Largest relative change of brightness; 0 for none." }),
  contrast: Quantity.NonNegative.annotateKey({ description: "Largest relative change of contrast; 0 for none." }),
  saturation: Quantity.NonNegative.annotateKey({ description: "Largest relative change of saturation; 0 for none." })
})

/**
 * The two ways to read the colours of image files. `managed` shows the image as a person sees it: upright, opaque on grey, with
 * its colour profile applied. `official` reads it as the official code does: it drops transparency and ignores profiles and
 * orientation. `docs/numerics.md` compares them.
 */
export const Colour = Schema.Literals(["managed", "official"])
export type Colour = typeof Colour.Type

/** The settings of random views for training, of the central view for evaluation, and of normalisation for both. */
export class AugmentConfig extends Schema.Class<AugmentConfig>("patchword/AugmentConfig")(
  Schema.Struct({
    /** The way files are decoded; `managed` when absent. */
    colour: Schema.optionalKey(Colour).annotateKey({
      description:
        "Decoding of colours: managed (as a person sees them) or official (as the official code does). Default managed."
    }),
    /** Smallest and largest area of the random crop, as a share of the image. */
    cropScale: Quantity.Range.check(
      Schema.makeFilter(([, high]: readonly [number, number]) => high <= 1, { expected: "shares of at most 1" })
    ).annotateKey({ description: "Smallest and largest area of the random crop, as a share of the image." }),
    /** Smallest and largest ratio of width to height of the random crop. */
    cropRatio: Quantity.Range.annotateKey({
      description: "Smallest and largest ratio of width to height of the random crop."
    }),
    /** Probability of a horizontal flip. */
    flip: Quantity.Share.annotateKey({ description: "Probability of a horizontal flip." }),
    /** Random changes of colour. */
    jitter: Jitter.annotateKey({
      description: "Random changes of colour: the largest relative change of each property."
    }),
    /**
     * The filter that resizes the crop. `random` draws bilinear or bicubic for each training view. Evaluation then uses
     * bicubic.
     */
    interpolation: Schema.Literals([...Interpolation.literals, "random"]).annotateKey({
      description: "Filter that resizes crops: bilinear, bicubic, lanczos, or random (bilinear or bicubic)."
    }),
    /** The resize filter of the tokenizer's view in pretraining; `interpolation` when absent. */
    secondInterpolation: Schema.optionalKey(Interpolation).annotateKey({
      description: "Resize filter of the tokenizer's view in pretraining. Default: interpolation."
    }),
    /** Side of the central crop for evaluation, as a share of the shorter side of the resized image. */
    evaluationCrop: Quantity.Factor.annotateKey({
      description: "Side of the central crop for evaluation, as a share of the resized image."
    }),
    /**
     * The sides that are resized before the central crop: the `shorter` side, which keeps the aspect ratio, or `both`, which
     * makes a square. `shorter`, as in the official code, when absent.
     */
    evaluationSides: Schema.optionalKey(Schema.Literals(["shorter", "both"])).annotateKey({
      description: "Sides that evaluation resizes: the shorter one, or both to a square. Default shorter."
    }),
    /**
     * The rounding of an offset of half a pixel of the central crop: to the `even` neighbour, as in the official code, or
     * `down`, as in transformers. `even` when absent.
     */
    evaluationOffset: Schema.optionalKey(Schema.Literals(["even", "down"])).annotateKey({
      description: "Rounding of an offset of half a pixel of the central crop: even or down. Default even."
    }),
    /** Mean of each channel, for channels in [0, 1]. It is subtracted. */
    mean: Quantity.Channels.annotateKey({
      description: "Mean of each channel, for pixels in [0, 1]. It is subtracted."
    }),
    /** Standard deviation of each channel. The difference is divided by it. */
    std: Schema.Tuple([Quantity.Positive, Quantity.Positive, Quantity.Positive]).annotateKey({
      description: "Standard deviation of each channel. The difference is divided by it."
    })
  }),
  { description: "Views of images for training and evaluation, and their normalisation." }
) {}
