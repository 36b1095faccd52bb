/** Runs synchronous TensorFlow.js code on a given backend and leaves nothing behind. */
import * as tf from "@tensorflow/tfjs-core"

// A gradient that throws leaves its saved tensors on the tape.
const dropTape = (): void => {
  const { state } = tf.engine()
  if (state.gradientDepth > 0) return
  for (const node of state.activeTape ?? []) {
    for (const tensor of node.saved ?? []) tensor.dispose()
  }
}

/**
 * Runs `body` on a backend that is registered and starts synchronously. Afterwards it frees every tensor that `body` made and
 * did not keep, and restores the previous backend. It does so also when `body` throws. `last` is called at the end.
 */
export const run = <A>(name: string, body: () => A, last: () => void = () => {}): A => {
  const engine = tf.engine()
  // Chooses a backend if none has been chosen yet.
  tf.backend()
  const previous = engine.backendName
  engine.findBackend(name)
  // Setting a backend that has started is synchronous up to its promise.
  void tf.setBackend(name)
  engine.startScope(name)
  // Not an Effect: steps are plain functions, nothing else may run while the global backend is not its own, and what
  // `body` throws has to pass unchanged.
  try {
    return body()
  } finally {
    dropTape()
    engine.endScope()
    void tf.setBackend(previous)
    last()
  }
}
