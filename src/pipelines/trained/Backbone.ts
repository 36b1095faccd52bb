/**
 * The result of pretraining: a vision transformer that predicts the codes of masked patches.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Presets } from "patchword/domain"
 * import { Backbone } from "patchword/pipelines"
 *
 * const { tensors } = Backbone.untrained(Presets.tiny.pretrain, 256)
 * assert.deepStrictEqual(tensors["lm_head.weight"]?.shape, [256, Presets.tiny.pretrain.vit.width])
 * ```
 */
import type { PretrainConfig } from "../../domain/config/PretrainConfig.ts"
import type { Mask } from "../../domain/method/Mask.ts"
import * as Weights from "../../layers/weights/Weights.ts"
import * as Parameter from "../../nn/blocks/Parameter.ts"
import * as Mim from "../../nn/pretrain/Mim.ts"
import * as Dim from "../../shapes/Dim.ts"
import * as Inference from "./Inference.ts"
import * as VitSizes from "./VitSizes.ts"

/** A network before or after pretraining: arrays under their official names. */
export interface Backbone {
  readonly config: PretrainConfig
  /** Number of codes that it predicts. */
  readonly codes: number
  readonly tensors: Weights.Tensors
  /** The mask given in code, if the configuration names one. */
  readonly mask?: Mask
}

/** Returns the sizes of a network that predicts `codes` codes. */
export const sizes = (config: PretrainConfig, codes: number) => ({
  ...VitSizes.positioned(config.vit),
  codes: Dim.named("codes", codes),
  initStd: config.initStd,
  aggregation: config.aggregation
})

/** Returns the arrays of a network that predicts `codes` codes, under their official names. */
export const spec = (config: PretrainConfig, codes: number) => Mim.spec(sizes(config, codes))

/** Returns the network before pretraining: the baseline of every evaluation. */
export const untrained = (config: PretrainConfig, codes: number): Backbone => ({
  config,
  codes,
  tensors: Weights.flatten(Parameter.initialise(spec(config, codes), config.seed))
})

/** Renames a backbone's arrays to the names of its inferences. */
export const weights = (trained: Pick<Backbone, "tensors">): Weights.Tensors => Inference.parameters(trained.tensors)
