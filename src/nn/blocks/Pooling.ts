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
