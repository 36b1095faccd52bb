/**
 * Pools the tokens of an image into one vector.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Pooling } from "patchword/nn"
 * import { Tensor } from "patchword/shapes"
 *
 * const fc_norm = { weight: Tensor.fill([8], 1), bias: Tensor.zeros([8]) }
 * assert.deepStrictEqual(Pooling.pool(Tensor.zeros([2, 5, 8]), 4, "mean", { fc_norm }).shape, [2, 8])
 * ```
 */
import type * as Dim from "../../shapes/Dim.ts"
import { layerNorm, type NormParams } from "../../shapes/Normalization.ts"
import { meanTokens } from "../../shapes/Reduction.ts"
import type { Tensor } from "../../shapes/Tensor.ts"
import { classToken, patchTokens, squeeze } from "../../shapes/Tokens.ts"
import * as Block from "./Block.ts"

/** The pooling: the mean of the patch tokens, or the class token. */
export type Pooling = "mean" | "cls"

/** Options of a network's pooled features. */
export interface Options {
  readonly pooling: Pooling
  /** True if the features go through the network's final norm. */
  readonly finalNorm: boolean
}

/** The norms under their official names. `norm` comes before pooling, `fc_norm` after mean pooling. */
export interface Norms<in out C extends number> {
  readonly norm?: NormParams<C>
  readonly fc_norm?: NormParams<C>
}

/** Pools tokens `[B, N+1, C]`, class token first, to `[B, C]`. */
export const pool = <B extends number, N extends number, C extends number>(
  tokens: Tensor<[B, NoInfer<Dim.Plus<N, 1>>, C]>,
  patches: N,
  pooling: Pooling,
  norms: Norms<NoInfer<C>>,
  epsilon = Block.EPSILON
): Tensor<[B, C]> => {
  const { fc_norm, norm } = norms
  const normed = norm === undefined ? tokens : layerNorm(tokens, norm, epsilon)
  if (pooling === "cls") return squeeze(classToken(normed))
  const mean = meanTokens(patchTokens(normed, patches))
  return fc_norm === undefined ? mean : layerNorm(mean, fc_norm, epsilon)
}

/** The pooled tokens of several blocks, each `[B, C]`, the oldest block first. */
export interface Blocks<in out B extends number, in out C extends number> {
  readonly cls: ReadonlyArray<Tensor<[B, C]>>
  readonly mean: ReadonlyArray<Tensor<[B, C]>>
}

/** Options of the features of several blocks. */
export interface BlockOptions {
  /** The number of blocks, counted from the last one. */
  readonly blocks: number
  /** True if the tokens of each block go through the network's final norm. */
  readonly finalNorm: boolean
}

/** Pools the tokens of the last blocks in both ways. `outputs` are those of all blocks, `[B, N+1, C]`. */
export const poolBlocks = <B extends number, N extends number, C extends number>(
  outputs: ReadonlyArray<Tensor<[B, NoInfer<Dim.Plus<N, 1>>, C]>>,
  patches: N,
  blocks: number,
  norms: Norms<NoInfer<C>>,
  epsilon = Block.EPSILON
): Blocks<B, C> => {
  const last = outputs.slice(-blocks)
  return {
    cls: last.map((tokens) => pool(tokens, patches, "cls", norms, epsilon)),
    mean: last.map((tokens) => pool(tokens, patches, "mean", norms, epsilon))
  }
}
