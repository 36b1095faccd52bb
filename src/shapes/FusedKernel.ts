/**
 * Fused kernels that a backend may offer. An operation requests a kernel by name. If the running backend has no such kernel,
 * plain TensorFlow.js operations are composed instead. So the same definition runs everywhere.
 */
import * as tf from "@tensorflow/tfjs-core"

/** Runs the backend's kernel `name`, or `compose` if the backend has no such kernel. */
export const run = (
  name: string,
  inputs: Readonly<Record<string, tf.Tensor>>,
  attributes: Readonly<Record<string, number | boolean | string>>,
  compose: () => ReadonlyArray<tf.Tensor>
): ReadonlyArray<tf.Tensor> => {
  if (tf.getKernel(name, tf.getBackend()) === undefined) return compose()
  const result = tf.engine().runKernel(name, { ...inputs }, { ...attributes })
  return Array.isArray(result) ? result as Array<tf.Tensor> : [result as tf.Tensor]
}

/** Options of a matrix product. */
export interface ProductOptions {
  readonly transposeA?: boolean
  readonly transposeB?: boolean
  readonly alpha?: number
  /** Computes the product in float32 where the others are computed in tf32 or bf16. */
  readonly exact?: boolean
}

/** Computes `alpha · a b` on the last two axes. Either operand may be transposed. It has no gradient: use it inside of one. */
export const product = (a: tf.Tensor, b: tf.Tensor, options: ProductOptions = {}): tf.Tensor => {
  const { alpha = 1, exact = false, transposeA = false, transposeB = false } = options
  return run("PatchwordMatMul", { a, b }, { transposeA, transposeB, alpha, exact }, () => {
    const y = tf.matMul(a, b, transposeA, transposeB)
    return [alpha === 1 ? y : tf.mul(y, alpha)]
  })[0]!
}
