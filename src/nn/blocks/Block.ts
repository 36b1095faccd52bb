/**
 * One pre-norm transformer block: `x + g₁·attention(norm x)`, then `x + g₂·mlp(norm x)`.
 *
 * Queries and values have a bias, keys have none. Layer scale stands inside drop path. Layer norm's epsilon is 1e-6 and
 * GELU the exact one throughout (`modeling_finetune.py`, class `Block`).
 *
 * ```ts
 * import assert from "node:assert"
 * import { Block, Parameter } from "patchword/nn"
 *
 * const sizes = { width: 8, hidden: 32, heads: 2, patches: 4, relativeRows: 12 }
 * const kind = { ownTable: false, qkvBias: true, layerScale: 0, regime: Parameter.finetuning, place: 0 }
 * const { attn, mlp } = Block.spec(sizes, kind)
 * assert.deepStrictEqual(attn.qkv.weight.shape, [24, 8])
 * assert.deepStrictEqual(mlp.fc1.weight.shape, [32, 8])
 * ```
 */
import { gelu } from "../../shapes/Activation.ts"
import * as Attention from "../../shapes/Attention.ts"
import * as Dim from "../../shapes/Dim.ts"
import { add, addBias, scaleChannels, scaleSamples } from "../../shapes/Elementwise.ts"
import * as Gradient from "../../shapes/Gradient.ts"
import type { HostTensor } from "../../shapes/HostTensor.ts"
import * as Linear from "../../shapes/Linear.ts"
import * as Normalization from "../../shapes/Normalization.ts"
import type { Shape } from "../../shapes/Shape.ts"
import type { Tensor } from "../../shapes/Tensor.ts"
import type * as DropPath from "./DropPath.ts"
import * as Parameter from "./Parameter.ts"

/** Layer norm's epsilon in every network of BEiT. */
export const EPSILON = 1e-6

/**
 * The sizes of a block. A network has one type parameter, `N`: its sizes.
 *
 * A setter that takes nothing makes a size readable alone. Where a property can be written, TypeScript takes any number
 * for `N["width"]`, and so any tensor for any other.
 */
export interface Sizes {
  get width(): number
  set width(_: never)
  /** The channels inside the MLP. */
  get hidden(): number
  set hidden(_: never)
  get heads(): number
  set heads(_: never)
  /** The patches that it sees, beside a class token. */
  get patches(): number
  set patches(_: never)
  /** The rows of its table: one for each relative position. */
  get relativeRows(): number
  set relativeRows(_: never)
}

/** How many tokens there are: the patches and the class token. */
export type TokensOf<N extends Sizes> = Dim.Plus<N["patches"], 1>

/** The tokens of `B` images, `[B, T, C]`. */
export type Sequence<B extends number, N extends Sizes> = Tensor<[B, TokensOf<N>, N["width"]]>

/** The tokens of `B` images as an argument: parameters say what `N` is. */
export type Given<B extends number, N extends Sizes> = Tensor<[B, NoInfer<TokensOf<N>>, NoInfer<N["width"]>]>

/** Attention under the official names. */
export interface AttentionParams<in out N extends Sizes> {
  readonly q_bias?: Tensor<[N["width"]]>
  readonly v_bias?: Tensor<[N["width"]]>
  readonly relative_position_bias_table?: Tensor<[N["relativeRows"], N["heads"]]>
  readonly qkv: { readonly weight: Tensor<[Dim.Mul<3, N["width"]>, N["width"]]> }
  readonly proj: Linear.LinearParams<N["width"], N["width"]>
}

/** A block under the official names. */
export interface BlockParams<in out N extends Sizes> {
  readonly gamma_1?: Tensor<[N["width"]]>
  readonly gamma_2?: Tensor<[N["width"]]>
  readonly norm1: Normalization.NormParams<N["width"]>
  readonly attn: AttentionParams<N>
  readonly norm2: Normalization.NormParams<N["width"]>
  readonly mlp: {
    readonly fc1: Linear.LinearParams<N["width"], N["hidden"]>
    readonly fc2: Linear.LinearParams<N["hidden"], N["width"]>
  }
}

/** Relative positions as a table's rows for every pair of tokens. */
export type RelativeIndex<T extends number> = HostTensor<[T, T], "int32">

