/** `patchword finetune`: train a classifier from a pretrained network. */
import { Effect, Layer, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { Images } from "../../layers/Images.ts"
import { Runs } from "../../layers/Runs.ts"
import * as Artifact from "../../pipelines/Artifact.ts"
import * as Finetune from "../../pipelines/Finetune.ts"
import * as Failure from "../Failure.ts"
import * as Options from "../Options.ts"
import * as Settings from "../Settings.ts"
import * as Show from "../Show.ts"
import * as Sources from "../Sources.ts"

const { images, json, machine, out, settings, split } = Options

/** The command. */
export const finetune = Command.make("finetune", {
  from: Flag.String("from").pipe(
    Flag.withDescription("a run with a pretrained network, RUN/STAGE, or a weights file; random values without"),
    Flag.optional
  ),
  tests: Flag.String("tests").pipe(
    Flag.withDescription("splits to test on, as val,in-new"),
    Flag.withDefault("val")
  ),
  ...settings,
  images,
  ...machine,
  out,
  split,
  json
}, (given) =>
  Effect.gen(function*() {
    const preset = yield* Settings.resolve(given)
    const backbone = Option.isNone(given.from) ? undefined : yield* Artifact.backbone(given.from.value)
    const services = Runs.layer(given.out, { config: yield* Settings.plain(preset) }).pipe(
      Layer.provideMerge(Layer.mergeAll(Sources.images(given.images), Sources.engine(given), Show.progress(given.json)))
    )
    yield* Effect.gen(function*() {
      const { load } = yield* Images
      const names = given.tests.split(",")
      const sets = yield* Effect.forEach(names, load)
      const classifier = yield* Finetune.finetune(preset.finetune, backbone, { split: given.split })
      const found = yield* Finetune.accuracies(classifier, sets)
      yield* Show.result(given.json, {
        stage: "finetune",
        weights: `${given.out}/stages/finetune.safetensors`,
        accuracy: Object.fromEntries(names.map((name, i) => [name, found[i]]))
      })
    }).pipe(Effect.provide(services))
  }).pipe(Failure.plain)).pipe(
    Command.withDescription("train a classifier from a pretrained network, all of it, and test it"),
    Command.withExamples([
      { command: "patchword finetune --from runs/one --images emoji --tests in-new,flat-new --out runs/one" }
    ])
  )
