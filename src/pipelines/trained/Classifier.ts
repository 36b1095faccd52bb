/**
 * What fine-tuning gives: a vision transformer that tells classes.
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
import type { FinetuneConfig } from "../../domain/config/FinetuneConfig.ts"
import type * as Weights from "../../layers/weights/Weights.ts"
import { spec as network } from "../../nn/finetune/Classifier.ts"
import * as Dim from "../../shapes/Dim.ts"
import * as Inference from "./Inference.ts"
import * as VitSizes from "./VitSizes.ts"

/** A trained classifier: arrays under their official names. */
export interface Classifier {
  readonly config: FinetuneConfig
  readonly classes: ReadonlyArray<string>
  readonly tensors: Weights.Tensors
}

/** The sizes of a classifier over some number of classes. */
export const sizes = (config: FinetuneConfig, classes: number) => ({
  ...VitSizes.positioned(config.vit),
  pooling: config.vit.pooling,
  headScale: config.headScale,
  classes: Dim.named("classes", classes)
})

/** The arrays of a classifier over some number of classes, under their official names. */
export const spec = (config: FinetuneConfig, classes: number) => network(sizes(config, classes))

/** A classifier's arrays as its inferences name them. */
export const weights = (trained: Pick<Classifier, "tensors">): Weights.Tensors => Inference.parameters(trained.tensors)
