/** `patchword pretrain`: predict visual words behind masks. */
import { Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import * as Artifact from "../../pipelines/artifacts/Artifact.ts"
import * as Pretrain from "../../pipelines/Pretrain.ts"
import * as ContinueFlags from "../flags/ContinueFlags.ts"
import * as Described from "../flags/Described.ts"
import * as NetworkFlags from "../flags/NetworkFlags.ts"
import * as RunConfig from "../flags/RunConfig.ts"
import * as RunPlace from "../flags/RunPlace.ts"
import * as Services from "../flags/Services.ts"
import * as TrainingFlags from "../flags/TrainingFlags.ts"
import * as Failure from "../terminal/Failure.ts"
import * as Print from "../terminal/Print.ts"

/** The command. */
export const pretrain = RunPlace.command("pretrain", { tokenizer: "networks", continue: "all", out: "owned" }, {
  tokenizer: Flag.String("tokenizer").pipe(
    Described.required("a run with a tokenizer, RUN/STAGE, or a file of weights")
  ),
  ...TrainingFlags.flags
}, (given) =>
  Effect.gen(function*() {
    const preset = yield* RunConfig.begin(given, Option.some(given.tokenizer))
    const continueFrom = yield* ContinueFlags.resolve(given, "pretrain")
    const tokenizer = yield* NetworkFlags.chosen(given.tokenizer, Artifact.tokenizer)
    yield* Pretrain.pretrain(preset.pretrain, tokenizer, { split: given.split, continueFrom }).pipe(
      Effect.andThen(Print.stage(given, "pretrain")),
      Effect.provide(
        Services.training(given, preset.pretrain, yield* Services.runConfig(preset, given))
      )
    )
  }).pipe(Failure.mapErrors)).pipe(
    Command.withDescription("pretrain a network: it predicts the codes of masked patches"),
    Command.withExamples([
      { command: "patchword pretrain --tokenizer runs/one --preset tiny --images emoji --out runs/one" }
    ])
  )
