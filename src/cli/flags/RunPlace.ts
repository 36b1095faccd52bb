/**
 * Addresses of object storage on the command line. Where a verb takes a run, it takes `s3://BUCKET/PREFIX` too: the run is copied into a
 * folder for as long as the verb works, and what the verb changes there is stored.
 */
import { Cause, Console, Context, Effect, Exit, type FileSystem, Option, Path, Schema } from "effect"
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
 * | use | of the run | adds to it |
 * | --- | --- | --- |
 * | `facts` | what a list of runs tells | no |
 * | `networks` | all but its checkpoints | no |
 * | `all` | all | no |
 * | `noted` | as `facts` | yes |
 * | `measured` | as `networks` | yes |
 * | `examined` | as `all` | yes |
 * | `owned` | all, by the verb that trains it: nobody else may | yes |
 *
 * Nothing is stored of a verb that does not add. A list of places takes an address below which there are several runs. `text` is no
 * place.
 */
export type Use = "facts" | "networks" | "all" | "noted" | "measured" | "examined" | "owned" | "text"

/** The uses of the places that a verb is given, by the names of the flags and arguments. */
export type Uses<G> = { readonly [K in keyof G]?: Use }

type PartOf = (name: string) => RemoteRuns.Part

const facts: PartOf = (name) => /\.jsonl?$/.test(name) ? "whole" : /^stages\/[^/]+$/.test(name) ? "head" : "name"
const networks: PartOf = (name) => /^checkpoints\/.*\.safetensors$/.test(name) ? "name" : "whole"
const all: PartOf = () => "whole"

const USES: Readonly<Record<Use, { readonly partOf: PartOf; readonly adds: boolean }>> = {
  facts: { partOf: facts, adds: false },
  networks: { partOf: networks, adds: false },
  all: { partOf: all, adds: false },
  noted: { partOf: facts, adds: true },
  measured: { partOf: networks, adds: true },
  examined: { partOf: all, adds: true },
  owned: { partOf: all, adds: true },
  text: { partOf: all, adds: false }
}

/** Tests whether the copy of one use serves another one, too. */
const serves = (has: Use, wanted: Use): boolean =>
  has === "owned" || (USES[has].partOf === USES[wanted].partOf && (USES[has].adds || !USES[wanted].adds))

// In this order, one copy serves all uses of a run.
const orderOf = (use: Use): number => use === "owned" ? 0 : USES[use].adds ? 1 : 2

/** A name that disks keep apart from all others, also if they ignore case or normalise Unicode. */
const PLAIN = /^(?!(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$))[a-z0-9](?:[a-z0-9._-]*[a-z0-9_-])?$/

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
          "write the address like this, with one / between its parts and without the parts . and .."
        )
      }
      const url = Schema.encodeSync(Address.Address)(address.value)
      asked.push({ text, before, url, behind, use, many: Array.isArray(value) })
    }
  }
  return asked.toSorted((a, b) => orderOf(a.use) - orderOf(b.use))
})

const told = (what: string, { bytes, files }: Pick<RemoteRuns.Copied, "bytes" | "files">) =>
  `${what} (${files} files, ${Memory.show(bytes)})`

/** An address whose content is in folders. */
interface Held {
  readonly url: string
  readonly use: Use
  /** The folder of the address, or of one below it. */
  readonly folderOf: (url: string) => string
}

/** Returns the folders of a run at an address, and of what is below it. */
const below = (url: string, folder: string): Held["folderOf"] => (inner) => `${folder}${inner.slice(url.length)}`

interface Copy extends Held, RemoteRuns.Followed {
  /** True for a run that was found below an address. */
  readonly inList: boolean
  readonly removed: Effect.Effect<void>
}

type Failed = S3.S3Error | Files.FileError

const isGone = (error: Failed): boolean => error._tag === "S3Error" && error.reason._tag === "NoRun"

/** Tests whether an error is about one run, and not about the storage or the disk. */
const isOfRun = (error: Failed): boolean =>
  isGone(error) || (error._tag === "S3Error" && error.reason._tag === "Damaged")

