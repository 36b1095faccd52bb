/** `patchword probe` and `patchword knn`: what the features of a frozen network are worth. */
import { Effect } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as Config from "../../domain/Config.ts"
import { Images } from "../../layers/Images.ts"
import * as Artifact from "../../pipelines/Artifact.ts"
import { features } from "../../pipelines/Features.ts"
import * as Knn from "../../pipelines/Knn.ts"
import * as Probe from "../../pipelines/Probe.ts"
import * as Failure from "../Failure.ts"
import * as Options from "../Options.ts"
import * as Settings from "../Settings.ts"
import * as Show from "../Show.ts"
import * as Sources from "../Sources.ts"

const { images, json, machine, settings, tests } = Options

/** A network with features: a run, `RUN/STAGE`, or a file. */
export const network = Argument.String("network").pipe(
  Argument.withDescription("RUN/STAGE, or the weights file of a tokenizer or a backbone")
)

/** The network at a path; a classifier is refused. */
export const opened = Effect.fnUntraced(function*(path: string) {
  const found = yield* Artifact.open(path)
  if (found._tag !== "Classifier") return found
  return yield* Config.refusal(path, "expected a tokenizer or a backbone, got a classifier")
})

const input = {
  network,
  train: Flag.String("train").pipe(Flag.withDescription("the split that is learned from"), Flag.withDefault("train")),
  tests,
  ...settings,
  ...images,
  ...machine,
  json
}

/** The command of the linear probe. */
export const probe = Command.make("probe", {
  ...input,
  validation: Flag.String("validation").pipe(
    Flag.withDescription("the split that the regularisation is chosen on"),
    Flag.withDefault("val")
  )
}, (given) =>
  Effect.gen(function*() {
    const { probe: config } = yield* Settings.resolve(given)
    const found = yield* opened(given.network)
    yield* Effect.gen(function*() {
      const { load } = yield* Images
      const tests = given.tests.split(",")
      const sets = yield* Effect.forEach([given.train, given.validation, ...tests], load)
      const [train, validation, ...held] = yield* features(found, sets, config)
      const parts = { train: train!, validation: validation!, tests: held }
      const { accuracies, l2 } = yield* Probe.probe(config, sets[0]!.classes.length, parts)
      yield* Show.result(given.json, { network: given.network, l2, ...Show.accuracy(tests, accuracies) }, sets)
    }).pipe(Effect.provide(Sources.services(given)))
  }).pipe(Failure.plain)).pipe(
    Command.withDescription("fit a linear classifier on the features of a frozen network"),
    Command.withExamples([{ command: "patchword probe runs/one/pretrain --images emoji --tests in-new,flat-new" }])
  )

/** The command of the nearest neighbours. */
export const knn = Command.make("knn", input, (given) =>
  Effect.gen(function*() {
    const { knn: config } = yield* Settings.resolve(given)
    const found = yield* opened(given.network)
    yield* Effect.gen(function*() {
      const { load } = yield* Images
      const tests = given.tests.split(",")
      const sets = yield* Effect.forEach([given.train, ...tests], load)
      const [bank, ...held] = yield* features(found, sets, config)
      const accuracies = yield* Knn.knn(config, sets[0]!.classes.length, bank!, held)
      yield* Show.result(given.json, { network: given.network, ...Show.accuracy(tests, accuracies) }, sets)
    }).pipe(Effect.provide(Sources.services(given)))
  }).pipe(Failure.plain)).pipe(
    Command.withDescription("classify by the nearest neighbours among the features of a frozen network"),
    Command.withExamples([{ command: "patchword knn runs/one/pretrain --images emoji --tests in-new" }])
  )
