/**
 * A linear head: a batch normalisation without parameters and a linear layer on the last block's patch tokens. Its logits are
 * enlarged to the image. It shows what a backbone knows, since it adds hardly anything to it.
 *
 * ```ts
 * import assert from "node:assert"
 * import { LinearHead } from "patchword/nn"
 *
 * const { parameters } = LinearHead.make({ width: 768, classes: 150 })
 * assert.deepStrictEqual(parameters.decode_head.conv_seg.weight.shape, [150, 768, 1, 1])
 * ```
 */
import { linear } from "../../shapes/Linear.ts"
import type { Running } from "../../shapes/maps/BatchNorm.ts"
import { layerNorm } from "../../shapes/Normalization.ts"
import type { Tensor } from "../../shapes/Tensor.ts"
import type { PatchParams } from "../../shapes/Tokens.ts"
import { asLinear } from "../../shapes/Tokens.ts"
import * as Block from "../blocks/Block.ts"
import * as Parameter from "../blocks/Parameter.ts"
import type * as Head from "./Head.ts"
import * as Norms from "./Norms.ts"

/** The tensors of the head. */
export interface Parts<C extends number, K extends number> extends Head.Parts {
  readonly parameters: { readonly decode_head: { readonly conv_seg: PatchParams<C, 1, K> } }
  readonly running: { readonly decode_head: { readonly bn: Running<C> } }
  readonly dropout: Readonly<Record<never, never>>
}

/** The weight of a layer that makes logits: normal with the standard deviation 0.01, as in mmsegmentation. */
export const classifier = <C extends number, K extends number>(
  width: C,
  classes: K
): Parameter.ParametersOf<PatchParams<C, 1, K>> => ({
  weight: Parameter.normal([classes, width, 1, 1], { ...Parameter.finetuning, deviation: 0.01, cut: Infinity }),
  bias: Parameter.zeros([classes])
})

/** Normalises tokens `[..., C]` one by one, without weights: those of a linear layer behind it do the same. */
export const finalNorm = <L extends ReadonlyArray<number>, C extends number>(
  tokens: Tensor<[...L, C]>,
  width: C,
  epsilon: number = Block.EPSILON
): Tensor<[...L, C]> => layerNorm<L, C>(tokens, Norms.plain(width), epsilon)

/** The options of the head. */
export interface Options {
  /** True if the head sees the tokens behind a layer norm; default false. */
  readonly finalNorm?: boolean | undefined
  /** The epsilon of that norm. `Block.EPSILON` by default. */
  readonly epsilon?: number | undefined
}

/** Makes the head. */
export const make = <C extends number, K extends number>(
  sizes: { readonly width: C; readonly classes: K },
  options: Options = {}
): Head.Head<C, K, Parts<C, K>> => {
  const { classes, width } = sizes
  return {
    name: "linear",
    classes,
    parameters: { decode_head: { conv_seg: classifier(width, classes) } },
    running: { decode_head: { bn: Norms.runningSpec(width) } },
    dropout: () => ({}),
    forward: ({ decode_head }, maps, { norms, running }) => {
      const map = options.finalNorm === true ? finalNorm(maps[3], width, options.epsilon) : maps[3]
      const normal = norms.normalise(map, Norms.plain(width), running.decode_head.bn)
      return { main: linear(normal, asLinear(decode_head.conv_seg)) }
    }
  }
}
