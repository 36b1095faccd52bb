/**
 * The linear probe: logistic regression on the features of a frozen network. The strength of its regularisation is chosen
 * on a validation set; nothing else is tuned.
 */
import { Effect } from "effect"
import * as Lbfgs from "../domain/Lbfgs.ts"
import * as Metrics from "../domain/Metrics.ts"
import type { ProbeConfig } from "../domain/ProbeConfig.ts"
import { Engine } from "../layers/Engine.ts"
import * as LinearProbe from "../nn/LinearProbe.ts"
import * as Dim from "../shapes/Dim.ts"
import * as HostTensor from "../shapes/HostTensor.ts"
import type { FeatureSet } from "./FeatureSet.ts"

/** The accuracy on each test set, and the regularisation that was chosen. */
export interface Probed {
  readonly accuracies: ReadonlyArray<number>
  readonly l2: number
}

interface Scale {
  readonly mean: Float64Array
  readonly deviation: Float64Array
}

const scaleOf = ({ features }: FeatureSet, standardise: boolean): Scale => {
  const [rows, width] = features.shape
  const mean = new Float64Array(width)
  const deviation = new Float64Array(width).fill(1)
  if (!standardise) return { mean, deviation }
  features.data.forEach((value, i) => (mean[i % width]! += value / rows))
  const variance = new Float64Array(width)
  features.data.forEach((value, i) => (variance[i % width]! += (value - mean[i % width]!) ** 2 / rows))
  // A feature that never varies says nothing; dividing by nothing would make it say too much.
  variance.forEach((value, i) => (deviation[i] = value > 1e-12 ? Math.sqrt(value) : 1))
  return { mean, deviation }
}

const scaled = ({ features }: FeatureSet, { deviation, mean }: Scale): Float32Array =>
  features.data.map((value, i) => (value - mean[i % mean.length]!) / deviation[i % mean.length]!)

const accuracy = (rows: Float32Array, labels: Int32Array, point: Float64Array, classes: number): number => {
  const width = point.length / classes - 1
  const logits = new Float32Array(labels.length * classes)
  for (let row = 0; row < labels.length; row++) {
    for (let k = 0; k < classes; k++) {
      let sum = point[classes * width + k]!
      for (let c = 0; c < width; c++) sum += rows[row * width + c]! * point[k * width + c]!
      logits[row * classes + k] = sum
    }
  }
  return Metrics.topK(logits, labels, classes, 1)
}

/** Fits the probe on `train`, chooses its regularisation on `validation`, and tells its accuracy on every test set. */
export const probe = Effect.fn("probe")(function*(
  config: ProbeConfig,
  classes: number,
  { tests, train, validation }: {
    readonly train: FeatureSet
    readonly validation: FeatureSet
    readonly tests: ReadonlyArray<FeatureSet>
  }
) {
  const engine = yield* Engine
  const [examples, width] = train.features.shape
  const scale = scaleOf(train, config.standardise)
  const inference = LinearProbe.objective(
    Dim.named("examples", examples),
    Dim.named("width", width),
    Dim.named("classes", classes)
  )
  const handle = yield* engine.infer(inference, {
    features: HostTensor.make(inference.weights.features.shape, "float32", scaled(train, scale)),
    labels: HostTensor.make(inference.weights.labels.shape, "int32", train.labels)
  })
  const { bias, weight } = inference.batch.classifier

  const fit = Effect.fnUntraced(function*(l2: number) {
    const search = Lbfgs.minimise(new Float64Array((width + 1) * classes), { iterations: config.iterations })
    let next = search.next()
    while (next.done !== true) {
      const { gradient, loss } = yield* handle.run({
        classifier: {
          weight: HostTensor.make(weight.shape, "float32", Float32Array.from(next.value.subarray(0, width * classes))),
          bias: HostTensor.make(bias.shape, "float32", Float32Array.from(next.value.subarray(width * classes)))
        },
        l2: HostTensor.make([], "float32", Float32Array.of(l2))
      })
      next = search.next({
        value: loss.data[0]!,
        gradient: Float64Array.of(...gradient.weight.data, ...gradient.bias.data)
      })
    }
    return next.value
  })

  const held = scaled(validation, scale)
  const fitted = yield* Effect.forEach(
    config.l2,
    (l2) => Effect.map(fit(l2), (point) => ({ l2, point, score: accuracy(held, validation.labels, point, classes) }))
  )
  const best = fitted.reduce((one, other) => (other.score > one.score ? other : one))
  const probed: Probed = {
    l2: best.l2,
    accuracies: tests.map((test) => accuracy(scaled(test, scale), test.labels, best.point, classes))
  }
  return probed
}, Effect.scoped)
