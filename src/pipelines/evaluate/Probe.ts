/**
 * The linear probe: logistic regression on the features of a frozen network. Its L2 penalty is chosen on images that no result
 * is reported of. Nothing else is tuned.
 */
import { Effect } from "effect"
import * as Config from "../../domain/config/Config.ts"
import { ProbeConfig } from "../../domain/config/ProbeConfig.ts"
import * as Accuracy from "../../domain/evaluation/Accuracy.ts"
import * as Classes from "../../domain/evaluation/Classes.ts"
import * as PenaltySearch from "../../domain/evaluation/PenaltySearch.ts"
import { Engine } from "../../layers/engine/Engine.ts"
import * as LinearProbe from "../../nn/finetune/LinearProbe.ts"
import * as Dim from "../../shapes/Dim.ts"
import * as HostTensor from "../../shapes/HostTensor.ts"
import * as ChoiceSplit from "./ChoiceSplit.ts"
import * as FeatureSets from "./FeatureSet.ts"
import type { FeatureSet } from "./FeatureSet.ts"
import * as LinearFit from "./LinearFit.ts"

/** The accuracy on each test set, and the choice of the penalty. */
export interface Probed {
  readonly figures: ReadonlyArray<Accuracy.Accuracy>
  readonly l2: number
  /** The split, or the part of a split, for the choice of the penalty. Undefined if only one value was given. */
  readonly chosenOn?: string
  /** All penalties that were tried, ascending, with their top-1 accuracy on that split. */
  readonly tried: ReadonlyArray<PenaltySearch.Tried>
  /** True if the best penalty is still at an end of the tried values. A better one may lie beyond. */
  readonly atEdge: boolean
}

interface Scale {
  readonly mean: Float64Array
  readonly deviation: Float64Array
}

const scaleOf = ({ features }: FeatureSet, standardise: boolean): Scale => {
  const [, width] = features.shape
  if (!standardise) return { mean: new Float64Array(width), deviation: new Float64Array(width).fill(1) }
  const { mean, variance } = LinearFit.moments(features.data, width)
  // A feature that never varies says nothing; dividing by nothing would make it say too much.
  return { mean, deviation: variance.map((value) => value > 1e-12 ? Math.sqrt(value) : 1) }
}

const scaled = ({ features }: FeatureSet, { deviation, mean }: Scale): Float32Array =>
  features.data.map((value, i) => (value - mean[i % mean.length]!) / deviation[i % mean.length]!)

const logitsOf = (rows: Float32Array, images: number, point: Float64Array, classes: number): Float32Array => {
  const width = point.length / classes - 1
  const logits = new Float32Array(images * classes)
  for (let row = 0; row < images; row++) {
    for (let k = 0; k < classes; k++) {
      let sum = point[classes * width + k]!
      for (let c = 0; c < width; c++) sum += rows[row * width + c]! * point[k * width + c]!
      logits[row * classes + k] = sum
    }
  }
  return logits
}

/** Fits classifiers on a set of features, one for each penalty, and measures them. */
const fitter = Effect.fnUntraced(function*(config: ProbeConfig, train: FeatureSet) {
  const engine = yield* Engine
  const classes = train.classes.length
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

  const fit = (l2: number) => LinearFit.fit(handle, inference.batch, { l2, iterations: config.iterations })

  const measure = (test: Classes.Met<FeatureSet>, point: Float64Array): Accuracy.Accuracy =>
    Accuracy.measure(test, logitsOf(scaled(test.set, scale), test.labels.length, point, classes))

  /** Chooses the best penalty of a grid on a set. Returns it with its fitted weights. */
  const choose = Effect.fnUntraced(function*(on: Classes.Met<FeatureSet>) {
    const points = new Map<number, Float64Array>()
    const search = PenaltySearch.search(config.l2)
    let next = search.next()
    while (next.done !== true) {
      const point = yield* fit(next.value)
      points.set(next.value, point)
      next = search.next(measure(on, point).top1)
    }
    return { ...next.value, point: points.get(next.value.best) }
  })

  return { fit, measure, choose }
})

/**
 * Fits the probe on `train`, and measures it on every test set. The penalty is chosen on `validation`. A fifth of `train` is
 * held out by key instead if there is no `validation`, if it has the images of `train`, or if one of its images is tested under
 * any name. The probe is then fitted on all of `train`. The classes of the sets are matched with those of `train` by name.
 *
 * Fails with `ClassesError` if labels are not classes or classes do not match, with `NothingToChooseOn`, and as the engine
 * fails.
 */
export const probe = Effect.fn("patchword.probe")(function*(
  given: ProbeConfig,
  sets: ChoiceSplit.ProbeSets,
  rule: Classes.Rule = "same"
) {
  const { tests, train } = sets
  const config = yield* Config.check(ProbeConfig, "probe")(given)
  yield* FeatureSets.annotateSpan(train, tests)
  yield* Effect.annotateCurrentSpan("patchword.engine", (yield* Engine).name)
  const met = yield* Effect.fromResult(Classes.meetAll(train, tests, rule))
  const choice = new Set(config.l2).size === 1
    ? undefined
    : yield* ChoiceSplit.of(sets, rule, { seed: config.seed, purpose: "probe/held out", settings: ["probe.l2"] })
  const apart = choice === undefined || choice.rest === train
    ? undefined
    : yield* Effect.scoped(Effect.flatMap(fitter(config, choice.rest), ({ choose }) => choose(choice.on)))
  const full = yield* fitter(config, train)
  const chosen = apart ?? (choice && (yield* full.choose(choice.on)))
  const { atEdge, best, tried } = chosen ?? { atEdge: false, best: config.l2[0], tried: [] }
  const fitted = (apart === undefined ? chosen?.point : undefined) ?? (yield* full.fit(best))
  const probed: Probed = {
    figures: met.map((test) => full.measure(test, fitted)),
    l2: best,
    ...(choice === undefined ? {} : { chosenOn: choice.chosenOn }),
    tried,
    atEdge
  }
  return probed
}, Effect.scoped)
