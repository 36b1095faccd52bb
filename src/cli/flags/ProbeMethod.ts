/** The methods of `patchword probe`: their features, their settings, and what they tell. */
import { Effect, Layer, Option } from "effect"
import { Flag } from "effect/cli"
import * as Config from "../../domain/config/Config.ts"
import { KnnConfig } from "../../domain/config/KnnConfig.ts"
import * as LogregConfig from "../../domain/config/LogregConfig.ts"
import type { Preset } from "../../domain/config/Preset.ts"
import { ProbeConfig } from "../../domain/config/ProbeConfig.ts"
import * as SweepConfig from "../../domain/config/SweepConfig.ts"
import type { Rule } from "../../domain/evaluation/Classes.ts"
import * as Json from "../../domain/values/Json.ts"
import * as Files from "../../layers/files/Files.ts"
import type { ImageSet } from "../../layers/images/reading/ImageSet.ts"
import * as Results from "../../layers/run/Results.ts"
import * as Runs from "../../layers/run/Runs.ts"
import * as Weights from "../../layers/weights/Weights.ts"
import type * as Artifact from "../../pipelines/artifacts/Artifact.ts"
import * as BlockFeatures from "../../pipelines/evaluate/BlockFeatures.ts"
import type { ProbeSets } from "../../pipelines/evaluate/ChoiceSplit.ts"
import { blockFeatures, type FeatureOptions, features } from "../../pipelines/evaluate/Features.ts"
import type { FeatureSet } from "../../pipelines/evaluate/FeatureSet.ts"
import * as Knn from "../../pipelines/evaluate/Knn.ts"
import { logisticRegression } from "../../pipelines/evaluate/LogisticRegression.ts"
import * as Probe from "../../pipelines/evaluate/Probe.ts"
import { probeSweep } from "../../pipelines/evaluate/ProbeSweep.ts"
import * as Chosen from "../../pipelines/report/Chosen.ts"
import * as Stage from "../../pipelines/training/Stage.ts"
import type * as Figures from "../terminal/Figures.ts"
import * as Print from "../terminal/Print.ts"
import * as Described from "./Described.ts"

const METHODS = ["lbfgs", "logreg", "sweep"] as const

type Single = typeof METHODS[number]

/** A method, or all of them from one pass over the images. */
export type Method = Single | "all"

/** The flag. */
export const flag = Flag.Literals("method", [...METHODS, "all"]).pipe(
  Described.withDefault(
    "lbfgs: logistic regression on standardised features, which chooses probe.l2; logreg: that of DINOv2 and DINOv3, which " +
      "chooses probe.logreg.c; sweep: many classifiers that are trained together, as in DINOv2 (probe.sweep); all: these three " +
      "and k-NN, from one pass over the images",
    "lbfgs"
  )
)

/** The methods that read a part of the configuration. All read the other parts. */
const READERS: Readonly<Record<string, ReadonlyArray<Method>>> = {
  pooling: ["lbfgs", "logreg", "all"],
  standardise: ["lbfgs", "all"],
  l2: ["lbfgs", "all"],
  iterations: ["lbfgs", "all"],
  logreg: ["logreg", "all"],
  sweep: ["sweep", "all"]
}

/** Refuses single values that the method does not read. They would be passed over. */
export const check = (
  method: Method,
  set: Readonly<Record<string, string>>
): Effect.Effect<void, Config.ConfigError> => {
  const [first, ...more] = Object.keys(set).flatMap((path) => {
    const [part, key = ""] = path.split(".")
    const readers = part === "probe" ? READERS[key] : undefined
    return readers === undefined || readers.includes(method)
      ? []
      : [{
        path,
        message: `expected a value that --method ${method} reads, but this one is for ${readers.join(" and ")}`
      }]
  })
  return first === undefined
    ? Effect.void
    : Effect.fail(new Config.ConfigError({ source: "--set", problems: [first, ...more] }))
}

const edge = (value: number, key: string) =>
  `${value} is the last of the tried values, and a better one may lie beyond; try others by --set ${key}`

/** Says that a fit stopped at its limit of iterations. Nothing where it converged. */
const unfinished = (hasConverged: boolean, iterations: number, key: string) =>
  hasConverged ? {} : {
    unconverged:
      `the probe stopped after ${iterations} ${
        iterations === 1 ? "iteration" : "iterations"
      }, before it had converged; ` +
      `allow more by --set ${key}`
  }

const lbfgs = (config: ProbeConfig, sets: ProbeSets, rule: Rule) =>
  Effect.map(
    Probe.probe(config, sets, rule),
    ({ atEdge, chosenOn, figures, hasConverged, l2, tried }): Figures.Variant => {
      const { logreg: _, sweep: __, ...own } = config
      return {
        verb: "probe",
        config: Stage.toJson(ProbeConfig, new ProbeConfig(own)),
        figures,
        how: {
          l2,
          chosenOn,
          tried: tried.length === 0 ? undefined : tried.map(({ score, value }) => ({ l2: value, top1: score })),
          ...(atEdge ? { edge: edge(l2, "probe.l2") } : {}),
          ...unfinished(hasConverged, config.iterations, "probe.iterations")
        }
      }
    }
  )

