/**
 * A head of one convolution on one map of the pyramid (mmsegmentation's `FCNHead`). It is the auxiliary head of UperNet.
 *
 * ```ts
 * import assert from "node:assert"
 * import { FcnHead } from "patchword/nn"
 *
 * const { convs } = FcnHead.spec({ width: 768, channels: 256, classes: 150 })
 * assert.deepStrictEqual(convs[0].conv.weight.shape, [256, 768, 3, 3])
 * ```
 */
import { linear } from "../../shapes/Linear.ts"
import { type Pixels, scaleChannels } from "../../shapes/maps/FeatureMap.ts"
import type { Tensor } from "../../shapes/Tensor.ts"
import { asLinear, type PatchParams } from "../../shapes/Tokens.ts"
import type * as Parameter from "../blocks/Parameter.ts"
import * as ConvModule from "./ConvModule.ts"
import { classifier } from "./LinearHead.ts"
import type { Norms } from "./Norms.ts"

/** The parameters, under the official names. */
export interface Params<in out I extends number, in out C extends number, in out K extends number> {
  readonly convs: readonly [ConvModule.Params<I, C, 3>]
  readonly conv_seg: PatchParams<C, 1, K>
}

/** The running statistics. */
export interface Statistics<in out C extends number> {
  readonly convs: readonly [ConvModule.Statistics<C>]
}

/** Specifies the parameters of a head with one convolution. */
export const spec = <I extends number, C extends number, K extends number>(
  sizes: { readonly width: I; readonly channels: C; readonly classes: K }
): Parameter.ParametersOf<Params<I, C, K>> => {
  const { channels, classes, width } = sizes
  return { convs: [ConvModule.spec(width, channels, 3)], conv_seg: classifier(channels, classes) }
}

/** Specifies the running statistics. */
export const running = <C extends number>(channels: C): Parameter.ParametersOf<Statistics<C>> => ({
  convs: [ConvModule.running(channels)]
})

/** Drops channels of a map, then computes logits: `[B, H, W, C]` to `[B, H, W, K]`. `factors` are those of the channels. */
export const classify = <B extends number, C extends number, K extends number>(
  params: PatchParams<C, 1, K>,
  map: Pixels<B, C>,
  factors: Tensor<[B, C]> | undefined
): Pixels<B, K> => linear(factors === undefined ? map : scaleChannels(map, factors), asLinear(params))

/** Computes the logits of a map, `[B, H, W, I]` to `[B, H, W, K]`. `factors` are those of dropped channels, `[B, C]`. */
export const forward = <B extends number, I extends number, C extends number, K extends number>(
  params: Params<I, C, K>,
  statistics: Statistics<NoInfer<C>>,
  map: Pixels<B, NoInfer<I>>,
  context: { readonly norms: Norms; readonly factors?: Tensor<[NoInfer<B>, NoInfer<C>]> | undefined }
): Pixels<B, K> => {
  const { conv_seg, convs } = params
  return classify(conv_seg, ConvModule.forward(convs[0], statistics.convs[0], map, context.norms), context.factors)
}
