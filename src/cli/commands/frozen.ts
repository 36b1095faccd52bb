/** `patchword probe` and `patchword knn`: what the features of a frozen network are worth. */
import { Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import type { Colour } from "../../domain/config/AugmentConfig.ts"
import { KnnConfig } from "../../domain/config/KnnConfig.ts"
import { ProbeConfig } from "../../domain/config/ProbeConfig.ts"
import type { Accuracy } from "../../domain/evaluation/Accuracy.ts"
import * as Classes from "../../domain/evaluation/Classes.ts"
import type * as Json from "../../domain/values/Json.ts"
import { Images } from "../../layers/images/Images.ts"
import type { ImageSet } from "../../layers/images/reading/ImageSet.ts"
import * as Results from "../../layers/run/Results.ts"
import * as Artifact from "../../pipelines/artefacts/Artifact.ts"
import { features } from "../../pipelines/evaluate/Features.ts"
import * as Knn from "../../pipelines/evaluate/Knn.ts"
import * as Probe from "../../pipelines/evaluate/Probe.ts"
import * as Stage from "../../pipelines/training/Stage.ts"
import { coloured } from "../Coloured.ts"
import * as Failure from "../Failure.ts"
import * as Options from "../Options.ts"
import * as Settings from "../Settings.ts"
import * as Show from "../Show.ts"
import * as Sources from "../Sources.ts"

const { classes, images, json, machine, settings, tests } = Options

/** A network with features: a run, `RUN/STAGE`, or a file. */
export const network = Argument.String("network").pipe(
  Argument.withDescription("RUN/STAGE, a weights file, or a folder of the Hugging Face Hub")
)

/** The network that is named, with the colours that are asked for. */
export const opened = (
  { colour, network }: { readonly network: string; readonly colour: Option.Option<Colour> }
) => Effect.map(Artifact.open(network), (found) => coloured(found, colour))

const input = {
  network,
  train: Flag.String("train").pipe(Flag.withDescription("the split that is learned from"), Flag.withDefault("train")),
  tests,
  classes,
  out: Flag.Directory("out").pipe(
    Flag.withDescription("a folder for what was found, as OUT/results/*.json; default the run that the network is of"),
    Flag.optional
  ),
  ...settings,
  ...images,
  ...machine,
  json
}

interface Given {
  readonly network: string
  readonly out: Option.Option<string>
  readonly train: string
  readonly tests: ReadonlyArray<string>
  readonly classes: Classes.Rule
  readonly json: boolean
}

/** The split that is learned from and those that are tested, whose classes meet. */
const splits = Effect.fnUntraced(function*({ classes, tests, train }: Given) {
  const { load } = yield* Images
  const learned = yield* load(train)
  const held = yield* Effect.forEach(tests, load)
  yield* Effect.fromResult(Classes.meetAll(learned, held, classes))
  return { learned, held }
})

/** Keeps figures where they belong, and prints them with how they came about. */
const finish = Effect.fnUntraced(function*(
  given: Given,
  found: Artifact.Artifact,
  { held, learned, others = [] }: {
    readonly learned: ImageSet
    readonly held: ReadonlyArray<ImageSet>
    readonly others?: ReadonlyArray<ImageSet>
  },
  { how, ...result }: {
    readonly verb: "probe" | "knn"
    readonly config: Json.Json
    readonly how: Readonly<Record<string, Json.Json | undefined>>
    readonly figures: ReadonlyArray<Accuracy>
  }
) {
  const { config, figures, verb } = result
  const { classes, json, network, out, train } = given
  const known = Object.fromEntries(
    Object.entries(how).flatMap(([key, value]) => value === undefined ? [] : [[key, value]])
  )
  const about: Results.About = {
    verb,
    network: found.provenance?.stage ?? found._tag.toLowerCase(),
    weights: Stage.digest(found.tensors),
    train: learned.digest,
    settings: { config, train, classes, ...known }
  }
  const folder = Option.isSome(out) ? out : yield* Results.runOf(network)
  const files = Option.isNone(folder)
    ? undefined
    : yield* Results.save(folder.value, yield* Results.make(about, held, figures))
  const results = json ? files ?? [] : files?.join(", ") ??
    "kept nowhere: the network is of no run; name a folder with --out"
  const fields = { network, ...known, ...Show.figures(json, figures), results }
  yield* Show.result(json, fields, [learned, ...held, ...others])
})

/** The command of the linear probe. */
export const probe = Command.make("probe", {
  ...input,
  validation: Flag.String("validation").pipe(
    Flag.withDescription(
      "the split that the regularisation is chosen on; without, and where it is one of --tests, a part of --train that is " +
        "held out"
    ),
    Flag.optional
  )
}, (given) =>
  Effect.gen(function*() {
    const { probe: config } = yield* Settings.resolve(given)
    const found = yield* opened(given)
    yield* Effect.gen(function*() {
      const { load } = yield* Images
      const sets = yield* splits(given)
      const shown = new Set([given.train, ...given.tests])
      const chooser = yield* Effect.forEach(
        Option.toArray(given.validation).filter((split) => !shown.has(split)),
        load
      )
      const [train, ...others] = yield* features(found, [sets.learned, ...sets.held, ...chooser], config)
      const tests = others.slice(0, sets.held.length)
      const validation = others[sets.held.length]
      const probed = yield* Probe.probe(config, { train: train!, validation, tests }, given.classes)
      const { atEdge, chosenOn, figures, l2, tried } = probed
      yield* finish(given, found, { ...sets, others: chooser }, {
        verb: "probe",
        config: Stage.toJson(ProbeConfig, config),
        how: {
          l2,
          chosenOn,
          tried: tried.length === 0 ? undefined : tried.map(({ score, value }) => ({ l2: value, top1: score })),
          ...(atEdge
            ? {
              edge:
                `${l2} is the last of what was tried, so a better value may lie beyond; try others by --set probe.l2`
            }
            : {})
        },
        figures
      })
    }).pipe(Effect.provide(Sources.services(given, found.config.augment)))
  }).pipe(Failure.plain)).pipe(
    Command.withDescription("fit a linear classifier on the features of a frozen network"),
    Command.withExamples([{ command: "patchword probe runs/one/pretrain --images emoji --tests in-new,flat-new" }])
  )

/** The command of the nearest neighbours. */
export const knn = Command.make("knn", input, (given) =>
  Effect.gen(function*() {
    const { knn: config } = yield* Settings.resolve(given)
    const found = yield* opened(given)
    yield* Effect.gen(function*() {
      const sets = yield* splits(given)
      const [bank, ...held] = yield* features(found, [sets.learned, ...sets.held], config)
      const figures = yield* Knn.knn(config, bank!, held, given.classes)
      const size = bank!.labels.length
      yield* finish(given, found, sets, {
        verb: "knn",
        config: Stage.toJson(KnnConfig, config),
        how: config.neighbours <= size ? {} : {
          neighbours: size,
          fewer:
            `${config.neighbours} neighbours are asked for, and ${given.train} has ${size} images: all of them vote`
        },
        figures
      })
    }).pipe(Effect.provide(Sources.services(given, found.config.augment)))
  }).pipe(Failure.plain)).pipe(
    Command.withDescription("classify by the nearest neighbours among the features of a frozen network"),
    Command.withExamples([{ command: "patchword knn runs/one/pretrain --images emoji --tests in-new" }])
  )