/** What a block needs beside its parameters and its input. */
export interface Context<B extends number, N extends Sizes> {
  readonly heads: N["heads"]
  /** The bias that all blocks share. */
  readonly bias?: Tensor<[N["heads"], TokensOf<N>, TokensOf<N>]> | undefined
  /** How a block's own table is read. */
  readonly index?: RelativeIndex<TokensOf<N>> | undefined
  readonly dropPath?: DropPath.Factors<B> | undefined
  /** Added to the variance in layer norms; {@link EPSILON} when absent. */
  readonly epsilon?: number | undefined
}

const sum = <S extends Shape>(a: Tensor<S> | undefined, b: Tensor<S> | undefined): Tensor<S> | undefined =>
  a === undefined ? b : b === undefined ? a : add(a, b)

/** The heads' queries, keys and values, and the bias of their scores. */
export const project = <B extends number, N extends Sizes>(
  { q_bias, qkv, relative_position_bias_table: table, v_bias }: AttentionParams<N>,
  x: Given<B, N>,
  { bias, heads, index }: Context<B, N>
) => {
  const joint = Linear.project(x, qkv.weight)
  const biased = q_bias && v_bias ? addBias(joint, Attention.queryValueBias(q_bias, v_bias)) : joint
  const own = table && index && Attention.relativeBias(table, index)
  return { ...Attention.splitHeads(biased, x.shape[2], heads), bias: sum(own, bias) }
}

/** Self-attention. */
export const attention = <B extends number, N extends Sizes>(
  params: AttentionParams<N>,
  x: Given<B, N>,
  context: Context<B, N>
): Sequence<B, N> => {
  const { bias, key, query, value } = project(params, x, context)
  return Linear.linear(Attention.mergeHeads(Attention.attention(query, key, value, bias), x.shape[2]), params.proj)
}

const residual = <B extends number, S extends Shape, C extends number>(
  x: Tensor<[B, ...S, C]>,
  branch: Tensor<[B, ...S, C]>,
  gamma: Tensor<[C]> | undefined,
  dropPath: Tensor<[B]> | undefined
): Tensor<[B, ...S, C]> => {
  const scaled = gamma === undefined ? branch : scaleChannels<[B, ...S], C>(branch, gamma)
  return add(x, dropPath === undefined ? scaled : scaleSamples<B, [...S, C]>(scaled, dropPath))
}

/** The first half of the block, in which tokens see each other. */
export const attend = <B extends number, N extends Sizes>(
  { attn, gamma_1, norm1 }: BlockParams<N>,
  tokens: Given<B, N>,
  context: Context<B, N>
): Sequence<B, N> => {
  const x = Gradient.boundary(tokens)
  const branch = attention(attn, Normalization.layerNorm(x, norm1, context.epsilon ?? EPSILON), context)
  return residual(x, branch, gamma_1, context.dropPath?.attention)
}

/** The second half, which takes every token by itself: tokens of any number, `[B, ..., C]`, with a factor for each `B`. */
export const transform = <B extends number, S extends Shape, N extends Sizes>(
  { gamma_2, mlp, norm2 }: BlockParams<N>,
  x: Tensor<[B, ...S, NoInfer<N["width"]>]>,
  dropPath: Tensor<[B]> | undefined,
  epsilon = EPSILON
): Tensor<[B, ...S, N["width"]]> => {
  const hidden = gelu(Linear.linear(Normalization.layerNorm(x, norm2, epsilon), mlp.fc1))
  return residual(x, Linear.linear(hidden, mlp.fc2), gamma_2, dropPath)
}

/** The block. */
export const forward = <B extends number, N extends Sizes>(
  params: BlockParams<N>,
  x: Given<B, N>,
  context: Context<B, N>
): Sequence<B, N> => transform(params, attend(params, x, context), context.dropPath?.mlp, context.epsilon)

/** What kind of block it is, and how it begins. */
export interface Kind {
  /** Whether it has a table of relative positions of its own. */
  readonly ownTable: boolean
  readonly qkvBias: boolean
  /** The first value of the layer scale; 0 for none. */
  readonly layerScale: number
  readonly regime: Parameter.Regime
  /** Place in the network, counted from 0: the output layers of deeper blocks begin smaller. */
  readonly place: number
}

/** Weight and bias of a layer norm. */
export const norm = <C extends number>(width: C): Parameter.ParametersOf<Normalization.NormParams<C>> => ({
  weight: Parameter.ones([width]),
  bias: Parameter.zeros([width])
})

/** The parameters of a block. */
export const spec = <const N extends Sizes>(
  { heads, hidden, relativeRows, width }: Readonly<N>,
  { layerScale, ownTable, place, qkvBias, regime }: Kind
): Parameter.ParametersOf<BlockParams<N>> => {
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
