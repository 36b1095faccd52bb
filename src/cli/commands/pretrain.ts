/** `patchword pretrain`: predict visual words behind masks. */
import { Effect } from "effect"
import { Command, Flag } from "effect/cli"
import * as Artifact from "../../pipelines/artefacts/Artifact.ts"
import * as Pretrain from "../../pipelines/Pretrain.ts"
import * as Failure from "../Failure.ts"
import * as Options from "../Options.ts"
import * as Settings from "../Settings.ts"
import * as Trained from "../Trained.ts"

const { images, json, machine, out, settings, split } = Options

/** The command. */
export const pretrain = Command.make("pretrain", {
  tokenizer: Flag.String("tokenizer").pipe(
    Flag.withDescription("a run with a tokenizer, RUN/STAGE, or a weights file")
  ),
  ...settings,
  ...images,
  ...machine,
  out,
  split,
  json
}, (given) =>
  Effect.gen(function*() {
    const preset = yield* Settings.resolve(given)
    const tokenizer = yield* Artifact.tokenizer(given.tokenizer)
    yield* Pretrain.pretrain(preset.pretrain, tokenizer, { split: given.split }).pipe(
      Effect.andThen(Trained.show(given, "pretrain")),
      Effect.provide(Trained.services(given, preset.pretrain, yield* Settings.plain(preset)))
    )
  }).pipe(Failure.plain)).pipe(
    Command.withDescription("pretrain a network on the codes that a tokenizer gives to masked patches"),
    Command.withExamples([
      { command: "patchword pretrain --tokenizer runs/one --preset tiny --images emoji --out runs/one" }
    ])
  )
