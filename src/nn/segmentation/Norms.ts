/**
 * The batch normalisations of a network: by running statistics in evaluation, and by those of the batch in training. In
 * training, the running statistics follow the batch, and the step returns them as a part of its state.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Norms } from "patchword/nn"
 * import { Tensor } from "patchword/shapes"
 *
 * const running = { bn: { running_mean: Tensor.zeros([4]), running_var: Tensor.fill([4], 1) } }
 * const norms = Norms.training()
 * const affine = { weight: Tensor.fill([4], 1), bias: Tensor.zeros([4]) }
 * norms.normalise(Tensor.fill([2, 3, 3, 4], 5), affine, running.bn)
 * assert.deepStrictEqual([...Tensor.untyped(norms.after(running).bn.running_mean).dataSync()], [0.5, 0.5, 0.5, 0.5])
 * ```
 */
import * as HostTensor from "../../shapes/HostTensor.ts"
import * as BatchNorm from "../../shapes/maps/BatchNorm.ts"
import type { NormParams } from "../../shapes/Normalization.ts"
import { constant, type Tensor } from "../../shapes/Tensor.ts"
import * as Tree from "../../shapes/Tree.ts"
import * as Parameter from "../blocks/Parameter.ts"
import { EPSILON } from "./SegmentationBackbone.ts"

/** The share by which running statistics move towards those of a batch, PyTorch's default. */
export const MOMENTUM = 0.1

/** A way to normalise maps `[B, H, W, C]`. */
export interface Norms {
  /** Normalises the channels of maps `[B, H, W, C]`. */
  normalise<B extends number, H extends number, W extends number, C extends number>(
    x: Tensor<[B, H, W, C]>,
    affine: NormParams<NoInfer<C>>,
    running: BatchNorm.Running<NoInfer<C>>
  ): Tensor<[B, H, W, C]>
}

/** Normalises by running statistics. */
export const evaluating: Norms = {
  normalise: (x, affine, running) => BatchNorm.evaluate(x, affine, running, EPSILON)
}

/** Normalisations of one training step, which also know the running statistics after it. */
export interface Training extends Norms {
  /** Returns a record of running statistics as it is after all normalisations so far. */
  after<R extends object>(running: R): R
}

/** Makes the normalisations of one training step, by the statistics of the batch. */
export const training = (): Training => {
  const moved = new Map<unknown, unknown>()
  return {
    normalise: (x, affine, running) => {
      const { statistics, y } = BatchNorm.train(x, affine, EPSILON)
      const next = BatchNorm.follow(running, statistics, MOMENTUM)
      moved.set(running.running_mean, next.running_mean)
      moved.set(running.running_var, next.running_var)
      return y
    },
    after: (running) => Tree.map(running, (leaf) => moved.get(leaf) ?? leaf)
  }
}

/** Specifies running statistics, with their initial values: mean 0 and variance 1. */
export const runningSpec = <C extends number>(width: C): Parameter.ParametersOf<BatchNorm.Running<C>> => ({
  running_mean: Parameter.zeros([width]),
  running_var: Parameter.ones([width])
})

const filled = <C extends number>(width: C, value: number): Tensor<[C]> =>
  constant(HostTensor.make([width], "float32", new Float32Array(width).fill(value)))

/** The affine parameters of a batch normalisation that has none. */
export const plain = <C extends number>(width: C): NormParams<C> => ({
  weight: filled(width, 1),
  bias: filled(width, 0)
})
