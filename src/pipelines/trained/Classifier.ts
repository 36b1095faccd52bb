/**
 * The result of fine-tuning: a vision transformer that classifies images.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Presets } from "patchword/domain"
 * import { Classifier } from "patchword/pipelines"
 *
 * const { head } = Classifier.spec(Presets.base.finetune, 1000)
 * assert.deepStrictEqual(head.weight.shape, [1000, 768])
 * ```
 */
import { Effect } from "effect"
import * as Config from "../../domain/config/Config.ts"
import type { FinetuneConfig } from "../../domain/config/FinetuneConfig.ts"
import type * as Weights from "../../layers/weights/Weights.ts"
import type * as Pooling from "../../nn/blocks/Pooling.ts"
import { spec as network } from "../../nn/finetune/Classifier.ts"
import * as Dim from "../../shapes/Dim.ts"
import * as Inference from "./Inference.ts"
import * as VitSizes from "./VitSizes.ts"

/** A trained classifier: arrays under their official names. */
export interface Classifier {
  readonly config: FinetuneConfig
  readonly classes: ReadonlyArray<string>
  /** The WordNet numbers of the classes, if they are known beside the names. */
  readonly synsets?: ReadonlyArray<string>
  readonly tensors: Weights.Tensors
}

/** Returns the sizes of a classifier for a number of classes. */
export const sizes = (config: FinetuneConfig, classes: number) => ({
  ...VitSizes.positioned(config.vit),
  pooling: config.vit.pooling,
  headScale: config.headScale,
  classes: Dim.named("classes", classes)
})

/** Returns the arrays of a classifier for a number of classes, under their official names. */
export const spec = (config: FinetuneConfig, classes: number) => network(sizes(config, classes))

/** Renames a classifier's arrays to the names of its inferences. */
export const weights = (trained: Pick<Classifier, "tensors">): Weights.Tensors => Inference.parameters(trained.tensors)

/** Refuses features that a classifier does not have. A classifier of mean tokens has no final norm for its class token. */
export const checkPooling = (
  config: FinetuneConfig,
  options: Pooling.Options
): Effect.Effect<void, Config.ConfigError> =>
  options.finalNorm && options.pooling === "cls" && config.vit.pooling === "mean"
    ? Effect.fail(
      new Config.ConfigError({
        source: "features",
        problems: [{
          path: "finalNorm",
          message: "expected false with the class token, because a classifier of mean tokens has no norm for it"
        }]
      })
    )
    : Effect.void
