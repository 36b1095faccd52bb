/** `patchword decoder`: draw images from their codes. */
import { Console, Effect, Layer, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as Config from "../../../domain/config/Config.ts"
import { Images } from "../../../layers/images/Images.ts"
import * as FidelityResults from "../../../layers/run/FidelityResults.ts"
import * as Results from "../../../layers/run/Results.ts"
import * as Weights from "../../../layers/weights/Weights.ts"
import * as Artifact from "../../../pipelines/artifacts/Artifact.ts"
import { evaluateDecoder } from "../../../pipelines/completion/Reconstruct.ts"
import { trainDecoder } from "../../../pipelines/TrainDecoder.ts"
import * as ConfigFlags from "../../flags/ConfigFlags.ts"
import * as ContinueFlags from "../../flags/ContinueFlags.ts"
import * as DecoderFlags from "../../flags/DecoderFlags.ts"
import * as Described from "../../flags/Described.ts"
import * as EngineFlags from "../../flags/EngineFlags.ts"
import * as Flags from "../../flags/Flags.ts"
import * as ImagesFlags from "../../flags/ImagesFlags.ts"
import * as NetworkFlags from "../../flags/NetworkFlags.ts"
import * as RunConfig from "../../flags/RunConfig.ts"
import * as RunPlace from "../../flags/RunPlace.ts"
import * as Services from "../../flags/Services.ts"
import * as TrainingFlags from "../../flags/TrainingFlags.ts"
import * as Failure from "../../terminal/Failure.ts"
import * as FidelityTable from "../../terminal/FidelityTable.ts"
import * as Print from "../../terminal/Print.ts"

const train = RunPlace.command("train", { tokenizer: "networks", continue: "all", out: "owned" }, {
  tokenizer: Flag.String("tokenizer").pipe(
    Described.required("a run with a tokenizer, RUN/STAGE, or a file of weights")
  ),
  ...TrainingFlags.flags
}, (given) =>
  Effect.gen(function*() {
    yield* ConfigFlags.onlyOf(["decoder"], given)
    const preset = yield* RunConfig.begin(given, Option.some(given.tokenizer))
    const { decoder: config } = preset
    if (config === undefined) {
      return yield* Config.refusal("decoder", ConfigFlags.FORMER, ConfigFlags.GIVE_PRESET)
    }
    const continueFrom = yield* ContinueFlags.resolve(given, "decoder")
    const tokenizer = yield* NetworkFlags.chosen(given.tokenizer, Artifact.tokenizer)
    yield* trainDecoder(config, tokenizer, { split: given.split, continueFrom }).pipe(
      Effect.andThen(Print.stage(given, "decoder")),
      Effect.provide(Services.training(given, config, yield* Services.runConfig(preset, given)))
    )
  }).pipe(Failure.mapErrors)).pipe(
    Command.withDescription("train a pixel decoder: it learns to draw images from the codes of a tokenizer"),
    Command.withExamples([
      { command: "patchword decoder train --tokenizer runs/one --images emoji --out runs/one" },
      {
        command:
          "patchword decoder train --tokenizer runs/one --images emoji --set decoder.perceptual=0.1 --out runs/two"
      }
    ])
  )

const TITLES = {
  decoder: "decoder",
  meanPatch: "mean patch of each code",
  meanColour: "mean colour of the image"
}

const evaluate = RunPlace.command("evaluate", { decoder: "measured", tokenizer: "networks" }, {
  decoder: Argument.String("decoder").pipe(
    Argument.withDescription("a run with a pixel decoder, RUN/STAGE, or a file of weights")
  ),
  tokenizer: DecoderFlags.tokenizer,
  ...ImagesFlags.flags,
  ...EngineFlags.flags,
  tests: Flags.tests,
  json: Flags.json
}, (given) =>
  Effect.gen(function*() {
    const { decoder, provenance, tokenizer } = yield* DecoderFlags.open(given)
    yield* Effect.gen(function*() {
      const sets = yield* Effect.forEach(given.tests, (yield* Images).load)
      yield* ImagesFlags.checkDivision(provenance, sets)
      const figures = yield* Effect.forEach(sets, (set) => evaluateDecoder(decoder, tokenizer, set))
      const weights = yield* Weights.digest(decoder.tensors)
      const results = yield* Effect.forEach(figures, (found, i) =>
        FidelityResults.make({
          verb: "decoder",
          network: provenance.stage,
          ...found,
          digests: {
            decoder: weights,
            tokenizer: decoder.tokenizer,
            images: sets[i]!.digest
          },
          settings: { ...ImagesFlags.recorded(given) }
        }))
      const run = yield* Results.runOf(given.decoder)
      const files = Option.isNone(run) ? [] : yield* FidelityResults.save(run.value, results)
      if (given.json) return yield* Print.result(true, { decoder: given.decoder, figures, results: files }, sets)
      yield* Console.log(FidelityTable.render(figures, TITLES))
      yield* Print.result(false, { results: files.length === 0 ? undefined : files.join(", ") }, sets)
    }).pipe(
      Effect.provide(
        Print.progress(given.json).pipe(
          Layer.provideMerge(Services.imagesAndEngine(given, tokenizer.config))
        )
      )
    )
  }).pipe(Failure.mapErrors)).pipe(
    Command.withDescription("measure a pixel decoder: PSNR and SSIM of its pictures, beside two baselines"),
    Command.withExamples([{ command: "patchword decoder evaluate runs/one --images emoji --tests val,in-new" }])
  )

/** The command. */
export const decoder = Command.make("decoder").pipe(
  Command.withDescription("draw images from their codes: decoder train, decoder evaluate"),
  Command.withSubcommands([train, evaluate])
)
