/** Linear classifiers fitted on an engine by L-BFGS, and the statistics of their features. */
import { Effect } from "effect"
import * as Lbfgs from "../../domain/evaluation/Lbfgs.ts"
import type { InferHandle } from "../../layers/engine/Engine.ts"
import * as Pauses from "../../layers/machine/Pauses.ts"
import type * as LinearProbe from "../../nn/finetune/LinearProbe.ts"
import * as HostTensor from "../../shapes/HostTensor.ts"
import type { SpecOf } from "../../shapes/Step.ts"

/** Number of rows between two pauses. */
const SOME = 256

/** The mean and the variance of each channel. */
export interface Moments {
  readonly mean: Float64Array
  readonly variance: Float64Array
}

/** Computes the mean and the variance of each channel of rows `[N, C]`. */
export const moments = Effect.fnUntraced(function*(rows: Float32Array, width: number) {
  const count = rows.length / width
  const found: Moments = { mean: new Float64Array(width), variance: new Float64Array(width) }
  const { mean, variance } = found
  const some = SOME * width
  for (let from = 0; from < rows.length; from += some) {
    rows.subarray(from, from + some).forEach((value, i) => (mean[i % width]! += value / count))
    yield* Pauses.pause
  }
  for (let from = 0; from < rows.length; from += some) {
    rows.subarray(from, from + some).forEach((
      value,
      i
    ) => (variance[i % width]! += (value - mean[i % width]!) ** 2 / count))
    yield* Pauses.pause
  }
  return found
})

/** The options of a fit. */
export interface Options {
  readonly l2: number
  /** Largest number of iterations of the solver. */
  readonly iterations: number
  /** Hears the loss of each point that the solver tries. */
  readonly tried?: (loss: number) => Effect.Effect<void>
}

/**
 * Fits a classifier of `C` features and `K` classes, from zeros. The point that it returns has the weights `[K, C]`, row-major, then
 * the biases `[K]`. Fails as the engine fails.
 */
export const fit = Effect.fnUntraced(function*<C extends number, K extends number>(
  handle: InferHandle<LinearProbe.Point<C, K>, LinearProbe.Objective<C, K>>,
  spec: SpecOf<LinearProbe.Point<C, K>>,
  options: Options
) {
  const { iterations, l2, tried = () => Effect.void } = options
  const { bias, weight } = spec.classifier
  const [classes, width] = weight.shape
  const length = classes * width
  const search = Lbfgs.minimise(new Float64Array(length + classes), { iterations })
  let next = search.next()
  while (next.done !== true) {
    const { gradient, loss } = yield* handle.run({
      classifier: {
        weight: HostTensor.make(weight.shape, "float32", Float32Array.from(next.value.subarray(0, length))),
        bias: HostTensor.make(bias.shape, "float32", Float32Array.from(next.value.subarray(length)))
      },
      l2: HostTensor.scalar(l2)
    })
    const value = HostTensor.item(loss)
    yield* tried(value)
    next = search.next({ value, gradient: Float64Array.of(...gradient.weight.data, ...gradient.bias.data) })
  }
  return next.value
})
