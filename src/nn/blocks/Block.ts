/**
 * A pre-norm transformer block: `x + g₁·attention(norm x)`, then `x + g₂·mlp(norm x)`.
 *
 * Queries and values have a bias, keys have none. Layer scale is applied before drop path. Layer norm's epsilon is 1e-6, and
 * GELU is the exact one throughout (`modeling_finetune.py`, class `Block`).
 *
 * ```ts
 * import assert from "node:assert"
 * import { Block } from "patchword/nn"
 * import { Tensor } from "patchword/shapes"
 *
 * const norm = { weight: Tensor.fill([8], 1), bias: Tensor.zeros([8]) }
 * const linear = { weight: Tensor.zeros([8, 8]), bias: Tensor.zeros([8]) }
 * const attn = { qkv: { weight: Tensor.zeros([24, 8]) }, proj: linear }
 * const params = { norm1: norm, attn, norm2: norm, mlp: { fc1: linear, fc2: linear } }
 * assert.deepStrictEqual(Block.forward(params, Tensor.zeros([2, 5, 8]), { heads: 2 }).shape, [2, 5, 8])
 * ```
 */
import { gelu } from "../../shapes/Activation.ts"
import { attention, mergeHeads, queryValueBias, relativeBias, splitHeads } from "../../shapes/Attention.ts"
import { add, addBias, scaleChannels, scaleSamples } from "../../shapes/Elementwise.ts"
import { boundary } from "../../shapes/Gradient.ts"
import type { HostTensor } from "../../shapes/HostTensor.ts"
import { linear, project } from "../../shapes/Linear.ts"
import { layerNorm } from "../../shapes/Normalization.ts"
import type { Shape } from "../../shapes/Shape.ts"
import { part } from "../../shapes/Step.ts"
import type { Tensor } from "../../shapes/Tensor.ts"
import type { AttentionParams, BlockParams, Given, Sequence, Sizes, TokensOf } from "./BlockParams.ts"
import type * as DropPath from "./DropPath.ts"

/** The epsilon of layer norms in every network of BEiT. */
export const EPSILON = 1e-6

/** The row of the relative position table for every pair of tokens. */
export type RelativeIndex<T extends number> = HostTensor<[T, T], "int32">

/** The inputs of a block besides its parameters and tokens. */
export interface Context<B extends number, N extends Sizes> {
  readonly heads: N["heads"]
  /** The bias that all blocks share. */
  readonly bias?: Tensor<[N["heads"], TokensOf<N>, TokensOf<N>]> | undefined
  /** The rows of the block's own table. */
  readonly index?: RelativeIndex<TokensOf<N>> | undefined
  readonly dropPath?: DropPath.Factors<B> | undefined
  /** The epsilon of layer norms. {@link EPSILON} by default. */
  readonly epsilon?: number | undefined
}

/** Computes queries, keys and values of all heads, and the bias of the attention scores. */
export const headsOf = <B extends number, N extends Sizes>(
  params: AttentionParams<N>,
  x: Given<B, N>,
  context: Context<B, N>
) => {
  const { q_bias, qkv, relative_position_bias_table: table, v_bias } = params
  const { bias: shared, heads, index } = context
  const joint = project(x, qkv.weight)
  const biased = q_bias && v_bias ? addBias(joint, queryValueBias(q_bias, v_bias)) : joint
  const own = table && index && relativeBias(table, index)
  return { ...splitHeads(biased, x.shape[2], heads), bias: own && shared ? add(own, shared) : own ?? shared }
}

/** Applies self-attention. */
export const selfAttention = <B extends number, N extends Sizes>(
  params: AttentionParams<N>,
  x: Given<B, N>,
  context: Context<B, N>
): Sequence<B, N> => {
  const { bias, k, q, v } = headsOf(params, x, context)
  return linear(mergeHeads(attention(q, k, v, bias), x.shape[2]), params.proj)
}

/** Computes `x + dropPath · γ · branch`. */
const residual = <B extends number, S extends Shape, C extends number>(
  x: Tensor<[B, ...S, C]>,
  branch: Tensor<[B, ...S, C]>,
  gamma: Tensor<[C]> | undefined,
  dropPath: Tensor<[B]> | undefined
): Tensor<[B, ...S, C]> => {
  const scaled = gamma === undefined ? branch : scaleChannels<[B, ...S], C>(branch, gamma)
  return add(x, dropPath === undefined ? scaled : scaleSamples<B, [...S, C]>(scaled, dropPath))
}

/** Applies the first half of the block, the attention between tokens. */
export const attend = <B extends number, N extends Sizes>(
  params: BlockParams<N>,
  tokens: Given<B, N>,
  context: Context<B, N>
): Sequence<B, N> =>
  part(() => {
    const x = boundary(tokens)
    const branch = selfAttention(params.attn, layerNorm(x, params.norm1, context.epsilon ?? EPSILON), context)
    return residual(x, branch, params.gamma_1, context.dropPath?.attention)
  })

/**
 * Applies the second half, the MLP, to every token separately: any number of tokens `[B, ..., C]`, with one factor for each
 * `B`.
 */
export const transform = <B extends number, S extends Shape, N extends Sizes>(
  params: BlockParams<N>,
  x: Tensor<[B, ...S, NoInfer<N["width"]>]>,
  dropPath: Tensor<[B]> | undefined,
  epsilon = EPSILON
): Tensor<[B, ...S, N["width"]]> =>
  part(() => {
    const { gamma_2, mlp, norm2 } = params
    const branch = linear(gelu(linear(layerNorm(x, norm2, epsilon), mlp.fc1)), mlp.fc2)
    return residual(x, branch, gamma_2, dropPath)
  })

/** Applies the whole block. */
export const forward = <B extends number, N extends Sizes>(
  params: BlockParams<N>,
  x: Given<B, N>,
  context: Context<B, N>
): Sequence<B, N> => transform(params, attend(params, x, context), context.dropPath?.mlp, context.epsilon)
