/**
 * The linear probe: logistic regression on the features of a frozen network. Its L2 penalty is chosen on images that no result
 * is reported of. Nothing else is tuned.
 */
import { Effect } from "effect"
import * as Config from "../../domain/config/Config.ts"
import { ProbeConfig } from "../../domain/config/ProbeConfig.ts"
import * as Accuracy from "../../domain/evaluation/Accuracy.ts"
import * as Classes from "../../domain/evaluation/Classes.ts"
import type * as Lbfgs from "../../domain/evaluation/Lbfgs.ts"
import * as PenaltySearch from "../../domain/evaluation/PenaltySearch.ts"
import type { Pausable } from "../../domain/values/Pausable.ts"
import { Engine } from "../../layers/engine/Engine.ts"
import * as Pauses from "../../layers/machine/Pauses.ts"
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
  /** False if the reported classifier was still improving when its fit came to `iterations`. */
  readonly hasConverged: boolean
}

interface Scale {
  readonly mean: Float64Array
  readonly deviation: Float64Array
}

const scaleOf = Effect.fnUntraced(function*({ features }: FeatureSet, standardise: boolean) {
  const [, width] = features.shape
  const none: Scale = { mean: new Float64Array(width), deviation: new Float64Array(width).fill(1) }
  if (!standardise) return none
  const { mean, variance } = yield* LinearFit.moments(features.data, width)
  // A feature that never varies says nothing; dividing by nothing would make it say too much.
  const found: Scale = { mean, deviation: variance.map((value) => value > 1e-12 ? Math.sqrt(value) : 1) }
  return found
})

/** Number of images whose features are scaled, and whose logits are computed, between two pauses. */
const SOME = 256

/** Scales the features of the images from `from` on and before `to`. */
const scaled = ({ features }: FeatureSet, { deviation, mean }: Scale, from: number, to: number): Float32Array =>
  features.data.subarray(from * mean.length, to * mean.length)
    .map((value, i) => (value - mean[i % mean.length]!) / deviation[i % mean.length]!)

function* scaledAll(set: FeatureSet, scale: Scale): Pausable<Float32Array> {
  const all = new Float32Array(set.features.data.length)
  const { length } = set.labels
  for (let from = 0; from < length; from += SOME) {
    all.set(scaled(set, scale, from, Math.min(length, from + SOME)), from * scale.mean.length)
    yield
  }
  return all
}

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
  const scale = yield* scaleOf(train, config.standardise)
  const inference = LinearProbe.objective(
    Dim.named("examples", examples),
    Dim.named("width", width),
    Dim.named("classes", classes)
  )
  const handle = yield* engine.infer(inference, {
    features: HostTensor.make(
      inference.weights.features.shape,
      "float32",
      yield* Pauses.during(scaledAll(train, scale))
    ),
    labels: HostTensor.make(inference.weights.labels.shape, "int32", train.labels)
  })

  const fit = (l2: number) => LinearFit.fit(handle, inference.batch, { l2, iterations: config.iterations })

  const measure = Effect.fnUntraced(function*(test: Classes.Met<FeatureSet>, point: Float64Array) {
    const { add, figure } = Accuracy.tally(test)
    const { length } = test.labels
    for (let from = 0; from < length; from += SOME) {
      const to = Math.min(length, from + SOME)
      const logits = logitsOf(scaled(test.set, scale, from, to), to - from, point, classes)
      add(logits, Array.from({ length: to - from }, (_, i) => from + i))
      yield* Pauses.pause
    }
    return figure()
  })

  /** Chooses the best penalty of a grid on a set. Returns it with its fitted weights. */
  const choose = Effect.fnUntraced(function*(on: Classes.Met<FeatureSet>) {
    const fits = new Map<number, Lbfgs.Found>()
    const search = PenaltySearch.search(config.l2)
    let next = search.next()
    while (next.done !== true) {
      const found = yield* fit(next.value)
      fits.set(next.value, found)
      next = search.next((yield* measure(on, found.point)).top1)
    }
    return { ...next.value, fitted: fits.get(next.value.best) }
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
  const { hasConverged, point } = (apart === undefined ? chosen?.fitted : undefined) ?? (yield* full.fit(best))
  const probed: Probed = {
    figures: yield* Effect.forEach(met, (test) => full.measure(test, point)),
    l2: best,
    ...(choice === undefined ? {} : { chosenOn: choice.chosenOn }),
    tried,
    atEdge,
    hasConverged
  }
  return probed
}, Effect.scoped)
