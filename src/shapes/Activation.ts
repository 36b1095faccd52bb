/**
 * Activation functions of the networks.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Activation, Tensor } from "patchword/shapes"
 *
 * assert.deepStrictEqual(Activation.gelu(Tensor.zeros([2, 3])).shape, [2, 3])
 * ```
 */
import * as tf from "@tensorflow/tfjs-core"
import * as Axis from "./Axis.ts"
import { type Unary, unary } from "./Elementwise.ts"
import * as FusedKernel from "./FusedKernel.ts"
import type { DType } from "./HostTensor.ts"
import type { Shape } from "./Shape.ts"
import * as ShapeError from "./ShapeError.ts"
import { type Any, type Tensor, unsafeTyped, untyped } from "./Tensor.ts"

const geluGrad = tf.customGrad((x, save) => {
  const input = x as tf.Tensor
  const y = FusedKernel.run(
    "PatchwordGelu",
    { x: input },
    {},
    () => [tf.mul(tf.mul(input, 0.5), tf.add(tf.erf(tf.mul(input, Math.SQRT1_2)), 1))]
  )[0]!
  ;(save as tf.GradSaveFunc)([input])
  return {
    value: y,
    gradFunc: (dy: tf.Tensor, saved: Array<tf.Tensor>) => {
      const before = saved[0]!
      return FusedKernel.run("PatchwordGeluGradient", { x: before, dy }, {}, () => {
        const scaled = tf.mul(before, Math.SQRT1_2)
        const cumulative = tf.add(tf.mul(tf.erf(scaled), 0.5), 0.5)
        const density = tf.mul(tf.mul(tf.exp(tf.neg(tf.square(scaled))), scaled), 1 / Math.sqrt(Math.PI))
        return [tf.mul(dy, tf.add(cumulative, density))]
      })[0]!
    }
  }
})

/** The exact GELU: `x Φ(x)`, computed with the error function. */
export const gelu: Unary<"gelu"> = unary("gelu", geluGrad)

/** Makes `x σ(a x)`. It has its own gradient, because the gradient of the product overflows for large `x`. */
const swish = (a: number) =>
  tf.customGrad((x, save) => {
    const input = x as tf.Tensor
    const share = tf.sigmoid(a === 1 ? input : tf.mul(input, a))
    ;(save as tf.GradSaveFunc)([input, share])
    return {
      value: tf.mul(input, share),
      gradFunc: (dy: tf.Tensor, saved: Array<tf.Tensor>) => {
        const [before, s] = saved as [tf.Tensor, tf.Tensor]
        const steep = tf.mul(before, tf.sub(1, s))
        return tf.mul(dy, tf.mul(s, tf.add(a === 1 ? steep : tf.mul(steep, a), 1)))
      }
    }
  })

const quickGeluGrad = swish(1.702)
const siluGrad = swish(1)

/** CLIP's approximation of GELU: `x σ(1.702 x)`. */
export const quickGelu: Unary<"quickGelu"> = unary("quickGelu", quickGeluGrad)

/** The hyperbolic tangent. */
export const tanh: Unary<"tanh"> = unary("tanh", tf.tanh)

const reluGrad = tf.customGrad((x, save) => {
  const y = tf.relu(x as tf.Tensor)
  ;(save as tf.GradSaveFunc)([y])
  return {
    value: y,
    gradFunc: (dy: tf.Tensor, saved: Array<tf.Tensor>) => tf.where(tf.lessEqual(saved[0]!, 0), tf.scalar(0), dy)
  }
})

/** `max(x, 0)`. Its gradient at 0 is 0. */
export const relu: Unary<"relu"> = unary("relu", reluGrad)

/** The logistic sigmoid, `σ(x) = 1 / (1 + e⁻ˣ)`. */
export const sigmoid: Unary<"sigmoid"> = unary("sigmoid", tf.sigmoid)

/** SiLU, also called swish: `x σ(x)`. */
export const silu: Unary<"silu"> = unary("silu", siluGrad)

/** An operation on each vector of the last axis. */
export interface AlongLast<Name extends string> {
  <L extends Shape, C extends number, D extends DType = "float32">(
    x: Tensor<[...L, C], D> & ShapeError.Elements<Name, "float32", D>
  ): Tensor<[...L, C]>
}

const alongLast =
  <Name extends string>(name: Name, compute: (x: tf.Tensor, axis: number) => tf.Tensor): AlongLast<Name> =>
  (x: Any): Any => {
    ShapeError.elements(name, "float32", x)
    return unsafeTyped(compute(untyped(x), Axis.place(name, x.shape, -1)))
  }

/** The logarithm of softmax along the last axis. */
export const logSoftmax: AlongLast<"logSoftmax"> = alongLast("logSoftmax", tf.logSoftmax)

/** Softmax along the last axis. */
export const softmax: AlongLast<"softmax"> = alongLast("softmax", tf.softmax)
