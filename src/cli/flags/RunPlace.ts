/**
 * Addresses of object storage on the command line. Where a verb takes a run, it takes `s3://BUCKET/PREFIX` too: the run is copied into a
 * folder for as long as the verb works, and what the verb changes there is stored.
 */
import { Console, Context, Effect, Exit, type FileSystem, Option, Path } from "effect"
import { Command } from "effect/cli"
import { escape } from "effect/RegExp"
import * as Config from "../../domain/config/Config.ts"
import * as Files from "../../layers/files/Files.ts"
import * as Ranks from "../../layers/ranks/Ranks.ts"
import { AfterSave } from "../../layers/run/AfterSave.ts"
import type * as RemoteRuns from "../../layers/storage/RemoteRuns.ts"
import * as Memory from "../../pipelines/training/Memory.ts"
import * as Failure from "../terminal/Failure.ts"
import * as Words from "./Words.ts"

/**
 * The use of a run by a verb.
 *
 * | use | of the run |
 * | --- | --- |
 * | `facts` | what a list of runs tells |
 * | `networks` | all but its checkpoints |
 * | `all` | all |
 * | `owned` | all, by the verb that trains it: nobody else may |
 *
 * A list of places takes an address below which there are several runs. `text` is no place.
 */
export type Use = "facts" | "networks" | "all" | "owned" | "text"

/** The uses of the places that a verb is given, by the names of the flags and arguments. */
export type Uses<G> = { readonly [K in keyof G]?: Use }

const SCHEME = "s3://"

const PARTS: Readonly<Record<Use, (name: string) => RemoteRuns.Part>> = {
  facts: (name) => /\.jsonl?$/.test(name) ? "whole" : /^stages\/[^/]+$/.test(name) ? "head" : "name",
  networks: (name) => /^checkpoints\/.*\.safetensors$/.test(name) ? "name" : "whole",
  all: () => "whole",
  owned: () => "whole",
  text: () => "whole"
}

/** Shows a text to people, with the addresses of runs in place of the folders of their copies. */
export const Shown = Context.Reference<(text: string) => string>("patchword/cli/Shown", {
  defaultValue: () => (text) => text
})

// Flags for files and folders have made a path of the address. A kind of teacher may stand before it, and a state behind it.
const pattern = (path: Path.Path) => {
  const made = escape(path.resolve("s3:"))
  return new RegExp(`^(\\w+:)?(?:s3://|${made}[/\\\\])(.*?)(@(?:newest|previous|finished|\\d+))?$`)
}

interface Place {
  readonly before: string
  readonly url: string
  readonly behind: string
}

/** Tests whether a text was meant as an address: `S3://`, `s3:/`. */
const isNear = (path: Path.Path) => {
  const resolved = path.resolve("s3:").toLowerCase()
  return (text: string) => /^(?:\w+:)?s3:/i.test(text) || text.toLowerCase().startsWith(resolved)
}

const placeOf = (path: Path.Path) => {
  const address = pattern(path)
  return (value: string): Place | undefined => {
    const [whole, before = "", rest = "", behind = ""] = address.exec(value) ?? []
    if (whole === undefined) return undefined
    // A password in it is not told.
    return { before, url: `${SCHEME}${rest.replaceAll("\\", "/").replace(/^[^/]*@/, "***@")}`, behind }
  }
}

/** The texts among the values of a flag. */
const textsOf = (value: unknown): ReadonlyArray<string> =>
  typeof value === "string"
    ? [value]
    : Option.isOption(value)
    ? textsOf(Option.getOrUndefined(value))
    : Array.isArray(value)
    ? value.flatMap(textsOf)
    : []

/** Replaces the texts of a flag's value. */
const mapped = (value: unknown, by: ReadonlyMap<string, string>): unknown =>
  typeof value === "string"
    ? by.get(value) ?? value
    : Option.isOption(value)
    ? Option.map(value, (one) => mapped(one, by))
    : Array.isArray(value)
    ? value.map((one) => mapped(one, by))
    : value