const logreg = (config: ProbeConfig, sets: ProbeSets, rule: Rule) =>
  Effect.map(
    logisticRegression(config, sets, rule),
    ({ atEdge, c, chosenOn, figures, fittedOn, hasConverged, tried }): Figures.Variant => {
      const { finalNorm, pooling, seed } = config
      const settings = LogregConfig.complete(config.logreg)
      return {
        verb: "probe",
        config: { seed, pooling, finalNorm, ...settings },
        figures,
        how: {
          method: "logreg",
          c,
          chosenOn,
          fittedOn,
          ...(atEdge ? { edge: edge(c, "probe.logreg.c") } : {}),
          ...unfinished(hasConverged, settings.iterations, "probe.logreg.iterations")
        },
        details: tried.length === 0 ? {} : { tried: tried.map(({ score, value }) => ({ c: value, top1: score })) }
      }
    }
  )

/** The networks and images of an evaluation. */
interface Evaluated {
  readonly network: Artifact.Artifact
  readonly train: ImageSet
  readonly tests: ReadonlyArray<ImageSet>
  readonly validation: ImageSet | undefined
}

/** The flags that concern the methods. */
interface Given {
  readonly network: string
  readonly out: Option.Option<string>
  readonly classes: Rule
  readonly json: boolean
}

/** The run of a sweep: a folder in that of the figures, by what the sweep computes, so that it resumes; else in memory. */
const sweepRun = Effect.fnUntraced(
  function*(given: Given, config: Json.Json, { network, train, validation }: Evaluated) {
    const folder = Option.isSome(given.out) ? given.out : yield* Results.runOf(given.network)
    const about: Json.Json = {
      sweep: config,
      weights: yield* Weights.digest(network.tensors),
      train: train.digest,
      validation: validation?.digest ?? null
    }
    return Option.match(folder, {
      onNone: () => Runs.layerMemory(),
      onSome: (base) =>
        Runs.layer(`${base}/sweeps/${Files.sha256(Json.canonical(about)).slice(0, 12)}`, { config: about })
    })
  }
)

const sweep = Effect.fnUntraced(function*(
  given: Given,
  config: ProbeConfig,
  evaluated: Evaluated,
  sets: ProbeSets<BlockFeatures.BlockFeatureSet>
) {
  const settings = { seed: config.seed, finalNorm: config.finalNorm, ...SweepConfig.complete(config.sweep) }
  const run = yield* sweepRun(given, settings, evaluated)
  const { network, train: images } = evaluated
  const { atEdge, chosenOn, figures, tried, winner } = yield* probeSweep(config, sets, given.classes, {
    source: { network, images }
  }).pipe(
    Effect.provide(Layer.merge(run, Print.progress(given.json)))
  )
  const found: Figures.Variant = {
    verb: "probe",
    config: settings,
    figures,
    how: {
      method: "sweep",
      winner: winner.name,
      blocks: winner.features.blocks,
      pooling: winner.features.pooling,
      rate: winner.rate,
      chosenOn,
      ...(atEdge ? { edge: edge(winner.rate, "probe.sweep.rates") } : {})
    },
    details: tried.length === 0 ? {} : { tried: tried.map(({ name, top1 }) => ({ head: name, top1 })) }
  }
  return found
})

const setsOf = <S extends FeatureSet>(found: ReadonlyArray<S>, tests: number): ProbeSets<S> => ({
  train: found[0]!,
  tests: found.slice(1, 1 + tests),
  validation: found[1 + tests]
})

/** Evaluates a network by one method, or by all. */
export const measure = Effect.fnUntraced(function*(
  method: Method,
  given: Given,
  preset: Pick<Preset, "knn" | "probe">,
  evaluated: Evaluated
) {
  const { network, tests, train, validation } = evaluated
  const { knn, probe } = preset
  const all = [train, ...tests, ...(validation === undefined ? [] : [validation])]
  if (method === "lbfgs" || method === "logreg") {
    const sets = setsOf(yield* features(network, all, probe), tests.length)
    return [yield* (method === "lbfgs" ? lbfgs : logreg)(probe, sets, given.classes)]
  }
  const blocks = Math.max(...SweepConfig.complete(probe.sweep).blocks)
  const seen = yield* blockFeatures(network, all, { blocks, finalNorm: probe.finalNorm })
  const sets = setsOf(seen, tests.length)
  const swept = yield* sweep(given, probe, evaluated, sets)
  if (method === "sweep") return [swept]
  const pooled = ({ pooling }: FeatureOptions, from: ReadonlyArray<BlockFeatures.BlockFeatureSet>) =>
    setsOf(from.map((set) => BlockFeatures.select(set, { blocks: 1, pooling })), tests.length)
  const own = pooled(probe, seen)
  const near = pooled(
    knn,
    knn.finalNorm === probe.finalNorm
      ? seen
      : yield* blockFeatures(network, all, { blocks: 1, finalNorm: knn.finalNorm })
  )
  const variants = [
    yield* lbfgs(probe, own, given.classes),
    yield* logreg(probe, own, given.classes),
    swept,
    ...(yield* Knn.compareNeighbours(knn, near.train, near.tests, given.classes)).map((one): Figures.Variant => ({
      verb: "knn",
      config: Stage.toJson(KnnConfig, knn),
      figures: one.figures,
      how: { neighbours: one.neighbours, perClass: one.perClass, tries: one.tries }
    }))
  ]
  return variants.map((variant): Figures.Variant => ({
    ...variant,
    columns: variant.figures.map(() => ({
      method: variant.verb === "knn" ? "k-NN" : String(variant.how.method ?? "lbfgs"),
      setting: Chosen.setting(variant.how)
    }))
  }))
})
