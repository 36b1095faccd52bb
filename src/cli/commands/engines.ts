/** `patchword engines`: what computes on this machine, and how fast. */
import { Console, Effect, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as EngineSurvey from "../../layers/engine/EngineSurvey.ts"
import * as Described from "../flags/Described.ts"
import * as Flags from "../flags/Flags.ts"
import * as EngineTable from "../terminal/EngineTable.ts"
import * as Failure from "../terminal/Failure.ts"
import * as Print from "../terminal/Print.ts"

const Survey = Schema.toCodecJson(Schema.Array(EngineSurvey.Entry))

/** The command. */
export const engines = Command.make("engines", {
  names: Argument.Literals("engine", EngineSurvey.candidates.map(({ name }) => name)).pipe(
    Argument.withDescription("the engines to measure (default: all)"),
    Argument.variadic()
  ),
  seconds: Flag.Finite("seconds").pipe(
    Flag.filter((seconds) => seconds > 0, () => "more than 0"),
    Described.withDefault("the time for which each engine multiplies matrices", 2)
  ),
  verbose: Described.flag("verbose", "print in full why an engine does not run here"),
  json: Flags.json
}, ({ json: machine, names, seconds, verbose }) =>
  Effect.gen(function*() {
    const found = yield* EngineSurvey.survey({ seconds, ...(names.length > 0 ? { names } : {}) })
    const { chosen, why } = EngineSurvey.choose(found)
    if (machine) {
      const fields = { engines: Schema.encodeSync(Survey)(found), fastest: chosen?.name ?? null, why }
      return yield* Console.log(Print.json(fields))
    }
    yield* Console.log([
      ...EngineTable.lines(found),
      ...(verbose ? ["", ...EngineTable.reasons(found)] : []),
      "",
      `fastest that is exact enough: ${chosen?.name ?? "none"}`
    ].join("\n"))
  }).pipe(Failure.mapErrors)).pipe(
    Command.withDescription("list the engines of this machine: versions, threads, precisions, measured speed"),
    Command.withExamples([{ command: "patchword engines onnx-cpu openvino-fp32 --seconds 1" }])
  )