/**
 * Refuses addresses of object storage in what a verb is given, except where it takes a run. Returns those that there are. Fails with
 * `ConfigError`.
 */
export const check = Effect.fnUntraced(function*<G>(given: G, uses: Uses<G>) {
  const path = yield* Path.Path
  const [place, isMeant] = [placeOf(path), isNear(path)]
  const asked: Array<{ readonly text: string; readonly use: Use; readonly many: boolean } & Place> = []
  const useOf = new Map<string, Use>(Object.entries(uses))
  for (const [name, value] of Object.entries(given as Readonly<Record<string, unknown>>)) {
    const use = useOf.get(name)
    if (use === "text") continue
    for (const text of textsOf(value)) {
      const found = place(text)
      const whole = use === "owned" ? /^s3:\/\/[^/]+\/+[^/]/ : /^s3:\/\/[^/]/
      if (found === undefined ? isMeant(text) : use !== undefined && !whole.test(found.url)) {
        return yield* Config.refusal(
          `--${Words.kebab(name)}`,
          `expected s3://BUCKET/PREFIX, got ${found?.url ?? text}`,
          "write the address like this"
        )
      }
      if (found === undefined) continue
      if (use === undefined || (found.before !== "" && found.before !== "run:")) {
        return yield* Config.refusal(
          `--${Words.kebab(name)}`,
          `expected a place on this machine, got ${found.before}${found.url}; runs alone are kept in object storage`,
          "name a file or a folder, and copy it afterwards"
        )
      }
      asked.push({ ...found, text, use, many: Array.isArray(value) })
    }
  }
  return asked.toSorted((a, b) => Number(b.use === "owned") - Number(a.use === "owned"))
})

const told = (what: string, { bytes, files }: Pick<RemoteRuns.Copied, "bytes" | "files">) =>
  Console.error(`${what} (${files} files, ${Memory.show(bytes)})`)

/** Opens the runs that addresses name, in folders that are there until the scope closes. */
const opened = Effect.fnUntraced(function*(asked: Effect.Success<ReturnType<typeof check>>) {
  const path = yield* Path.Path
  const { rank } = yield* Ranks.Ranks
  // Most commands need no object storage.
  const RemoteRuns = yield* Effect.promise(() => import("../../layers/storage/RemoteRuns.ts"))
  const work = yield* RemoteRuns.workspace
  const held: Array<{ readonly url: string; readonly folder: string; readonly use: Use }> = []
  const added: Array<RemoteRuns.Copied["store"]> = []
  const keepers = new Map<string, RemoteRuns.Owned["store"]>()
  const folderOf = (shelf: number, url: string) => path.join(work.folder, String(shelf), url.slice(SCHEME.length))

  const copied = Effect.fnUntraced(function*(url: string, use: Use, shelf: number) {
    const folder = folderOf(shelf, url)
    const copy = yield* RemoteRuns.copy(url, folder, PARTS[use])
    held.push({ url, folder, use })
    added.push(copy.store)
    return copy
  })

  /** The folder of an address, in a run that is there already. */
  const known = (url: string, use: Use) => {
    const found = held.find((one) =>
      (one.url === url || url.startsWith(`${one.url}/`)) && (one.use === use || one.use === "owned")
    )
    return found && `${found.folder}${url.slice(found.url.length)}`
  }

  const folders = new Map<string, string>()
  for (const [shelf, { before, behind, many, text, url: given, use }] of asked.entries()) {
    const url = given.replace(/\/+$/, "")
    if (known(url, use) === undefined) {
      const run = use === "owned" && rank === 0 ? Option.none<string>() : yield* RemoteRuns.runOf(url)
      if (use === "owned" && rank === 0) {
        const folder = folderOf(shelf, url)
        const owned = yield* RemoteRuns.own(url, { ...work, folder })
        held.push({ url, folder, use })
        keepers.set(folder, owned.store)
        yield* told(`${url} is trained in a copy, which is stored with each checkpoint`, owned)
      } else if (use === "owned") {
        // Rank 0 alone writes the run. The others need its settings, if it has begun.
        if (Option.contains(run, url)) yield* copied(url, use, shelf)
        else held.push({ url, folder: folderOf(shelf, url), use })
      } else if (Option.isSome(run) || !many) {
        const one = Option.getOrElse(run, () => url)
        yield* told(`${one} is read from a copy`, yield* copied(one, use, shelf))
      } else {
        const folder = folderOf(shelf, url)
        yield* (yield* Files.make).makeFolder(folder)
        const copies = yield* Effect.forEach(yield* RemoteRuns.list(url), (one) => copied(one, use, shelf))
        const sum = (of: "bytes" | "files") => copies.reduce((all, copy) => all + copy[of], 0)
        const what = copies.length === 1 ? "run is read from a copy" : "runs are read from copies"
        yield* told(`${url}: ${copies.length} ${what}`, { bytes: sum("bytes"), files: sum("files") })
        held.push({ url, folder, use })
      }
    }
    folders.set(text, `${before}${known(url, use) ?? folderOf(shelf, url)}${behind}`)
  }
  const root = escape(work.folder)
  const copy = new RegExp(`${root}[/\\\\]\\d+[/\\\\]`, "g")
  return { folders, added, keepers, shown: (text: string) => text.replaceAll(copy, SCHEME) }
})

