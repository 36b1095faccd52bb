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
 * const sizes = { width: 8, hidden: 32, heads: 2, relativeRows: 12 }
 * const regime = Parameter.finetuning
 * const options = { ...sizes, ownTable: false, qkvBias: true, layerScale: 0, regime, place: 0 } as const
 * const { attn, mlp } = Block.spec(options)
 * assert.deepStrictEqual(attn.qkv.weight.shape, [24, 8])
 * assert.deepStrictEqual(mlp.fc1.weight.shape, [32, 8])
 * ```
 */
import * as Activation from "../shapes/Activation.ts"
import * as Attention from "../shapes/Attention.ts"
import * as Dim from "../shapes/Dim.ts"
import * as Elementwise from "../shapes/Elementwise.ts"
import * as Gradient from "../shapes/Gradient.ts"
import type { HostTensor } from "../shapes/HostTensor.ts"
import * as Linear from "../shapes/Linear.ts"
import * as Normalization from "../shapes/Normalization.ts"
import type { Shape } from "../shapes/Shape.ts"
import type { Tensor } from "../shapes/Tensor.ts"
import * as Parameter from "./Parameter.ts"

/** Layer norm's epsilon in every network of BEiT. */
export const EPSILON = 1e-6

/** Attention over `C` channels by `H` heads; the table has one row for each of `R` relative positions. */
export interface AttentionParams<in out C extends number, in out H extends number, in out R extends number> {
  readonly q_bias?: Tensor<[C]>
  readonly v_bias?: Tensor<[C]>
  readonly relative_position_bias_table?: Tensor<[R, H]>
  readonly qkv: { readonly weight: Tensor<[Dim.Mul<3, C>, C]> }
  readonly proj: Linear.LinearParams<C, C>
}

/** A block of `C` channels with `F` in its MLP. */
export interface BlockParams<
  in out C extends number,
  in out F extends number,
  in out H extends number,
  in out R extends number
> {
  readonly gamma_1?: Tensor<[C]>
  readonly gamma_2?: Tensor<[C]>
  readonly norm1: Normalization.NormParams<C>
  readonly attn: AttentionParams<C, H, R>
  readonly norm2: Normalization.NormParams<C>
  readonly mlp: { readonly fc1: Linear.LinearParams<C, F>; readonly fc2: Linear.LinearParams<F, C> }
}

/** Factors of both branches of a block, 0 for dropped samples and `1/(1-p)` for kept ones. */
export interface DropPath<in out B extends number> {
  readonly attention: Tensor<[B]>
  readonly mlp: Tensor<[B]>
}

/** Relative positions as a table's rows for every pair of tokens. */
export type RelativeIndex<T extends number> = HostTensor<[T, T], "int32">

/** The sizes and the kind of a block. */
export interface BlockOptions<C extends number, F extends number, H extends number, R extends number> {
  readonly width: C
  readonly hidden: F
  readonly heads: H
  readonly relativeRows: R
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
export const spec = <C extends number, F extends number, H extends number, R extends number>(
  { heads, hidden, layerScale, ownTable, place, qkvBias, regime, relativeRows, width }: BlockOptions<C, F, H, R>
): Parameter.ParametersOf<BlockParams<C, F, H, R>> => {
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
      proj: {
        weight: Parameter.linearWeight([width, width], regime, outputFactor),
        bias: Parameter.linearBias([width], width, regime)
      }
    },
    norm2: norm(width),
    mlp: {
      fc1: {
        weight: Parameter.linearWeight([hidden, width], regime),
        bias: Parameter.linearBias([hidden], width, regime)
      },
      fc2: {
        weight: Parameter.linearWeight([width, hidden], regime, outputFactor),
        bias: Parameter.linearBias([width], hidden, regime)
      }
    }
  }
}

/** What a block needs beside its parameters and its input. */
export interface Context<B extends number, T extends number, H extends number> {
  readonly heads: H
  /** The bias that all blocks share, `[H, T, T]`. */
  readonly bias?: Tensor<[H, T, T]> | undefined
  /** How a block's own table is read. */
  readonly index?: RelativeIndex<T> | undefined
  readonly dropPath?: DropPath<B> | undefined
  /** Added to the variance in layer norms; {@link EPSILON} when absent. */
  readonly epsilon?: number | undefined
}

const added = <S extends [number, number, number]>(
  a: Tensor<S> | undefined,
  b: Tensor<S> | undefined
): Tensor<S> | undefined => (a === undefined ? b : b === undefined ? a : Elementwise.add(a, b))

/** The heads' queries, keys and values, and the bias of their scores. */
export const project = <B extends number, T extends number, C extends number, H extends number, R extends number>(
  params: AttentionParams<C, H, R>,
  x: Tensor<[B, T, C]>,
  { bias, heads, index }: Context<B, T, H>
) => {
  const joint = Linear.project(x, params.qkv.weight)
  const { q_bias, relative_position_bias_table: table, v_bias } = params
  const biased = q_bias === undefined || v_bias === undefined
    ? joint
    : Elementwise.addBias(joint, Attention.queryValueBias(q_bias, v_bias))
  const own = table === undefined || index === undefined ? undefined : Attention.relativeBias(table, index)
  return { ...Attention.splitHeads(biased, x.shape[2], heads), bias: added(own, bias) }
}

/** Self-attention, `[B, T, C]` to `[B, T, C]`. */
export const attention = <B extends number, T extends number, C extends number, H extends number, R extends number>(
  params: AttentionParams<C, H, R>,
  x: Tensor<[B, T, C]>,
  context: Context<B, T, H>
): Tensor<[B, T, C]> => {
  const { bias, key, query, value } = project(params, x, context)
  return Linear.linear(Attention.mergeHeads(Attention.attention(query, key, value, bias), x.shape[2]), params.proj)
}

const residual = <B extends number, R extends Shape, C extends number>(
  x: Tensor<[B, ...R, C]>,
  branch: Tensor<[B, ...R, C]>,
  gamma: Tensor<[C]> | undefined,
  dropPath: Tensor<[B]> | undefined
): Tensor<[B, ...R, C]> => {
  const scaled = gamma === undefined ? branch : Elementwise.scaleChannels<[B, ...R], C>(branch, gamma)
  return Elementwise.add(x, dropPath === undefined ? scaled : Elementwise.scaleSamples<B, [...R, C]>(scaled, dropPath))
}

/** The first half of the block, in which tokens see each other: `[B, T, C]` to `[B, T, C]`. */
export const attend = <
  B extends number,
  T extends number,
  C extends number,
  F extends number,
  H extends number,
  R extends number
>(
  params: BlockParams<C, F, H, R>,
  tokens: Tensor<[B, T, C]>,
  context: Context<B, T, H>
): Tensor<[B, T, C]> => {
  const x = Gradient.boundary(tokens)
  const branch = attention(params.attn, Normalization.layerNorm(x, params.norm1, context.epsilon ?? EPSILON), context)
  return residual<B, [T], C>(x, branch, params.gamma_1, context.dropPath?.attention)
}

/** The second half, which takes every token by itself: tokens of any number, `[B, ..., C]`, with a factor for each `B`. */
export const transform = <
  B extends number,
  S extends Shape,
  C extends number,
  F extends number,
  H extends number,
  R extends number
>(
  { gamma_2, mlp, norm2 }: BlockParams<C, F, H, R>,
  x: Tensor<[B, ...S, C]>,
  dropPath: Tensor<[B]> | undefined,
  epsilon = EPSILON
): Tensor<[B, ...S, C]> => {
  const hidden = Linear.linear<[B, ...S], C, F>(Normalization.layerNorm<[B, ...S], C>(x, norm2, epsilon), mlp.fc1)
  return residual<B, S, C>(x, Linear.linear<[B, ...S], F, C>(Activation.gelu(hidden), mlp.fc2), gamma_2, dropPath)
}

/** The block, `[B, T, C]` to `[B, T, C]`. */
export const forward = <
  B extends number,
  T extends number,
  C extends number,
  F extends number,
  H extends number,
  R extends number
>(
  params: BlockParams<C, F, H, R>,
  x: Tensor<[B, T, C]>,
  context: Context<B, T, H>
): Tensor<[B, T, C]> =>
  transform<B, [T], C, F, H, R>(params, attend(params, x, context), context.dropPath?.mlp, context.epsilon)
