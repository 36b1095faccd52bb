/** `patchword evaluate`: how well a fine-tuned classifier does on splits of images. */
import { Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { AugmentConfig } from "../../domain/config/AugmentConfig.ts"
import * as Config from "../../domain/config/Config.ts"
import { FinetuneConfig } from "../../domain/config/FinetuneConfig.ts"
import { Images } from "../../layers/images/Images.ts"
import * as Results from "../../layers/run/Results.ts"
import * as Artifact from "../../pipelines/artifacts/Artifact.ts"
import * as Stage from "../../pipelines/training/Stage.ts"
import * as Described from "../flags/Described.ts"
import * as EngineFlags from "../flags/EngineFlags.ts"
import * as Flags from "../flags/Flags.ts"
import * as ImagesFlags from "../flags/ImagesFlags.ts"
import * as NetworkFlags from "../flags/NetworkFlags.ts"
import * as RunPlace from "../flags/RunPlace.ts"
import * as Services from "../flags/Services.ts"
import * as Classified from "../terminal/Classified.ts"
import * as Failure from "../terminal/Failure.ts"

/** The command. */
export const evaluate = RunPlace.command("evaluate", { network: "measured", out: "measured" }, {
  network: Argument.String("network").pipe(
    Argument.withDescription(
      "a run with a classifier, RUN/STAGE, a file of weights, or a folder of the Hugging Face Hub"
    )
  ),
  tests: Flags.tests,
  classes: Flags.classes,
  crop: Flag.Finite("crop").pipe(
    Described.optional(
      "the side of the central crop as a share of the resized image (crop_pct), such as 1 for all of it",
      "that of the network's configuration"
    )
  ),
  out: Flag.Directory("out").pipe(
    Described.optional("a folder for the figures, which are OUT/results/*", "the run of the network")
  ),
  ...ImagesFlags.flags,
  ...EngineFlags.flags,
  json: Flags.json
}, (given) =>
  Effect.gen(function*() {
    const opened = yield* NetworkFlags.chosen(given.network, Artifact.classifier)
    const { classes, config: trained, provenance, tensors } = NetworkFlags.withColour(opened, given.colour)
    const augment = yield* Config.check(AugmentConfig, "evaluate")({
      ...trained.augment,
      ...Option.match(given.crop, { onNone: () => ({}), onSome: (evaluationCrop) => ({ evaluationCrop }) })
    })
    const config = new FinetuneConfig({ ...trained, augment })
    yield* Effect.gen(function*() {
      const sets = yield* Effect.forEach(given.tests, (yield* Images).load)
      yield* ImagesFlags.checkDivision(provenance, sets)
      const measured = yield* Classified.measure({ classes, config, tensors }, sets, given.classes, {
        network: provenance?.stage ?? "classifier",
        train: provenance?.dataDigest ?? "",
        settings: {
          config: Stage.toJson(FinetuneConfig, config),
          classes: given.classes,
          ...ImagesFlags.recorded(given)
        },
        vit: config.vit
      })
      const folder = Option.isSome(given.out) ? given.out : yield* Results.runOf(given.network)
      yield* Classified.keep({ json: given.json, folder }, { network: given.network }, [measured], [], sets)
    }).pipe(Effect.provide(Services.imagesAndEngine(given, { augment })))
  }).pipe(Failure.mapErrors)).pipe(
    Command.withDescription("measure a classifier on images, without training"),
    Command.withExamples([
      { command: "patchword evaluate runs/one/finetune --images emoji --tests in-new,flat-new" },
      { command: "patchword evaluate runs/base/finetune-best --images imagenet.yaml --tests val" }
    ])
  )