/** Makes the handler that gets folders in place of addresses. */
const within = <G, A, R>(
  uses: Uses<G>,
  handle: (given: G) => Effect.Effect<A, Failure.Failure, R>
) =>
(given: G): Effect.Effect<A, Failure.Failure, R | FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function*() {
    const asked = yield* Failure.mapErrors(check(given, uses))
    if (asked.length === 0) return yield* handle(given)
    const { added, folders, keepers, shown } = yield* Failure.mapErrors(opened(asked))
    const local = Object.fromEntries(
      Object.entries(given as Readonly<Record<string, unknown>>).map(([name, value]) => [name, mapped(value, folders)])
    )
    const console = yield* Console.Console
    const text = (values: ReadonlyArray<unknown>) => values.map((one) => typeof one === "string" ? shown(one) : one)
    const all = (stores: Iterable<RemoteRuns.Copied["store"]>) =>
      Failure.mapErrors(Effect.forEach(stores, (store) => store, { discard: true }))
    const stored = (exit: Exit.Exit<unknown, unknown>) =>
      // The end of an owner stores what it has changed, too.
      Exit.isSuccess(exit) ? all([...added, ...keepers.values()]) : Effect.ignore(all(added), { log: true })
    return yield* Effect.onExit(handle(local as G), stored).pipe(
      Effect.mapError(Failure.retold(shown)),
      Effect.provideService(AfterSave, keepers),
      Effect.provideService(Shown, shown),
      Effect.provideService(Console.Console, {
        ...console,
        log: (...values: ReadonlyArray<unknown>) => console.log(...text(values)),
        error: (...values: ReadonlyArray<unknown>) => console.error(...text(values))
      })
    )
  }).pipe(Effect.scoped)

/**
 * Makes a command, as `Command.make` does, that takes addresses of object storage where `uses` says so: its handler gets folders in
 * their place. Other values that are such addresses are refused.
 */
export const command = <const Name extends string, const C extends Command.Command.Config, A, R>(
  name: Name,
  uses: Uses<Command.Command.Config.Infer<NoInfer<C>>>,
  config: C,
  handle: (given: Command.Command.Config.Infer<C>) => Effect.Effect<A, Failure.Failure, R>
) => Command.make(name, config, within<Command.Command.Config.Infer<C>, A, R>(uses, handle))
