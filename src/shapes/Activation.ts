/**
 * Non-linearities of the networks.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Activation, Tensor } from "patchword/shapes"
 *
 * assert.deepStrictEqual(Activation.gelu(Tensor.zeros([2, 3])).shape, [2, 3])
 * ```
 */
import * as tf from "@tensorflow/tfjs"
import * as FusedKernel from "./FusedKernel.ts"
import type { Shape } from "./Shape.ts"
import { type Tensor, unsafeTyped, untyped } from "./Tensor.ts"

const geluGrad = tf.customGrad((x, save) => {
  const input = x as tf.Tensor
  const y = FusedKernel.run(
    "PatchwordGelu",
    { x: input },
    {},
    () => [input.mul(0.5).mul(input.mul(Math.SQRT1_2).erf().add(1))]
  )[0]!
  ;(save as tf.GradSaveFunc)([input])
  return {
    value: y,
    gradFunc: (dy: tf.Tensor, saved: Array<tf.Tensor>) => {
      const before = saved[0]!
      return FusedKernel.run("PatchwordGeluGradient", { x: before, dy }, {}, () => {
        const scaled = before.mul(Math.SQRT1_2)
        const cumulative = scaled.erf().mul(0.5).add(0.5)
        const density = scaled.square().neg().exp().mul(scaled).mul(1 / Math.sqrt(Math.PI))
        return [dy.mul(cumulative.add(density))]
      })[0]!
    }
  }
})

/** The exact GELU, `x Φ(x)` by the error function. */
export const gelu = <S extends Shape>(x: Tensor<S>): Tensor<S> => unsafeTyped(geluGrad(untyped(x)))

/** CLIP's GELU, `x σ(1.702 x)`. */
export const quickGelu = <S extends Shape>(x: Tensor<S>): Tensor<S> =>
  unsafeTyped(untyped(x).mul(tf.sigmoid(untyped(x).mul(1.702))))

/** `tanh x`. */
export const tanh = <S extends Shape>(x: Tensor<S>): Tensor<S> => unsafeTyped(tf.tanh(untyped(x)))

/** `max(x, 0)`, with the gradient 0 at 0. */
export const relu = <S extends Shape>(x: Tensor<S>): Tensor<S> => unsafeTyped(tf.relu(untyped(x)))

/** `σ(x) = 1 / (1 + e⁻ˣ)`. */
export const sigmoid = <S extends Shape>(x: Tensor<S>): Tensor<S> => unsafeTyped(tf.sigmoid(untyped(x)))

/** `x σ(x)`, also called swish. */
export const silu = <S extends Shape>(x: Tensor<S>): Tensor<S> => unsafeTyped(untyped(x).mul(tf.sigmoid(untyped(x))))

/** The logarithm of softmax along the last axis. */
export const logSoftmax = <S extends Shape>(x: Tensor<S>): Tensor<S> => unsafeTyped(tf.logSoftmax(untyped(x)))

/** Softmax along the last axis. */
export const softmax = <S extends Shape>(x: Tensor<S>): Tensor<S> => unsafeTyped(tf.softmax(untyped(x)))
