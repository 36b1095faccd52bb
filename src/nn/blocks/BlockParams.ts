/**
 * The sizes, token types and parameters of a transformer block.
 *
 * ```ts
 * import assert from "node:assert"
 * import { BlockParams, Parameter } from "patchword/nn"
 *
 * const sizes = { width: 8, hidden: 32, heads: 2, patches: 4, relativeRows: 12 }
 * const kind = { ownTable: false, qkvBias: true, layerScale: 0, regime: Parameter.finetuning, place: 0 }
 * const { attn, mlp } = BlockParams.spec(sizes, kind)
 * assert.deepStrictEqual(attn.qkv.weight.shape, [24, 8])
 * assert.deepStrictEqual(mlp.fc1.weight.shape, [32, 8])
 * ```
 */
import * as Dim from "../../shapes/Dim.ts"
import type { LinearParams } from "../../shapes/Linear.ts"
import type { NormParams } from "../../shapes/Normalization.ts"
import type { Tensor } from "../../shapes/Tensor.ts"
import * as Parameter from "./Parameter.ts"

/**
 * The sizes of a block. A network has one type parameter, `N`: its sizes.
 *
 * A setter that takes nothing makes a size read-only for the type system. If the property were writable, TypeScript would
 * accept any number for `N["width"]`, and so any tensor for any other.
 */
export interface Sizes {
  get width(): number
  set width(_: never)
  /** The number of channels inside the MLP. */
  get hidden(): number
  set hidden(_: never)
  get heads(): number
  set heads(_: never)
  /** The number of patches, without the class token. */
  get patches(): number
  set patches(_: never)
  /** The number of rows of the relative position table, one for each relative position. */
  get relativeRows(): number
  set relativeRows(_: never)
}

/** The number of tokens: the patches and the class token. */
export type TokensOf<N extends Sizes> = Dim.Plus<N["patches"], 1>

/** The tokens of `B` images, `[B, T, C]`. */
export type Sequence<B extends number, N extends Sizes> = Tensor<[B, TokensOf<N>, N["width"]]>

/** The tokens of `B` images as an argument. `N` is inferred from the parameters only. */
export type Given<B extends number, N extends Sizes> = Tensor<[B, NoInfer<TokensOf<N>>, NoInfer<N["width"]>]>

/** Attention parameters under the official names. */
export interface AttentionParams<in out N extends Sizes> {
  readonly q_bias?: Tensor<[N["width"]]>
  readonly v_bias?: Tensor<[N["width"]]>
  readonly relative_position_bias_table?: Tensor<[N["relativeRows"], N["heads"]]>
  readonly qkv: { readonly weight: Tensor<[Dim.Mul<3, N["width"]>, N["width"]]> }
  readonly proj: LinearParams<N["width"], N["width"]>
}

/** Block parameters under the official names. */
export interface BlockParams<in out N extends Sizes> {
  readonly gamma_1?: Tensor<[N["width"]]>
  readonly gamma_2?: Tensor<[N["width"]]>
  readonly norm1: NormParams<N["width"]>
  readonly attn: AttentionParams<N>
  readonly norm2: NormParams<N["width"]>
  readonly mlp: {
    readonly fc1: LinearParams<N["width"], N["hidden"]>
    readonly fc2: LinearParams<N["hidden"], N["width"]>
  }
}

/** The variant of a block and its initialisation. */
export interface Kind {
  /** True if the block has its own relative position table. */
  readonly ownTable: boolean
  readonly qkvBias: boolean
  /** The initial value of the layer scale, 0 for no layer scale. */
  readonly layerScale: number
  readonly regime: Parameter.Regime
  /** The index of the block in the network, from 0. The output layers of deeper blocks get smaller initial weights. */
  readonly place: number
}

/** Specifies the weight and bias of a layer norm. */
export const norm = <C extends number>(width: C): Parameter.ParametersOf<NormParams<C>> => ({
  weight: Parameter.ones([width]),
  bias: Parameter.zeros([width])
})

/** Specifies the parameters of a block. */
export const spec = <const N extends Sizes>(
  sizes: Readonly<N>,
  kind: Kind
): Parameter.ParametersOf<BlockParams<N>> => {
  const { heads, hidden, relativeRows, width } = sizes
  const { layerScale, ownTable, place, qkvBias, regime } = kind
  const linear = <I extends number, O extends number>(into: I, out: O, factor = 1) => ({
    weight: Parameter.linearWeight([out, into], regime, factor),
    bias: Parameter.linearBias([out], into, regime)
  })
  const outputFactor = 1 / Math.sqrt(2 * (place + 1))
  return {
    ...(layerScale > 0
      ? { gamma_1: Parameter.constant([width], layerScale), gamma_2: Parameter.constant([width], layerScale) }
      : {}),
    norm1: norm(width),
    attn: {
      ...(qkvBias ? { q_bias: Parameter.zeros([width]), v_bias: Parameter.zeros([width]) } : {}),
      ...(ownTable ? { relative_position_bias_table: Parameter.zeros([relativeRows, heads]) } : {}),
      qkv: { weight: Parameter.linearWeight([Dim.mul(3, width), width], regime) },
      proj: linear(width, width, outputFactor)
    },
    norm2: norm(width),
    mlp: { fc1: linear(width, hidden), fc2: linear(hidden, width, outputFactor) }
  }
}
