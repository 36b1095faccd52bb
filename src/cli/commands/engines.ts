/** `patchword engines`: what computes on this machine, and how fast. */
import { Console, Effect, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as EngineSurvey from "../../layers/engine/EngineSurvey.ts"
import * as Described from "../flags/Described.ts"
import * as Flags from "../flags/Flags.ts"
import * as Failure from "../terminal/Failure.ts"

const Survey = Schema.toCodecJson(Schema.Array(EngineSurvey.Entry))

const row = (cells: ReadonlyArray<string>): string =>
  cells.map((cell, column) => cell.padEnd([16, 12, 8, 12, 9][column] ?? 0)).join(" ").trimEnd()

const line = (entry: EngineSurvey.Entry): string => {
  if (entry._tag === "Unavailable") return row([entry.name, entry.error.reason.message])
  const { deviation, gigaflops, name, precisions, threads, version } = entry
  return row([
    name,
    version,
    String(threads),
    precisions.join(", "),
    gigaflops.toPrecision(3),
    deviation === 0 ? "0" : deviation.toExponential(0)
  ])
}

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
  json: Flags.json
}, ({ json: machine, names, seconds }) =>
  Effect.gen(function*() {
    const found = yield* EngineSurvey.survey({ seconds, ...(names.length > 0 ? { names } : {}) })
    const { chosen, why } = EngineSurvey.choose(found)
    if (machine) {
      const fields = { engines: Schema.encodeSync(Survey)(found), fastest: chosen?.name ?? null, why }
      return yield* Console.log(JSON.stringify(fields))
    }
    yield* Console.log(row(["engine", "version", "threads", "precisions", "Gflop/s", "deviation"]))
    yield* Console.log(found.map(line).join("\n"))
    yield* Console.log(`\nfastest that is exact enough: ${chosen?.name ?? "none"}`)
  }).pipe(Failure.mapErrors)).pipe(
    Command.withDescription("list the engines of this machine: versions, threads, precisions, measured speed"),
    Command.withExamples([{ command: "patchword engines onnx-cpu openvino-fp32 --seconds 1" }])
  )
