/** `patchword inspect`: what a file or a run is. */
import { Console, Effect, Schema } from "effect"
import { Argument, Command } from "effect/cli"
import * as Inspect from "../../pipelines/artifacts/Inspect.ts"
import * as Flags from "../flags/Flags.ts"
import * as RunPlace from "../flags/RunPlace.ts"
import * as Failure from "../terminal/Failure.ts"
import * as InspectionText from "../terminal/InspectionText.ts"
import * as Print from "../terminal/Print.ts"

/** The command. */
export const inspect = RunPlace.command("inspect", { path: "all" }, {
  path: Argument.String("path").pipe(
    Argument.withDescription(
      "a run, RUN/STAGE, a file or folder in a run, a file of weights, codes or features, an ONNX model, a cache, a configuration, " +
        "or a folder of the Hugging Face Hub"
    )
  ),
  json: Flags.json
}, ({ json, path }) =>
  Effect.gen(function*() {
    const found = yield* Inspect.inspect(path)
    yield* Console.log(
      json ? Print.json(Schema.encodeSync(Inspect.Inspection)(found)) : InspectionText.lines(found).join("\n")
    )
  }).pipe(Failure.mapErrors)).pipe(
    Command.withDescription("describe a file or a run: its origin, its results, and the verbs that take it"),
    Command.withExamples([{ command: "patchword inspect runs/demo" }, {
      command: "patchword inspect clip.safetensors"
    }])
  )
