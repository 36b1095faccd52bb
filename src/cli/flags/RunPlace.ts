/**
 * Addresses of object storage on the command line. Where a verb takes a run, it takes `s3://BUCKET/PREFIX` too: the run is copied into a
 * folder for as long as the verb works, and what the verb changes there is stored.
 */
import { Console, Context, Effect, Exit, type FileSystem, Option, Path, Schema } from "effect"
import { Command } from "effect/cli"
import { escape } from "effect/RegExp"
import * as Config from "../../domain/config/Config.ts"
import * as Files from "../../layers/files/Files.ts"
import * as Ranks from "../../layers/ranks/Ranks.ts"
import { RunKeepers } from "../../layers/run/RunKeeper.ts"
import * as Address from "../../layers/storage/Address.ts"
import type * as RemoteRuns from "../../layers/storage/RemoteRuns.ts"
import type * as S3 from "../../layers/storage/S3.ts"
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

/** Has the copies of runs follow them, and adds those of new runs below an address. */
export const Renewal = Context.Reference<Effect.Effect<void> | undefined>("patchword/cli/Renewal", {
  defaultValue: () => undefined
})

/** Has all that a verb says pass {@link Shown}. */
const showing = (shown: (text: string) => string) => <A, R>(self: Effect.Effect<A, Failure.Failure, R>) =>
  Effect.gen(function*() {
    const console = yield* Console.Console
    const text = (values: ReadonlyArray<unknown>) => values.map((one) => typeof one === "string" ? shown(one) : one)
    return yield* self.pipe(
      Effect.mapError(Failure.retold(shown)),
      Effect.provideService(Shown, shown),
      Effect.provideService(Console.Console, {
        ...console,
        log: (...values: ReadonlyArray<unknown>) => console.log(...text(values)),
        error: (...values: ReadonlyArray<unknown>) => console.error(...text(values))
      })
    )
  })

/** A word that was meant as an address. The kind of a teacher may stand before it, and a state behind it. */
const MEANT = /^(\w+:)?(s3:.*?)(@(?:newest|previous|finished|\d+))?$/i

