/**
 * The settings of fine-tuning, which trains a classifier and the whole pretrained network below it.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Presets } from "patchword/domain"
 *
 * assert.deepStrictEqual([Presets.base.finetune.layerDecay, Presets.basePaper.finetune.layerDecay], [0.6, 0.65])
 * ```
 */
import { Schema } from "effect"
import { Sampling } from "../method/Sampling.ts"
import * as Quantity from "../values/Quantity.ts"
import { AugmentConfig } from "./AugmentConfig.ts"
import { OptimizerConfig } from "./OptimizerConfig.ts"
import { VitConfig } from "./VitConfig.ts"

/** Mixup and CutMix of image pairs. Both numbers are the alpha of a symmetric beta distribution. 0 turns that one off. */
export const Mixup = Schema.Struct({
  mixup: Quantity.NonNegative.annotateKey({ description: "Alpha of mixup; 0 for none." }),
  cutmix: Quantity.NonNegative.annotateKey({ description: "Alpha of CutMix; 0 for none." })
})

/** RandAugment: the number of operations, their magnitude (0 to 10), and the standard deviation of the magnitude. */
export const RandAugment = Schema.Struct({
  operations: Quantity.Count.annotateKey({ description: "Operations on each image." }),
  magnitude: Schema.Finite.check(
    Schema.makeFilter((n: number) => n >= 0 && n <= 10, { expected: "a number from 0 to 10" })
  ).annotateKey({ description: "Magnitude of the operations, from 0 to 10." }),
  deviation: Quantity.NonNegative.annotateKey({ description: "Standard deviation of the magnitude." })
})

/** An AutoAugment policy, by timm's name. */
export const AutoAugment = Schema.Literals(["original", "originalr", "v0", "v0r"])

/** The settings of a fine-tuning run. The number of classes comes with the data. */
export class FinetuneConfig extends Schema.Class<FinetuneConfig>("patchword/FinetuneConfig")(
  Schema.Struct({
    /** The random seed of the stage. */
    seed: Schema.Int.annotateKey({ description: "Random seed of the stage." }),
    /** The network. `vit.pooling` selects the input of the classifier. */
    vit: VitConfig.annotateKey({ description: "The network." }),
    /** Factor of the learning rate from each block to the block before it; 1 for one learning rate throughout. */
    layerDecay: Quantity.Factor.annotateKey({
      description: "Factor of the learning rate from each block to the one before it; 1 for one rate."
    }),
    /** Share of the target that is spread evenly over all classes. */
    labelSmoothing: Quantity.Rate.annotateKey({
      description: "Label smoothing: the share of the target that is spread over all classes."
    }),
    /** Factor of the classifier's initial weights. */
    headScale: Quantity.Positive.annotateKey({ description: "Factor of the classifier's initial weights." }),
    /** Mixup and CutMix; null for none. */
    mixup: Schema.NullOr(Mixup).annotateKey({ description: "Mixup and CutMix; null for none." }),
    /**
     * Decay of the exponential moving average of the weights (timm's `ModelEma`); null or absent for none. The run keeps the
     * averaged network beside the trained one.
     */
    ema: Schema.optionalKey(Schema.NullOr(Quantity.Rate)).annotateKey({
      description: "Decay of the moving average of the weights, such as 0.9999; null for none. Default null."
    }),
    /**
     * Epochs between two evaluations on the images that choose the best network, if there are any; 1 when absent. The last
     * state is always evaluated.
     */
    evaluateEvery: Schema.optionalKey(Quantity.Count).annotateKey({
      description: "Epochs between evaluations on the images that choose the best network. Default 1."
    }),
    /** RandAugment; null for none. It replaces `augment.jitter`, as in timm. */
    randAugment: Schema.NullOr(RandAugment).annotateKey({ description: "RandAugment; null for none." }),
    /** An AutoAugment policy, in place of `randAugment`. */
    autoAugment: Schema.optionalKey(AutoAugment).annotateKey({
      description: "AutoAugment policy by timm's name, in place of randAugment."
    }),
    /** Probability that noise replaces a random rectangle. */
    erasing: Quantity.Share.annotateKey({ description: "Probability that a random rectangle is erased with noise." }),
    optimizer: OptimizerConfig,
    augment: AugmentConfig,
    sampling: Schema.optionalKey(Sampling)
  }).check(
    Schema.makeFilter(({ autoAugment, mixup, optimizer: { batchSize }, randAugment }) => [
      ...(autoAugment === undefined || randAugment === null
        ? []
        : [{
          path: ["autoAugment"],
          issue: "expected none together with randAugment; set randAugment to null, or remove this key"
        }]),
      ...(mixup === null || batchSize % 2 === 0
        ? []
        : [{
          path: ["optimizer", "batchSize"],
          issue: `expected an even number, because mixup mixes images in pairs, got ${batchSize}; or set mixup to null`
        }])
    ])
  ),
  { description: "Fine-tuning: a classifier and the network below it are trained." }
) {}
