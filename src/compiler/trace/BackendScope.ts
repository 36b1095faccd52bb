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

/** The methods of TensorFlow.js's engine, as they are outside of a scope. */
export const plain: ReturnType<typeof tf.engine> = Object.getPrototypeOf(tf.engine())

/** Options of a scope. */
export interface Options<A> {
  /** The methods of the engine within it; default its own. */
  readonly methods?: object
  /** Returns a result in place of what `body` throws, or throws it. */
  readonly caught?: (thrown: unknown) => A
  /** Is called at the end. */
  readonly last?: () => void
}

/**
 * Runs `body` on a backend that is registered and starts synchronously. Afterwards it frees every tensor that `body` made and
 * did not keep, and restores the previous backend. It does so also when `body` throws.
 */
export const run = <A>(name: string, body: () => A, options: Options<A> = {}): A => {
  const { caught, last, methods = plain } = options
  const engine = tf.engine()
  // Chooses a backend if none has been chosen yet.
  const backendInstance = tf.backend()
  const { backendName } = engine
  const outer: object = Object.getPrototypeOf(engine)
  Object.setPrototypeOf(engine, plain)
  // `setBackend` would look at every kernel of every backend.
  Object.assign(engine, { backendName: name, backendInstance: engine.findBackend(name) })
  engine.startScope(name)
  Object.setPrototypeOf(engine, methods)
  // Not an Effect: steps are plain functions, nothing else may run while the global backend is not its own, and what
  // `body` throws has to pass unchanged.
  try {
    return body()
  } catch (thrown) {
    if (caught === undefined) throw thrown
    return caught(thrown)
  } finally {
    Object.setPrototypeOf(engine, plain)
    dropTape()
    engine.endScope()
    Object.assign(engine, { backendName, backendInstance })
    Object.setPrototypeOf(engine, outer)
    last?.()
  }
}
