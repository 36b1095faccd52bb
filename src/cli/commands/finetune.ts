/** `patchword finetune`: train a classifier from a pretrained network. */
import { Console, Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import * as Config from "../../domain/config/Config.ts"
import { FinetuneConfig } from "../../domain/config/FinetuneConfig.ts"
import { Preset } from "../../domain/config/Preset.ts"
import * as Classes from "../../domain/evaluation/Classes.ts"
import * as Naming from "../../domain/weights/Naming.ts"
import { Images } from "../../layers/images/Images.ts"
import * as TeacherEncoder from "../../layers/teacher/TeacherEncoder.ts"
import * as Weights from "../../layers/weights/Weights.ts"
import * as Artifact from "../../pipelines/artifacts/Artifact.ts"
import * as Finetune from "../../pipelines/Finetune.ts"
import type { Classifier } from "../../pipelines/trained/Classifier.ts"
import * as OtherEncoder from "../../pipelines/training/OtherEncoder.ts"
import * as Stage from "../../pipelines/training/Stage.ts"
import type { Start } from "../../pipelines/training/Start.ts"
import * as ContinueFlags from "../flags/ContinueFlags.ts"
import * as Described from "../flags/Described.ts"
import * as Flags from "../flags/Flags.ts"
import * as ImagesFlags from "../flags/ImagesFlags.ts"
import * as NetworkFlags from "../flags/NetworkFlags.ts"
import * as RunConfig from "../flags/RunConfig.ts"
import * as RunPlace from "../flags/RunPlace.ts"
import * as Services from "../flags/Services.ts"
import * as TeacherFlags from "../flags/TeacherFlags.ts"
import * as TrainingFlags from "../flags/TrainingFlags.ts"
import * as Classified from "../terminal/Classified.ts"
import * as Failure from "../terminal/Failure.ts"

type Opened = Start & { readonly provenance?: Weights.Provenance }

/** The network at a path, a teacher, or weights from elsewhere, whoever named them. */
const opened = (path: string) => {
  const file = TeacherFlags.dinoFile(path)
  if (file !== undefined) return Effect.map(TeacherEncoder.dino(file), (found): Opened => OtherEncoder.ofTeacher(found))
  return NetworkFlags.chosen(path, Artifact.trained).pipe(
    Effect.map((found): Opened => found),
    Effect.catchIf(
      ({ reason }) => reason._tag === "OtherKind" && reason.found === "Tokenizer",
      () =>
        Effect.map(Artifact.tokenizer(path), (found): Opened => ({
          ...OtherEncoder.ofTokenizer(found, path),
          ...(found.provenance && { provenance: found.provenance })
        }))
    ),
    Effect.catchIf(({ reason }) => reason._tag === "NotAnArtifact", () =>
      Effect.map(
        Weights.read(path, { network: Naming.beitNetwork }),
        ({ tensors }): Opened => ({ source: path, tensors })
      ))
  )
}

/** The configuration for a start. The encoder of another kind of network brings its own sizes. */
const configured = Effect.fnUntraced(function*(preset: Preset, start: Start | undefined) {
  if (start === undefined || !("encoder" in start)) return preset
  yield* Console.error(`finetune.vit: as ${start.source} has it, with its absolute positions and its channels`)
  return new Preset({ ...preset, finetune: yield* OtherEncoder.configOf(preset.finetune, start) })
})

const epochsOf = (from: Start): number | undefined =>
  "codes" in from && from.config.optimizer.unit === "epochs" ? from.config.optimizer.duration : undefined

/** The command. */
export const finetune = RunPlace.command("finetune", { from: "networks", continue: "all", out: "owned" }, {
  from: Flag.String("from").pipe(
    Described.optional(
      "the network to begin with: a run with a pretrained or a fine-tuned network, RUN/STAGE, a folder of the Hugging Face " +
        "Hub, or a file of weights, which fits the preset's network where it is not patchword's own; RUN/tokenizer takes the " +
        "tokenizer's encoder, and dino:FILE a teacher",
      "random weights"
    )
  ),
  tests: Flags.tests,
  classes: Flags.classes,
  validation: Flag.String("validation").pipe(
    Described.optional(
      "a split that is evaluated after each epoch (finetune.evaluateEvery); the run keeps the network that is best on it, as " +
        "finetune-best",
      "nothing is evaluated during training"
    )
  ),
  randomBaseline: Described.flag(
    "random-baseline",
    "train from random weights, too, as the stage finetune-random, to see what pretraining gave; it takes as long again"
  ),
  ...TrainingFlags.flags
}, (given) =>
  Effect.gen(function*() {
    const begun = yield* RunConfig.begin(given, given.from)
    const continueFrom = yield* ContinueFlags.resolve(given, "finetune")
    if (given.randomBaseline && Option.isNone(given.from)) {
      return yield* Config.refusal(
        "--random-baseline",
        "expected --from beside it; without, the training begins at random",
        "add --from RUN, or leave out --random-baseline"
      )
    }
    const start = Option.isNone(given.from) ? undefined : yield* opened(given.from.value)
    const preset = yield* configured(begun, start)
    yield* Effect.gen(function*() {
      const { load } = yield* Images
      const train = yield* load(given.split)
      const sets = yield* Effect.forEach(given.tests, load)
      const chooser = yield* Effect.forEach(Option.toArray(given.validation), load)
      yield* ImagesFlags.checkDivision(start?.provenance, [train, ...sets, ...chooser])
      // Before hours of training, not after.
      yield* Effect.fromResult(Classes.meetAll(train, [...sets, ...chooser], given.classes))
      const measured = Effect.fnUntraced(function*(
        stage: string,
        from: Start | undefined,
        more: Finetune.FinetuneOptions
      ) {
        const trained = yield* Finetune.finetune(preset.finetune, from, {
          split: given.split,
          stage,
          classes: given.classes,
          ...more
        })
        const networks = [[stage, trained] as const, ...Finetune.beside(stage, trained)]
        return yield* Effect.forEach(networks, ([network, classifier]) => evaluated(network, classifier, from))
      })
      const evaluated = (network: string, classifier: Classifier, from: Start | undefined) =>
        Classified.measure(classifier, sets, given.classes, {
          network,
          train: train.digest,
          settings: {
            config: Stage.toJson(FinetuneConfig, preset.finetune),
            train: train.name,
            classes: given.classes,
            ...ImagesFlags.recorded(given)
          },
          ...(from === undefined ? {} : { vit: preset.finetune.vit, epochs: epochsOf(from) })
        })
      const [own, ...beside] = yield* measured("finetune", start, {
        continueFrom,
        validation: Option.getOrUndefined(given.validation)
      })
      const random = given.randomBaseline ? yield* measured("finetune-random", undefined, {}) : []
      yield* Classified.keep(
        { json: given.json, folder: Option.some(given.out) },
        { stage: "finetune", weights: `${given.out}/stages/finetune.safetensors` },
        [own!, ...beside],
        random,
        [train, ...sets]
      )
    }).pipe(
      Effect.provide(
        Services.training(given, preset.finetune, yield* Services.runConfig(preset, given))
      )
    )
  }).pipe(Failure.mapErrors)).pipe(
    Command.withDescription("train a classifier from a pretrained network, and test it"),
    Command.withExamples([
      {
        command:
          "patchword finetune --from beitv2_base_patch16_224_pt1k.pth --preset base --images imagenet.yaml --out runs/tuned"
      },
      { command: "patchword finetune --from runs/one --images emoji --tests in-new,flat-new --out runs/one" },
      { command: "patchword finetune --from runs/one --images birds --holdout 0.2 --out runs/birds" }
    ])
  )
