/**
 * What the networks that teach have in common: pre-norm blocks whose queries, keys and values all have a bias, and absolute
 * positions that are carried over to images of another size than their own while they run.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Grid } from "patchword/domain"
 * import { TeacherVit } from "patchword/nn"
 * import { Tensor } from "patchword/shapes"
 *
 * const table = Tensor.zeros([1, 5, 8])
 * const larger = TeacherVit.positions(table, Grid.square(2), Grid.square(3), 10)
 * assert.deepStrictEqual(larger.shape, [1, 10, 8])
 * ```
 */
import type { Grid } from "../domain/Grid.ts"
import * as Positions from "../domain/Positions.ts"
import * as Attention from "../shapes/Attention.ts"
import type * as Dim from "../shapes/Dim.ts"
import * as Elementwise from "../shapes/Elementwise.ts"
import * as HostTensor from "../shapes/HostTensor.ts"
import * as Linear from "../shapes/Linear.ts"
import * as Normalization from "../shapes/Normalization.ts"
import type { Shape } from "../shapes/Shape.ts"
import type { TensorSpec } from "../shapes/Step.ts"
import type { Tensor } from "../shapes/Tensor.ts"
import * as Tokens from "../shapes/Tokens.ts"

/** A block of `C` channels with `F` in its MLP. The teachers' official names are translated into these. */
export interface BlockParams<in out C extends number, in out F extends number> {
  readonly attentionNorm: Normalization.NormParams<C>
  readonly qkv: Linear.LinearParams<C, Dim.Mul<3, C>>
  readonly proj: Linear.LinearParams<C, C>
  /** Factors of the channels of what attention and MLP add (layer scale). */
  readonly attentionScale?: Tensor<[C]>
  readonly mlpScale?: Tensor<[C]>
  readonly mlpNorm: Normalization.NormParams<C>
  readonly expand: Linear.LinearParams<C, F>
  readonly contract: Linear.LinearParams<F, C>
}

/** The specification of a parameter. */
export const tensor = <const S extends Shape>(shape: S): TensorSpec<{ -readonly [K in keyof S]: S[K] }, "float32"> => ({
  shape: shape as { -readonly [K in keyof S]: S[K] },
  dtype: "float32"
})

/** The specification of a linear layer. */
export const linear = <In extends number, Out extends number>(width: In, out: Out) => ({
  weight: tensor([out, width]),
  bias: tensor([out])
})

/** The specification of a layer norm. */
export const norm = <C extends number>(width: C) => ({ weight: tensor([width]), bias: tensor([width]) })

/** What distinguishes the blocks of one teacher from those of another. */
export interface Kind<H extends number> {
  readonly heads: H
  readonly epsilon: number
  readonly activation: <S extends ReadonlyArray<number>>(x: Tensor<S>) => Tensor<S>
}

const project = <B extends number, T extends number, C extends number, F extends number, H extends number>(
  params: BlockParams<C, F>,
  x: Tensor<[B, T, C]>,
  { epsilon, heads }: Kind<H>
) => {
  const normed = Normalization.layerNorm(x, params.attentionNorm, epsilon)
  return Attention.splitHeads(Linear.linear(normed, params.qkv), x.shape[2], heads)
}

const scaled = <B extends number, T extends number, C extends number>(
  x: Tensor<[B, T, C]>,
  factors: Tensor<[C]> | undefined
): Tensor<[B, T, C]> => factors === undefined ? x : Elementwise.scaleChannels<[B, T], C>(x, factors)

/** The block, `[B, T, C]` to `[B, T, C]`. */
export const block = <B extends number, T extends number, C extends number, F extends number, H extends number>(
  params: BlockParams<C, F>,
  x: Tensor<[B, T, C]>,
  kind: Kind<H>
): Tensor<[B, T, C]> => {
  const { key, query, value } = project(params, x, kind)
  const heads = Attention.mergeHeads(Attention.attention(query, key, value), x.shape[2])
  const attended = Elementwise.add(x, scaled(Linear.linear(heads, params.proj), params.attentionScale))
  const hidden = Linear.linear(Normalization.layerNorm(attended, params.mlpNorm, kind.epsilon), params.expand)
  return Elementwise.add(attended, scaled(Linear.linear(kind.activation(hidden), params.contract), params.mlpScale))
}

/** What the block weighs the tokens with, `[B, H, T, T]`, for an input `[B, T, C]`. */
export const attention = <B extends number, T extends number, C extends number, F extends number, H extends number>(
  params: BlockParams<C, F>,
  x: Tensor<[B, T, C]>,
  kind: Kind<H>
): Tensor<[B, H, T, T]> => {
  const { key, query } = project(params, x, kind)
  return Attention.attentionWeights(query, key)
}

/**
 * Positions `[1, T, C]` of the grid `from`, class token first, for the grid `to` of `N - 1` patches: `[1, N, C]`. Bicubic,
 * as the official code does it at run time: by default `Positions.resizeAtRunTime`.
 */
export const positions = <T extends number, C extends number, N extends number>(
  table: Tensor<[1, T, C]>,
  from: Grid,
  to: Grid,
  tokens: N,
  resize: typeof Positions.resize = Positions.resizeAtRunTime
): Tensor<[1, N, C]> => {
  const known = table.shape[1]
  // Resizing is linear, so what it does to unit vectors are the weights of the rows.
  const unit = Float32Array.from({ length: known * known }, (_, i) => (i % (known + 1) === 0 ? 1 : 0))
  const weights = resize(unit, known, from, to)
  return Tokens.blend(HostTensor.make([tokens, known], "float32", weights), table)
}
