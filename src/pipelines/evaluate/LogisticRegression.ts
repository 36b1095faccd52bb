/**
 * Logistic regression on the features of a frozen network, as DINOv2 and DINOv3 evaluate (`dinov3/eval/log_regression.py`). It is
 * computed in 64 bits, without an engine.
 */
import { Effect } from "effect"
import * as Config from "../../domain/config/Config.ts"
import * as LogregConfig from "../../domain/config/LogregConfig.ts"
import { ProbeConfig } from "../../domain/config/ProbeConfig.ts"
import * as Accuracy from "../../domain/evaluation/Accuracy.ts"
import * as Classes from "../../domain/evaluation/Classes.ts"
import * as Lbfgs from "../../domain/evaluation/Lbfgs.ts"
import * as LogisticRegression from "../../domain/evaluation/LogisticRegression.ts"
import * as PenaltySearch from "../../domain/evaluation/PenaltySearch.ts"
import * as Preconditioner from "../../domain/evaluation/Preconditioner.ts"
import * as Pauses from "../../layers/machine/Pauses.ts"
import * as ChoiceSplit from "./ChoiceSplit.ts"
import * as FeatureSets from "./FeatureSet.ts"
import type { FeatureSet } from "./FeatureSet.ts"

/** The accuracy on each test set, and the choice of C. */
export interface Regressed {
  readonly figures: ReadonlyArray<Accuracy.Accuracy>
  readonly c: number
  /** The split, or the part of a split, for the choice of C. Undefined if only one value was given. */
  readonly chosenOn?: string
  /** The splits that the reported classifier is fitted on: `train`, or `train and val`. */
  readonly fittedOn: string
  /** All values of C that were tried, ascending, with their top-1 accuracy on that split. */
  readonly tried: ReadonlyArray<PenaltySearch.Tried>
  /** True if the best C is at an end of the tried values. A better one may lie beyond. */
  readonly atEdge: boolean
  /** False if the reported classifier was still improving when its fit came to `iterations`. */
  readonly hasConverged: boolean
}

/** The relative decrease of the loss below which scikit-learn stops as well. */
const DECREASE = 64 * Number.EPSILON

/**
 * Fits a point, weights `[K, C]` and then biases `[K]`, from another one. Other fibers run in the pauses of a long sum. `moments`
 * are those of the features, which fits of several C share.
 */
export const fit = Effect.fnUntraced(function*(
  examples: LogisticRegression.Examples,
  c: number,
  options: Pick<Required<LogregConfig.LogregConfig>, "iterations" | "tolerance">,
  from: Float64Array = LogisticRegression.start(examples),
  moments?: Preconditioner.Moments
) {
  const { iterations, tolerance } = options
  const { classes, labels } = examples
  const l2 = 1 / (c * labels.length)
  const precondition = Preconditioner.make(
    moments ?? (yield* Pauses.during(Preconditioner.steps(examples))),
    { classes, l2 }
  )
  const search = Lbfgs.minimise(from, { iterations, tolerance, decrease: DECREASE, precondition })
  let next = search.next()
  while (next.done !== true) {
    next = search.next(yield* Pauses.during(LogisticRegression.steps(examples, next.value, l2)))
    yield* Pauses.pause
  }
  return next.value
})

const examplesOf = ({ classes, features, labels }: FeatureSet): LogisticRegression.Examples => ({
  features: features.data,
  labels,
  width: features.shape[1],
  classes: classes.length
})

const joined = (first: FeatureSet, second: Classes.Met<FeatureSet>): FeatureSet =>
  FeatureSets.join(first, { features: second.set.features, labels: second.labels })

const measure = (
  test: Classes.Met<FeatureSet>,
  { classes, width }: LogisticRegression.Examples,
  point: Float64Array
): Accuracy.Accuracy =>
  Accuracy.measure(
    test,
    LogisticRegression.logits({ features: test.set.features.data, classes, width }, point)
  )

/**
 * Chooses C on `validation`, or on a share of `train` that is held out, then fits on both parts, and measures every test set. Of
 * equal accuracies the first C is taken. The features are used as they are. The classes of the sets are matched with those of
 * `train` by name.
 *
 * `validation` is left out as `ChoiceSplit.of` says. With one value of C there is no choice. It is fitted on the same images as a
 * chosen one: on `train` and `validation`, or on `train` alone if `validation` is left out.
 *
 * Fails with `ClassesError` if labels are not classes or classes do not match, and with `NothingToChooseOn`.
 */
export const logisticRegression = Effect.fn("patchword.logisticRegression")(function*(
  given: ProbeConfig,
  sets: ChoiceSplit.ProbeSets,
  rule: Classes.Rule = "same"
) {
  const { tests, train } = sets
  const config = yield* Config.check(ProbeConfig, "probe")(given)
  yield* FeatureSets.annotateSpan(train, tests)
  const options = LogregConfig.complete(config.logreg)
  const met = yield* Effect.fromResult(Classes.meetAll(train, tests, rule))
  const named = (validation: ChoiceSplit.ProbeSets["validation"]) =>
    validation === undefined ? train.name : `${train.name} and ${validation.name}`
  const finished = (
    choice: Omit<Regressed, "figures" | "hasConverged">,
    { hasConverged, point }: Lbfgs.Found
  ): Regressed => ({
    ...choice,
    hasConverged,
    figures: met.map((test) => measure(test, examplesOf(train), point))
  })
  if (new Set(options.c).size === 1) {
    const c = options.c[0]
    const more = yield* ChoiceSplit.given(sets, rule)
    const learned = more === undefined ? train : joined(train, more)
    const choice = { c, fittedOn: named(more?.set), tried: [], atEdge: false }
    return finished(choice, yield* fit(examplesOf(learned), c, options))
  }
  const { chosenOn, on, rest } = yield* ChoiceSplit.of(sets, rule, {
    seed: config.seed,
    purpose: "logreg/held out",
    share: options.heldOut,
    settings: ["probe.logreg.c"]
  })
  const examples = examplesOf(rest)
  const moments = yield* Pauses.during(Preconditioner.steps(examples))
  const points = new Map<number, Float64Array>()
  let before: Float64Array | undefined
  const search = PenaltySearch.search(options.c, 0)
  let next = search.next()
  while (next.done !== true) {
    // The optimum is the same from anywhere, and near that of a near value of C.
    const { point } = yield* fit(examples, next.value, options, before, moments)
    before = point
    points.set(next.value, point)
    next = search.next(measure(on, examples, point).top1)
  }
  const { atEdge, best, tried } = next.value
  const fitted = yield* fit(examplesOf(joined(rest, on)), best, options, points.get(best))
  const fittedOn = named(rest === train ? on.set : undefined)
  return finished({ c: best, chosenOn, fittedOn, tried, atEdge }, fitted)
})
