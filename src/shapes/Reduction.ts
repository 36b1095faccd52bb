/**
 * Sums and means.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Reduction, Tensor } from "patchword/shapes"
 *
 * assert.deepStrictEqual(Reduction.meanTokens(Tensor.zeros([2, 5, 3])).shape, [2, 3])
 * ```
 */
import * as tf from "@tensorflow/tfjs"
import * as FusedKernel from "./FusedKernel.ts"
import type { Shape } from "./Shape.ts"
import { type Any, type Tensor, unsafeTyped, untyped } from "./Tensor.ts"
import * as Tree from "./Tree.ts"

/** The mean of all elements. */
export const mean = <S extends Shape>(x: Tensor<S>): Tensor<[]> => unsafeTyped(tf.mean(untyped(x)))

/** The sum of all elements. */
export const sum = <S extends Shape>(x: Tensor<S>): Tensor<[]> => unsafeTyped(tf.sum(untyped(x)))

/** The sum over the last axis: `[..., C]` to `[...]`. */
export const sumLast = <L extends Shape, C extends number>(x: Tensor<[...L, C]>): Tensor<L> =>
  unsafeTyped(tf.sum(untyped(x), -1))

/** The mean over the tokens: `[B, N, C]` to `[B, C]`. */
export const meanTokens = <B extends number, N extends number, C extends number>(
  x: Tensor<[B, N, C]>
): Tensor<[B, C]> => unsafeTyped(tf.mean(untyped(x), 1))

/** The length of all leaves of a record seen as one vector. Has no gradient: for updates. */
export const globalNorm = (tree: object): Tensor<[]> => {
  const squares = Tree.leaves<Any>(tree).map(([, leaf]) => {
    const x = untyped(leaf)
    return FusedKernel.run("PatchwordSumSquares", { x }, {}, () => [x.square().sum()])[0]!
  })
  return unsafeTyped(tf.sqrt(tf.sum(tf.stack(squares))))
}
