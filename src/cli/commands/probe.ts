/** `patchword probe`: how well a linear classifier does on the features of a frozen network. */
import { Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import * as Config from "../../domain/config/Config.ts"
import * as LogregConfig from "../../domain/config/LogregConfig.ts"
import { ProbeConfig } from "../../domain/config/ProbeConfig.ts"
import type { Accuracy } from "../../domain/evaluation/Accuracy.ts"
import type { Rule } from "../../domain/evaluation/Classes.ts"
import type * as Json from "../../domain/values/Json.ts"
import { Images } from "../../layers/images/Images.ts"
import type * as Artifact from "../../pipelines/artifacts/Artifact.ts"
import type { ProbeSets } from "../../pipelines/evaluate/ChoiceSplit.ts"
import { features } from "../../pipelines/evaluate/Features.ts"
import { logisticRegression } from "../../pipelines/evaluate/LogisticRegression.ts"
import * as Probe from "../../pipelines/evaluate/Probe.ts"
import * as Network from "../../pipelines/trained/Network.ts"
import * as Stage from "../../pipelines/training/Stage.ts"
import * as ConfigFlags from "../flags/ConfigFlags.ts"
import * as Described from "../flags/Described.ts"
import * as EvaluationFlags from "../flags/EvaluationFlags.ts"
import * as ImagesFlags from "../flags/ImagesFlags.ts"
import * as NetworkFlags from "../flags/NetworkFlags.ts"
import * as RunConfig from "../flags/RunConfig.ts"
import * as Services from "../flags/Services.ts"
import * as Failure from "../terminal/Failure.ts"
import * as Figures from "../terminal/Figures.ts"

const METHODS = ["lbfgs", "logreg"] as const

type Method = typeof METHODS[number]

/** The parts of the configuration that one method alone reads. */
const OWN: Readonly<Record<Method, ReadonlyArray<string>>> = {
  lbfgs: ["standardise", "l2", "iterations"],
  logreg: ["logreg"]
}

/** Refuses single values that the method does not read. They would be passed over. */
const checkMethod = (method: Method, set: Readonly<Record<string, string>>) => {
  const [first, ...more] = Object.keys(set).flatMap((path) => {
    const reader = METHODS.find((one) => OWN[one].includes(path.split(".")[1] ?? ""))
    return reader === undefined || reader === method
      ? []
      : [{ path, message: `expected a value that --method ${method} reads, and only ${reader} reads this one` }]
  })
  return first === undefined
    ? Effect.void
    : Effect.fail(new Config.ConfigError({ source: "--set", problems: [first, ...more] }))
}

const edge = (value: number, key: string) =>
  `${value} is the last of the tried values, and a better one may lie beyond; try others by --set ${key}`

/** What a method found, and how. */
interface Measured {
  readonly figures: ReadonlyArray<Accuracy>
  readonly how: Figures.Variant["how"]
}

const measures = {
  lbfgs: (config: ProbeConfig, sets: ProbeSets, rule: Rule) =>
    Effect.map(Probe.probe(config, sets, rule), ({ atEdge, chosenOn, figures, l2, tried }): Measured => ({
      figures,
      how: {
        l2,
        chosenOn,
        tried: tried.length === 0 ? undefined : tried.map(({ score, value }) => ({ l2: value, top1: score })),
        ...(atEdge ? { edge: edge(l2, "probe.l2") } : {})
      }
    })),
  logreg: (config: ProbeConfig, sets: ProbeSets, rule: Rule) =>
    Effect.map(logisticRegression(config, sets, rule), ({ atEdge, c, chosenOn, figures, tried }): Measured => ({
      figures,
      how: {
        method: "logreg",
        c,
        chosenOn,
        tried: tried.length === 0 ? undefined : tried.map(({ score, value }) => ({ c: value, top1: score })),
        ...(atEdge ? { edge: edge(c, "probe.logreg.c") } : {})
      }
    }))
}

/** The settings that a method uses. */
const settings = (method: Method, config: ProbeConfig): Json.Json => {
  if (method === "lbfgs") {
    const { logreg: _, ...own } = config
    return Stage.toJson(ProbeConfig, new ProbeConfig(own))
  }
  const { finalNorm, pooling, seed } = config
  return { seed, pooling, finalNorm, ...LogregConfig.complete(config.logreg) }
}

/** The command. */
export const probe = Command.make("probe", {
  ...EvaluationFlags.flags,
  method: Flag.Literals("method", METHODS).pipe(
    Described.withDefault(
      "lbfgs: logistic regression on standardised features, which chooses probe.l2; logreg: that of DINOv2 and DINOv3, which " +
        "chooses probe.logreg.c",
      "lbfgs"
    )
  ),
  validation: Flag.String("validation").pipe(
    Described.optional(
      "the split that the regularisation is chosen on; where it is one of --tests, a part of --train is held out instead",
      "a part of --train that is held out"
    )
  )
}, (given) =>
  Effect.gen(function*() {
    yield* ConfigFlags.onlyOf(["probe"], given)
    yield* checkMethod(given.method, given.set)
    const { probe: config } = yield* RunConfig.resolve(given)
    const found = yield* NetworkFlags.open(given)
    yield* Effect.gen(function*() {
      const { load } = yield* Images
      const sets = yield* EvaluationFlags.splits(given)
      yield* ImagesFlags.checkDivision(found.provenance, [sets.learned, ...sets.held])
      const shown = new Set([given.train, ...given.tests])
      const chooser = yield* Effect.forEach(
        Option.toArray(given.validation).filter((split) => !shown.has(split)),
        load
      )
      const measured = Effect.fnUntraced(function*(network: Artifact.Artifact) {
        const all = [sets.learned, ...sets.held, ...chooser]
        const [train, ...others] = yield* features(network, all, config)
        const tests = others.slice(0, sets.held.length)
        const validation = others[sets.held.length]
        const measure = measures[given.method]
        const found = yield* measure(config, { train: train!, validation, tests }, given.classes)
        return { ...found, tensors: network.tensors }
      })
      const random = given.randomBaseline ? yield* measured(Network.untrained(found)) : undefined
      const { figures, how } = yield* measured(found)
      yield* Figures.keep(given, found, { ...sets, others: chooser }, {
        verb: "probe",
        recorded: ImagesFlags.recorded(given),
        config: settings(given.method, config),
        variants: [{ how, figures, random: random?.figures }],
        randomTensors: random?.tensors
      })
    }).pipe(Effect.provide(Services.imagesAndEngine(given, found.config.augment)))
  }).pipe(Failure.mapErrors)).pipe(
    Command.withDescription("fit a linear classifier on the features of a frozen network"),
    Command.withExamples([
      { command: "patchword probe runs/one/pretrain --images emoji --tests in-new,flat-new" },
      { command: "patchword probe runs/one/pretrain --images emoji --tests in-new --method logreg" }
    ])
  )
