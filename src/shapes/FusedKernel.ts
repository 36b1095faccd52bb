/**
 * Fused kernels that a backend may offer. An operation asks for one by name and composes plain TensorFlow.js operations
 * where the running backend has none, so the same definition runs everywhere.
 */
import * as tf from "@tensorflow/tfjs-core"

/** The result of the running backend's kernel `name`, or of `compose` where it has none. */
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

/** `alpha · a b` on the last two axes, either operand transposed. Has no gradient of its own: for use inside one. */
export const product = (
  a: tf.Tensor,
  b: tf.Tensor,
  options: { readonly transposeA?: boolean; readonly transposeB?: boolean; readonly alpha?: number } = {}
): tf.Tensor => {
  const { transposeA = false, transposeB = false, alpha = 1 } = options
  return run("PatchwordMatMul", { a, b }, { transposeA, transposeB, alpha }, () => {
    const y = tf.matMul(a, b, transposeA, transposeB)
    return [alpha === 1 ? y : tf.mul(y, alpha)]
  })[0]!
}
