/** `patchword studio`: runs on a local web page, or in one file. */
import { Console, Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as Files from "../../layers/files/Files.ts"
import * as Registry from "../../pipelines/runs/Registry.ts"
import * as Exported from "../../studio/Exported.ts"
import * as Studio from "../../studio/Studio.ts"
import * as Described from "../flags/Described.ts"
import * as Flags from "../flags/Flags.ts"
import * as OutputFile from "../flags/OutputFile.ts"
import * as RunPlace from "../flags/RunPlace.ts"
import * as Failure from "../terminal/Failure.ts"

const write = Effect.fnUntraced(function*(folders: ReadonlyArray<string>, page: string, replace: boolean) {
  const files = yield* Files.make
  yield* OutputFile.check({ out: Option.some(page), ending: ".html", replace, flag: "--export" })
  yield* files.write(page, (yield* RunPlace.Shown)(yield* Exported.render(folders)))
})

/** The command. */
export const studio = RunPlace.command("studio", { runs: "measured" }, {
  runs: Argument.String("runs").pipe(
    Argument.withDescription("run folders, and folders that hold some (default: runs)"),
    Argument.variadic()
  ),
  port: Flag.Int("port").pipe(
    Flag.filter((port) => port >= 0 && port <= 65_535, () => "a whole number from 0 to 65535"),
    Described.withDefault("port of the page; 0 takes a free one", Studio.PORT)
  ),
  host: Flag.String("host").pipe(
    Described.withDefault(
      "address to listen at; with another one than this machine's own, the page asks for a token",
      "127.0.0.1"
    )
  ),
  export: Flag.File("export").pipe(
    Described.optional("write the pages into this one HTML file instead, which needs no server", "none")
  ),
  replace: OutputFile.replaces("--export"),
  json: Flags.json
}, (given) =>
  Effect.gen(function*() {
    const folders = given.runs.length === 0 ? ["runs"] : given.runs
    if (Option.isSome(given.export)) {
      const page = given.export.value
      yield* write(folders, page, given.replace)
      return yield* Console.log(given.json ? JSON.stringify({ page }) : `The pages are ${page}`)
    }
    const { host, port } = given
    // A folder that is not there is told at once, and not by a page.
    yield* Registry.find(folders)
    const served = Effect.gen(function*() {
      const { address, addresses } = yield* Studio.Studio
      const places = addresses.map((one, i) => `${i === 0 ? "The studio is at" : "             and"} ${one}`)
      yield* Console.log(
        given.json ? JSON.stringify({ address, addresses }) : [...places, "Ctrl-C ends it."].join("\n")
      )
      return yield* Effect.never
    })
    const renew = yield* RunPlace.Renewal
    const copies = renew && { renew, shown: yield* RunPlace.Shown }
    return yield* Effect.provide(served, Studio.layer({ runs: folders, host, port, ...(copies && { copies }) }))
  }).pipe(Failure.mapErrors)).pipe(
    Command.withDescription(
      "show runs on a local web page, while they train and afterwards, or write the pages into one file"
    ),
    Command.withExamples([
      { command: "patchword studio runs" },
      { command: "patchword studio runs/base --export base.html" }
    ])
  )