/** Returns a word as it was given: flags for files and folders make a path of it. */
const given = (path: Path.Path) => {
  const made = path.resolve("s3:")
  return (word: string): string =>
    word.toLowerCase().startsWith(made.toLowerCase())
      ? `${word.slice(made.length - "s3:".length, made.length)}/${word.slice(made.length).replaceAll("\\", "/")}`
      : word
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

type Io = FileSystem.FileSystem | Path.Path

/** A run that a verb is given by its address. */
interface Asked {
  readonly text: string
  readonly before: string
  readonly url: string
  readonly behind: string
  readonly use: Use
  /** True for one of a list of places. */
  readonly many: boolean
}

/**
 * Refuses addresses of object storage in what a verb is given, except where it takes a run. Returns those that there are, first the one
 * that the verb trains. Fails with `ConfigError`.
 */
export const check = Effect.fnUntraced(function*<G>(flags: G, uses: Uses<G>) {
  const word = given(yield* Path.Path)
  const asked: Array<Asked> = []
  const useOf = new Map<string, Use>(Object.entries(uses))
  for (const [name, value] of Object.entries(flags as Readonly<Record<string, unknown>>)) {
    const use = useOf.get(name)
    for (const text of use === "text" ? [] : textsOf(value)) {
      const [whole, before = "", meant = "", behind = ""] = MEANT.exec(word(text)) ?? []
      if (whole === undefined) continue
      const flag = `--${Words.kebab(name)}`
      if (use === undefined || (before !== "" && before !== "run:")) {
        return yield* Config.refusal(
          flag,
          `expected a place on this machine, got ${before}${
            Address.masked(meant)
          }; runs alone are kept in object storage`,
          "name a file or a folder, and copy it afterwards"
        )
      }
      const address = Option.filter(
        Schema.decodeOption(Address.Address)(meant),
        ({ prefix }) => prefix !== "" || use !== "owned"
      )
      if (Option.isNone(address)) {
        return yield* Config.refusal(
          flag,
          `expected ${Address.SCHEME}BUCKET/PREFIX, got ${Address.masked(meant)}`,
          "write the address like this"
        )
      }
      const url = Schema.encodeSync(Address.Address)(address.value)
      asked.push({ text, before, url, behind, use, many: Array.isArray(value) })
    }
  }
  return asked.toSorted((a, b) => Number(b.use === "owned") - Number(a.use === "owned"))
})

const told = (what: string, { bytes, files }: Pick<RemoteRuns.Copied, "bytes" | "files">) =>
  Console.error(`${what} (${files} files, ${Memory.show(bytes)})`)

/** Opens the runs that addresses name, in folders that are there until the scope closes. */
const opened = Effect.fnUntraced(function*(asked: ReadonlyArray<Asked>) {
  const path = yield* Path.Path
  const { makeFolder } = yield* Files.make
  const { rank } = yield* Ranks.Ranks
  // Most commands need no object storage.
  const RemoteRuns = yield* Effect.promise(() => import("../../layers/storage/RemoteRuns.ts"))
  const work = yield* RemoteRuns.workspace
  const held: Array<{ readonly url: string; readonly folder: string; readonly use: Use }> = []
  const copies: Array<RemoteRuns.Followed> = []
  const lists: Array<Effect.Effect<void, S3.S3Error | Files.FileError, Io>> = []
  const keepers = new Map<string, RemoteRuns.Owned>()

  /** The folder of an address, in a run that is there already. */
  const known = (url: string, use: Use) => {
    const found = held.find((one) =>
      (one.url === url || url.startsWith(`${one.url}/`)) && (one.use === use || one.use === "owned")
    )
    return found && `${found.folder}${url.slice(found.url.length)}`
  }

  const folders = new Map<string, string>()
  for (const [shelf, { before, behind, many, text, url, use: asking }] of asked.entries()) {
    // Rank 0 alone trains the run. The others need its settings and networks, if it has any.
    const use = asking === "owned" && rank > 0 ? "networks" : asking
    const folderOf = (url: string) => path.join(work.folder, String(shelf), url.slice(Address.SCHEME.length))
    const folder = folderOf(url)
    const copied = Effect.fnUntraced(function*(url: string) {
      const copy = yield* RemoteRuns.copy(url, folderOf(url), PARTS[use])
      held.push({ url, folder: folderOf(url), use })
      copies.push(copy)
      return copy
    })
    if (known(url, use) === undefined && use === "owned") {
      const owned = yield* RemoteRuns.own(url, { ...work, folder })
      held.push({ url, folder, use })
      keepers.set(folder, owned)
      yield* told(`${url} is trained in a copy, which is stored with each checkpoint`, owned)
    } else if (known(url, use) === undefined) {
      const run = Option.getOrElse(yield* RemoteRuns.runOf(url), () => many || asking === "owned" ? undefined : url)
      if (run !== undefined && (run === url || asking !== "owned")) {
        yield* told(`${run} is read from a copy`, yield* copied(run))
      } else if (many) {
        yield* makeFolder(folder)
        const found = yield* Effect.forEach(yield* RemoteRuns.list(url), copied)
        lists.push(
          Effect.flatMap(RemoteRuns.list(url), (all) =>
            Effect.forEach(
              all.filter((one) => held.every(({ url }) => url !== one)),
              copied,
              { discard: true }
            ))
        )
        const sum = (of: "bytes" | "files") => found.reduce((all, copy) => all + copy[of], 0)
        const what = found.length === 1 ? "run is read from a copy" : "runs are read from copies"
        yield* told(`${url}: ${found.length} ${what}`, { bytes: sum("bytes"), files: sum("files") })
        held.push({ url, folder, use })
      }
    }
    folders.set(text, `${before}${known(url, use) ?? folder}${behind}`)
  }
  const copy = new RegExp(`${escape(work.folder)}[/\\\\]\\d+[/\\\\]`, "g")
  const context = yield* Effect.context<Io>()
  const renew = Effect.suspend(() =>
    Effect.forEach(
      [...copies.map(({ renew }) => renew), ...lists],
      (one) => Effect.ignore(Effect.provideContext(one, context), { log: true }),
      { discard: true }
    )
  )
  return { folders, copies, keepers, renew, shown: (text: string) => text.replaceAll(copy, Address.SCHEME) }
})

/** Makes the handler that gets folders in place of addresses. */
const within = <G, A, R>(
  uses: Uses<G>,
  handle: (given: G) => Effect.Effect<A, Failure.Failure, R>
) =>
(flags: G): Effect.Effect<A, Failure.Failure, R | Io> =>
  Effect.gen(function*() {
    const asked = yield* Failure.mapErrors(check(flags, uses))
    if (asked.length === 0) return yield* handle(flags)
    const { copies, folders, keepers, renew, shown } = yield* Failure.mapErrors(opened(asked))
    const local = Object.fromEntries(
      Object.entries(flags as Readonly<Record<string, unknown>>).map(([name, value]) => [name, mapped(value, folders)])
    )
    const all = (stores: ReadonlyArray<Pick<RemoteRuns.Copied, "store">>) =>
      Failure.mapErrors(Effect.forEach(stores, ({ store }) => store, { discard: true }))
    return yield* handle(local as G).pipe(
      Effect.onExit((exit) =>
        // The end of an owner stores what it has changed, too.
        Exit.isSuccess(exit) ? all([...copies, ...keepers.values()]) : Effect.ignore(all(copies), { log: true })
      ),
      Effect.provideService(RunKeepers, keepers),
      Effect.provideService(Renewal, renew),
      showing(shown)
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
