/** `patchword inspect`: what a file or a run is. */
import { Console, Effect, Schema } from "effect"
import { Argument, Command } from "effect/cli"
import * as ComputedOn from "../../domain/values/ComputedOn.ts"
import * as ContinuedFrom from "../../domain/values/ContinuedFrom.ts"
import * as Inspect from "../../pipelines/artifacts/Inspect.ts"
import * as Flags from "../flags/Flags.ts"
import * as Failure from "../terminal/Failure.ts"
import * as Print from "../terminal/Print.ts"

const weights = ({ dtypes, provenance, uses, ...rest }: typeof Inspect.WeightsFile.Type) => {
  const { computedOn, continuedFrom, custom, model, ...made } = provenance ?? {}
  return {
    ...rest,
    elements: Object.entries(dtypes).map(([dtype, count]) => `${count} ${dtype}`).join(", "),
    is: model?._tag.toLowerCase() ?? custom?.name,
    ...made,
    continuedFrom: continuedFrom && ContinuedFrom.show(continuedFrom),
    computedOn: computedOn && ComputedOn.showHistory(computedOn),
    uses: uses.join("; ")
  }
}

/** The command. */
export const inspect = Command.make("inspect", {
  path: Argument.String("path").pipe(
    Argument.withDescription("a run, a file of weights, an ONNX model, or a folder of the Hugging Face Hub")
  ),
  json: Flags.json
}, ({ json: machine, path }) =>
  Effect.gen(function*() {
    const found = yield* Inspect.inspect(path)
    if (machine) return yield* Console.log(JSON.stringify(Schema.encodeSync(Inspect.Inspection)(found)))
    if (found._tag === "Weights") return yield* Print.result(false, weights(found))
    if (found._tag === "Onnx") return yield* Print.result(false, { ...found, uses: found.uses.join("; ") })
    if (found._tag === "HubFolder") {
      const { _tag, model, path, provenance, uses } = found
      const { looksLike: _, ...file } = found.weights
      const made = provenance === undefined ? {} : { provenance }
      const classes = model._tag === "Classifier" ? model.classes.length : undefined
      const shown = weights({ ...file, ...made, path, uses })
      return yield* Print.result(false, { ...shown, _tag, is: model._tag.toLowerCase(), classes })
    }
    if (found.computedOn.length > 0) {
      yield* Print.result(false, { "computed on": found.computedOn.map(ComputedOn.show).join(", then ") })
    }
    for (const { continuedFrom, lastBatch, stage, weights: left } of found.stages) {
      yield* Console.log(`\n${stage}`)
      yield* Print.result(false, {
        ...Print.lastBatch(false, lastBatch),
        ...(left === undefined
          ? {
            unfinished: "run again to go on",
            continuedFrom: continuedFrom && ContinuedFrom.show(continuedFrom)
          }
          : weights(left))
      })
    }
    for (const result of found.results) {
      yield* Console.log(`\n${result.verb} of ${result.network} on ${result.split}`)
      yield* Print.result(false, {
        accuracy: Print.figure(result),
        settings: result.settings,
        "computed on": ComputedOn.show(result.computedOn)
      })
    }
  }).pipe(Failure.mapErrors)).pipe(
    Command.withDescription("describe a file or a run: its origin, its results, and the verbs that take it"),
    Command.withExamples([{ command: "patchword inspect runs/demo" }, {
      command: "patchword inspect clip.safetensors"
    }])
  )
