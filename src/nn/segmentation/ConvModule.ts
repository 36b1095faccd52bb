/**
 * The unit of segmentation heads: a convolution without a bias, a batch normalisation and a ReLU (mmcv's `ConvModule`).
 *
 * ```ts
 * import assert from "node:assert"
 * import { ConvModule } from "patchword/nn"
 *
 * const { conv } = ConvModule.spec(768, 256, 3)
 * assert.deepStrictEqual(conv.weight.shape, [256, 768, 3, 3])
 * ```
 */
import { relu } from "../../shapes/Activation.ts"
import type { Running } from "../../shapes/maps/BatchNorm.ts"
import { convolve, type Pixels } from "../../shapes/maps/FeatureMap.ts"
import type { NormParams } from "../../shapes/Normalization.ts"
import type { Tensor } from "../../shapes/Tensor.ts"
import * as BlockParams from "../blocks/BlockParams.ts"
import * as Parameter from "../blocks/Parameter.ts"
import * as Norms from "./Norms.ts"

/** The parameters, under the official names. The kernel has `K` by `K` pixels. */
export interface Params<in out I extends number, in out O extends number, in out K extends number> {
  readonly conv: { readonly weight: Tensor<[O, I, K, K]> }
  readonly bn: NormParams<O>
}

/** The running statistics. */
export interface Statistics<in out O extends number> {
  readonly bn: Running<O>
}

/** Specifies the parameters. Weights are normal with the standard deviation `√(2 / (O·K·K))`. */
export const spec = <I extends number, O extends number, K extends number>(
  into: I,
  out: O,
  kernel: K
): Parameter.ParametersOf<Params<I, O, K>> => {
  const deviation = Math.sqrt(2 / (out * kernel * kernel))
  const regime = { ...Parameter.finetuning, deviation, cut: Infinity }
  return { conv: { weight: Parameter.normal([out, into, kernel, kernel], regime) }, bn: BlockParams.norm(out) }
}

/** Specifies the running statistics. */
export const running = <O extends number>(out: O): Parameter.ParametersOf<Statistics<O>> => ({
  bn: Norms.runningSpec(out)
})

/** Applies the unit to maps `[B, H, W, I]`. */
export const forward = <B extends number, I extends number, O extends number, K extends number>(
  params: Params<I, O, K>,
  statistics: Statistics<NoInfer<O>>,
  x: Pixels<B, NoInfer<I>>,
  norms: Norms.Norms
): Pixels<B, O> => relu(norms.normalise(convolve(x, params.conv.weight), params.bn, statistics.bn))
