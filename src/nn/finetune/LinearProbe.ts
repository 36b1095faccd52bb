/**
 * The objective of multinomial logistic regression: its loss and gradient over all examples at once, for a solver.
 *
 * ```ts
 * import assert from "node:assert"
 * import { LinearProbe } from "patchword/nn"
 *
 * const { batch, weights } = LinearProbe.objective(1000, 768, 10)
 * assert.deepStrictEqual(weights.features.shape, [1000, 768])
 * assert.deepStrictEqual(batch.classifier.weight.shape, [10, 768])
 * ```
 */
import { add, mul, scale, square } from "../../shapes/Elementwise.ts"
import { valueAndGradient } from "../../shapes/Gradient.ts"
import { linear, type LinearParams } from "../../shapes/Linear.ts"
import { crossEntropy, softCrossEntropy } from "../../shapes/Loss.ts"
import { sum } from "../../shapes/Reduction.ts"
import type { Inference, SpecOf } from "../../shapes/Step.ts"
import type { Tensor } from "../../shapes/Tensor.ts"

/** `N` examples of `C` features. */
export interface Examples<in out N extends number, in out C extends number> {
  readonly features: Tensor<[N, C]>
  readonly labels: Tensor<[N], "int32">
}

/** `N` examples of `C` features, each with probabilities of `K` classes. */
export interface SoftExamples<in out N extends number, in out C extends number, in out K extends number> {
  readonly features: Tensor<[N, C]>
  readonly targets: Tensor<[N, K]>
}

/** A linear classifier and the strength of its L2 penalty. */
export interface Point<in out C extends number, in out K extends number> {
  readonly classifier: LinearParams<C, K>
  readonly l2: Tensor<[]>
}

/** The loss of a classifier, and its gradient. */
export interface Objective<in out C extends number, in out K extends number> {
  readonly loss: Tensor<[]>
  readonly gradient: LinearParams<C, K>
}

const pointSpec = <C extends number, K extends number>(width: C, classes: K): SpecOf<Point<C, K>> => ({
  classifier: {
    weight: { shape: [classes, width], dtype: "float32" },
    bias: { shape: [classes], dtype: "float32" }
  },
  l2: { shape: [], dtype: "float32" }
})

const penalised = <C extends number, K extends number>(
  { classifier, l2 }: Point<C, K>,
  lossOf: (params: LinearParams<C, K>) => Tensor<[]>
): Objective<C, K> => {
  const { gradients, loss } = valueAndGradient((params: LinearParams<C, K>) => {
    const penalty = scale(mul(l2, sum(square(params.weight))), 0.5)
    return { loss: add(lossOf(params), penalty), aux: {} }
  }, classifier)
  return { loss, gradient: gradients }
}

/**
 * Makes the inference of the loss and its gradient. The loss is the mean cross entropy plus `l2 / 2` times the squared norm of
 * the weights, without the bias.
 */
export const objective = <N extends number, C extends number, K extends number>(
  examples: N,
  width: C,
  classes: K
): Inference<Examples<N, C>, Point<C, K>, Objective<C, K>> => ({
  name: "probe",
  weights: {
    features: { shape: [examples, width], dtype: "float32" },
    labels: { shape: [examples], dtype: "int32" }
  },
  batch: pointSpec(width, classes),
  run: ({ features, labels }, point) => penalised(point, (params) => crossEntropy(linear(features, params), labels))
})

/** Makes {@link objective} for examples with probabilities in place of labels. */
export const softObjective = <N extends number, C extends number, K extends number>(
  examples: N,
  width: C,
  classes: K
): Inference<SoftExamples<N, C, K>, Point<C, K>, Objective<C, K>> => ({
  name: "soft probe",
  weights: {
    features: { shape: [examples, width], dtype: "float32" },
    targets: { shape: [examples, classes], dtype: "float32" }
  },
  batch: pointSpec(width, classes),
  run: ({ features, targets }, point) =>
    penalised(point, (params) => softCrossEntropy(linear(features, params), targets))
})
