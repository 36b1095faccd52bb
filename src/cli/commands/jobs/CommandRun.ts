/** A run of command lines: its stages are commands of patchword, which a worker does one after the other. */
import { Effect, FileSystem, Option, Path, Schema } from "effect"
import { Command } from "effect/cli"
import { version } from "../../../domain/values/Version.ts"
import * as Job from "../../../jobs/Job.ts"
import * as Stages from "../../../jobs/Stages.ts"
import * as Misuse from "../../terminal/Misuse.ts"
import type { Root } from "../help.ts"

/** A command line with a name for people, without the words `patchword` and `--config`. */
export const Line = Schema.Struct({
  name: Schema.String,
  words: Schema.Array(Schema.String),
  /** True if it takes the configuration of the run. */
  configured: Schema.Boolean
})
export type Line = typeof Line.Type

/** A run of command lines. Paths are those of the worker. */
export const Payload = Schema.Struct({
  /** The run folder. */
  out: Schema.String,
  /** The content of the file of `--config`, which need not be on the worker's machine. */
  config: Schema.NullOr(Schema.Json),
  lines: Schema.Array(Line),
  needs: Job.Needs
})
export type Payload = typeof Payload.Type

/** The file of the configuration, while the scope is open. */
const file = Effect.fnUntraced(function*(config: Schema.Json) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const place = path.join(yield* fs.makeTempDirectoryScoped({ prefix: "patchword-" }), "config.json")
  yield* fs.writeFileString(place, JSON.stringify(config))
  return place
}, Effect.orDie)

/** The kind of run, for the program with these verbs. */
export const make = (root: () => Root): Stages.Run<Payload, Command.Environment> => {
  const run = Effect.fnUntraced(function*({ configured, words }: Line, config: Option.Option<Schema.Json>) {
    const more = Option.isSome(config) && configured ? ["--config", yield* file(config.value)] : []
    yield* Misuse.mapErrors(Command.runWith(root(), { version })([...words, ...more]))
  }, Effect.scoped)
  return Stages.workflow("patchword", {
    payload: Payload,
    title: ({ out }) => out,
    needs: ({ needs }) => needs,
    stages: ({ config, lines }) => lines.map((line) => ({ name: line.name, run: run(line, Option.fromNullOr(config)) }))
  })
}
