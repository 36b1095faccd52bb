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
  /** The words of the command line by which other workers help with it, if they can. */
  help: Schema.optionalKey(Schema.Array(Schema.String)),
  /** True if it takes the configuration of the run. */
  configured: Schema.Boolean
})
export type Line = typeof Line.Type

/** A run of command lines. Paths are those of the worker. */
export const Payload = Schema.Struct({
  /** A word for people: the run folder, or the file or folder that is made. */
  out: Schema.String,
  /** The content of the file of `--config`, which need not be on the worker's machine. */
  config: Schema.NullOr(Schema.Json),
  lines: Schema.Array(Line),
  needs: Job.Needs,
  /** The most workers that share it; null for as many as are free. Default 1. */
  workers: Schema.optionalKey(Schema.NullOr(Schema.Int))
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
  const run = Effect.fnUntraced(function*(words: ReadonlyArray<string>, config: Option.Option<Schema.Json>) {
    const more = Option.isSome(config) ? ["--config", yield* file(config.value)] : []
    yield* Misuse.mapErrors(Command.runWith(root(), { version })([...words, ...more]))
  }, Effect.scoped)
  return Stages.workflow("patchword", {
    payload: Payload,
    title: ({ out }) => out,
    needs: ({ needs }) => needs,
    workers: ({ workers = 1 }) => workers,
    stages: ({ config, lines }) =>
      lines.map(({ configured, help, name, words }) => {
        const own = Option.filter(Option.fromNullOr(config), () => configured)
        return { name, run: run(words, own), ...(help === undefined ? {} : { help: run(help, own) }) }
      })
  })
}