/** Opens the runs that addresses name, in folders that are there until the scope closes. */
const opened = Effect.fnUntraced(function*(asked: ReadonlyArray<Asked>) {
  const path = yield* Path.Path
  const { fs, makeFolder } = yield* Files.make
  const { rank } = yield* Ranks.Ranks
  // Most commands need no object storage.
  const RemoteRuns = yield* Effect.promise(() => import("../../layers/storage/RemoteRuns.ts"))
  const work = yield* RemoteRuns.workspace
  const held = new Set<Held>()
  const copies = new Set<Copy>()
  const lists: Array<Effect.Effect<unknown, Failed, Io>> = []
  const keepers = new Map<string, RemoteRuns.Owned>()

  /** The folder of an address, in a run that is there already. */
  const known = (url: string, use: Use) =>
    [...held].find((one) => (one.url === url || url.startsWith(`${one.url}/`)) && serves(one.use, use))?.folderOf(url)

  const numbers = new Map<string, number>()
  const mark = `~${path.basename(work.folder)}`
  const named = (name: string) => {
    if (PLAIN.test(name)) return name
    const number = numbers.get(name) ?? numbers.size
    numbers.set(name, number)
    return `${name}~${number}${mark}`
  }

  const said = new Set<string>()
  const sayOnce = (text: string) =>
    said.has(text) ? Effect.void : Effect.andThen(Effect.sync(() => said.add(text)), Console.error(text))

  const folders = new Map<string, string>()
  for (const [shelf, { before, behind, many, text, url, use: asking }] of asked.entries()) {
    // Rank 0 alone trains the run. The others need its settings and networks, if it has any.
    const use = asking === "owned" && rank > 0 ? "networks" : asking
    const placeOf = (url: string) => path.join(work.folder, String(shelf), url.slice(Address.SCHEME.length))
    const folder = placeOf(url)
    const copied = Effect.fnUntraced(function*(url: string, folder: string, inList: boolean) {
      const removed = Effect.ignore(fs.remove(folder, { recursive: true, force: true }))
      const followed = yield* Effect.onError(RemoteRuns.copy(url, folder, USES[use].partOf), () => removed)
      const copy: Copy = {
        ...followed,
        url,
        use,
        folderOf: below(url, folder),
        removed,
        inList
      }
      held.add(copy)
      copies.add(copy)
      return copy
    })
    if (known(url, use) === undefined && use === "owned") {
      yield* RemoteRuns.outside(url)
      const owned = yield* RemoteRuns.own(url, { ...work, folder })
      held.add({ url, use, folderOf: below(url, folder) })
      const begun = told(`${url} is trained in a copy, which is stored with each checkpoint`, owned)
      keepers.set(folder, { ...owned, begin: Effect.tap(owned.begin, () => sayOnce(begun)) })
    } else if (known(url, use) === undefined) {
      const run = Option.getOrElse(yield* RemoteRuns.runOf(url), () => many || asking === "owned" ? undefined : url)
      if (run !== undefined && (run === url || asking !== "owned")) {
        yield* Console.error(told(`${run} is read from a copy`, yield* copied(run, placeOf(run), false)))
      } else if (many) {
        const folderOf = (inner: string) =>
          path.join(folder, ...inner.slice(url.length).split("/").filter((name) => name !== "").map(named))
        const found = Effect.gen(function*() {
          const { misnamed, runs } = yield* RemoteRuns.list(url)
          yield* Effect.forEach(
            misnamed,
            (place) => sayOnce(`left out: ${place} has a part that is empty, . or .., so it is no address`),
            { discard: true }
          )
          const held = new Set([...copies].map(({ url }) => url))
          const added = yield* Effect.forEach(
            runs.filter((run) => !held.has(run)),
            (run) =>
              Effect.catchIf(
                Effect.map(copied(run, folderOf(run), true), (copy) => [copy]),
                isOfRun,
                (error) => Effect.as(sayOnce(`left out: ${error.finding}`), [])
              )
          )
          return added.flat()
        })
        yield* makeFolder(folder)
        const first = yield* found
        lists.push(Effect.catchIf(found, isOfRun, ({ finding }) => sayOnce(`not renewed: ${finding}`)))
        const sum = (of: "bytes" | "files") => first.reduce((all, copy) => all + copy[of], 0)
        const what = first.length === 1 ? "run is read from a copy" : "runs are read from copies"
        yield* Console.error(told(`${url}: ${first.length} ${what}`, { bytes: sum("bytes"), files: sum("files") }))
        held.add({ url, use, folderOf })
      }
    }
    folders.set(text, `${before}${known(url, use) ?? folder}${behind}`)
  }

  /** Has a copy follow its run. If a run of a list is gone, its copy goes, too. */
  const followed = (copy: Copy) =>
    Effect.catchIf(
      USES[copy.use].adds ? Effect.andThen(copy.store, copy.renew) : copy.renew,
      isOfRun,
      (error) =>
        Effect.gen(function*() {
          yield* sayOnce(`not renewed: ${error.finding}`)
          if (!copy.inList || !isGone(error)) return
          held.delete(copy)
          copies.delete(copy)
          yield* copy.removed
        })
    )
  const copy = new RegExp(`${escape(work.folder)}[/\\\\]\\d+[/\\\\]`, "g")
  const marks = new RegExp(`~\\d+${escape(mark)}`, "g")
  const context = yield* Effect.context<Io>()
  const renew = Effect.suspend(() =>
    Effect.forEach(
      [...[...copies].map(followed), ...lists],
      (one) => Effect.ignore(Effect.provideContext(one, context), { log: true }),
      { discard: true }
    )
  )
  const shown = (text: string) => text.replaceAll(copy, Address.SCHEME).replaceAll(marks, "")
  const additions = () => [...copies].filter(({ use }) => USES[use].adds)
  return { folders, additions, keepers, renew, shown }
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
    const { additions, folders, keepers, renew, shown } = yield* Failure.mapErrors(opened(asked))
    const local = Object.fromEntries(
      Object.entries(flags as Readonly<Record<string, unknown>>).map(([name, value]) => [name, mapped(value, folders)])
    )
    const stored = Failure.mapErrors(
      Effect.suspend(() =>
        Effect.forEach([...additions(), ...keepers.values()], ({ store }) => store, { discard: true })
      )
    )
    /** Stores what was added before a failure, and tells what it does not tell. */
    const addedBefore = (cause: Cause.Cause<Failure.Failure>) =>
      Effect.forEach(additions(), ({ store }) =>
        Effect.catch(store, ({ finding, remedy }) =>
          Cause.pretty(cause).includes(finding)
            ? Effect.void
            : Console.error(`not stored: ${finding}; ${remedy}`)), { discard: true })
    return yield* handle(local as G).pipe(
      // The end of an owner stores what it has changed, too.
      Effect.onExit((exit) =>
        Exit.isSuccess(exit) ? stored : addedBefore(exit.cause)
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
