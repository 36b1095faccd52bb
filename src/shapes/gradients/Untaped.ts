/** Computes discrete values among operations that have gradients. */
import * as tf from "@tensorflow/tfjs-core"

/**
 * Computes on the values of tensors without recording a gradient. An index or a condition that is computed from a taped tensor
 * has no gradient, and TensorFlow.js would ask for one.
 */
export const untaped = (
  inputs: ReadonlyArray<tf.Tensor>,
  compute: (...inputs: ReadonlyArray<tf.Tensor>) => tf.Tensor
): tf.Tensor => {
  const found: Array<tf.Tensor> = []
  tf.customGrad((...args) => {
    const given = args.slice(0, inputs.length) as Array<tf.Tensor>
    found.push(tf.keep(compute(...given)))
    return { value: given[0]!.clone(), gradFunc: (dy: tf.Tensor) => given.map(() => dy) }
  })(...inputs)
  const [kept] = found as [tf.Tensor]
  const adopted = tf.clone(kept)
  kept.dispose()
  return adopted
}
