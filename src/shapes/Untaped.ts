/** Choices amid what has gradients. */
import * as tf from "@tensorflow/tfjs-core"

/**
 * Computes on the values of tensors without leaving a trace for gradients. What is drawn from a taped tensor, an index or a
 * truth, would otherwise be asked for a gradient that does not exist.
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
