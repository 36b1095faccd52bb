/**
 * News of a run while it trains, in this process or in another one, here or on another machine that writes to a shared disk.
 *
 * The folder is watched, and looked at from time to time as well, since not every disk tells of changes. Only the bytes that were
 * appended to the log are read. The folder may vanish and come back, and the log may be written anew, as a resumed run does.
 *
 * ```ts
 * import assert from "node:assert"
 * import * as NodeServices from "@effect/platform-node/NodeServices"
 * import { Effect, FileSystem, Stream } from "effect"
 * import { Runs } from "patchword/layers"
 * import { Follow } from "patchword/pipelines"
 *
 * const program = Effect.gen(function*() {
 *   const folder = `${yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped()}/run`
 *   const training = Effect.flatMap(Runs.Runs, (run) => run.log({ stage: "pretrain", step: 1, loss: 6.2 }))
 *   yield* Effect.provide(training, Runs.layer(folder, { config: {} }))
 *   const events = yield* Follow.follow(folder).pipe(Stream.take(3), Stream.runCollect)
 *   assert.deepStrictEqual(events.map(({ _tag }) => _tag), ["Run", "Speed", "Curves"])
 * })
 * await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(NodeServices.layer)))
 * ```
 */
import { type Duration, Effect, type FileSystem, Option, type Path, Stream } from "effect"
import * as Files from "../../layers/files/Files.ts"
import * as Lock from "../../layers/files/Lock.ts"
import * as Notes from "../../layers/run/Notes.ts"
import type { Row } from "../../layers/run/Runs.ts"
import type { Curve } from "../report/PageData.ts"
import * as ReadRun from "./ReadRun.ts"
import * as Rows from "./Rows.ts"
import type { Figure, Run } from "./Run.ts"
import * as RunCurves from "./RunCurves.ts"
import { type RunFolderError, within } from "./RunFolderError.ts"

/**
 * News of a run:
 *
 * * `Run`: the whole run, at the start, and when anything but its log has changed.
 * * `Curves`: all curves so far, at the start, and when the log was written anew. They replace what was known.
 * * `Rows`: rows behind those curves, in order.
 * * `Speed`: the curves of the timings. They replace those that were known.
 * * `Checkpoint`, `Result`: a new checkpoint, a new figure.
 * * `Gone`: there is no such run at the moment. It may come back.
 */
export type Event =
  | { readonly _tag: "Run"; readonly run: Run }
  | { readonly _tag: "Curves"; readonly curves: ReadonlyArray<Curve> }
  | { readonly _tag: "Rows"; readonly rows: ReadonlyArray<Row> }
  | { readonly _tag: "Speed"; readonly curves: ReadonlyArray<Curve> }
  | { readonly _tag: "Checkpoint"; readonly stage: string; readonly step: number }
  | { readonly _tag: "Result"; readonly figure: Figure }
  | { readonly _tag: "Gone" }

/** Options of {@link follow}. */
export interface FollowOptions extends RunCurves.CurveOptions {
  /** Time between two looks at a folder that tells of no change; default 1 second. */
  readonly every?: Duration.Input
  /** Least time between two looks; default 200 milliseconds. */
  readonly least?: Duration.Input
}

type Io = FileSystem.FileSystem | Path.Path

/** The place in the log up to which rows are known, and the bytes before it. */
interface Place {
  readonly end: number
  readonly before: string
}

const TAIL = 256

const bytesBefore = Effect.fnUntraced(function*(handle: FileSystem.File, end: number) {
  const begin = Math.max(0, end - TAIL)
  if (end === begin) return ""
  const read = yield* handle.readAlloc(end - begin, { position: BigInt(begin) })
  return Option.match(read, { onNone: () => "", onSome: (bytes) => Buffer.from(bytes).toString("latin1") })
})

/** Returns texts that change: one when the timings do, one when anything but the log does, one when anything does. */
const signsOf = Effect.fnUntraced(function*(files: Files.Files, run: string) {
  const { fs, path } = files
  const at = (name: string) => path.join(run, name)
  const version = (name: string) =>
    Effect.map(Effect.option(fs.stat(at(name))), Option.map(({ ino, mtime, size }) => [`${ino}`, `${size}`, mtime]))
  const names = (name: string) =>
    Effect.map(Effect.orElseSucceed(fs.readDirectory(at(name)), (): Array<string> => []), (all) => all.toSorted())
  const checkpoints = yield* names("checkpoints")
  const folders = ["stages", "stages/replay", "results", ...checkpoints.map((stage) => `checkpoints/${stage}`)]
  const timings = yield* version("timings.jsonl")
  const log = yield* version("log.jsonl")
  const rest = {
    owner: yield* Effect.orElseSucceed(Lock.owner(files, run), Option.none),
    versions: yield* Effect.forEach(["config.json", "environment.json", "report.json", Notes.FILE], version),
    names: yield* Effect.forEach(folders, names)
  }
  const others = JSON.stringify([timings, rest])
  return { timings: JSON.stringify(timings), others, all: JSON.stringify([others, log]) }
})

/** Returns a text that changes when a run does, without reading its files. */
export const sign = (run: string): Effect.Effect<string, never, Io> =>
  Effect.flatMap(Files.make, (files) => Effect.map(signsOf(files, run), ({ all }) => all))

/** Returns what a run has that it did not have before. */
const fresh = (before: Run, now: Run): ReadonlyArray<Event> => {
  const known = new Map(before.stages.map(({ checkpoints, stage }) => [stage, new Set(checkpoints)]))
  const figures = new Set(before.figures.map((figure) => JSON.stringify(figure)))
  return [
    ...now.stages.flatMap(({ checkpoints, stage }) =>
      checkpoints.filter((step) => known.get(stage)?.has(step) !== true)
        .map((step): Event => ({ _tag: "Checkpoint", stage, step }))
    ),
    ...now.figures.filter((figure) => !figures.has(JSON.stringify(figure)))
      .map((figure): Event => ({ _tag: "Result", figure }))
  ]
}

const isGone = ({ reason }: RunFolderError): boolean =>
  reason._tag === "NoRun" || (reason._tag === "FileError" && reason.kind === "missing")

/** Makes the function that looks at a run once. It returns the news, and whether there is more to read at once. */
const looker = Effect.fnUntraced(function*(run: string, options: FollowOptions) {
  const files = yield* Files.make
  const { fs, path } = files
  const log = path.join(run, "log.jsonl")
  let state: { readonly run: Run; readonly signs: string; readonly timings: string } | undefined
  let place: Place | undefined
  let gone = false

  /** Reads all curves, and remembers where they end. */
  const anew = Effect.gen(function*() {
    const { end, measured } = yield* RunCurves.read(run, options)
    const before = end === 0 ? "" : yield* Effect.scoped(
      Effect.flatMap(fs.open(log), (handle) => bytesBefore(handle, end))
    ).pipe(Files.onFailure(log), within(run))
    place = { end, before }
    return [{ _tag: "Curves", curves: measured } satisfies Event]
  })

  /** Reads the next rows behind the place; undefined if the log is not the one that it was. */
  const appended = Effect.fnUntraced(
    function*(known: Place) {
      const handle = yield* fs.open(log)
      const { size } = yield* handle.stat
      if (Number(size) < known.end) return undefined
      if (Number(size) === known.end) return { events: [], more: false }
      if ((yield* bytesBefore(handle, known.end)) !== known.before) return undefined
      const part = yield* Rows.next(handle, known.end)
      if (Option.isNone(part)) return { events: [], more: false }
      const { end, rows } = part.value
      place = { end, before: yield* bytesBefore(handle, end) }
      return { events: rows.length === 0 ? [] : [{ _tag: "Rows", rows } satisfies Event], more: end < Number(size) }
    },
    Effect.scoped,
    (self) => Files.ifThere(Files.onFailure(log)(self)),
    within(run)
  )

  const rows = Effect.gen(function*() {
    if (place === undefined) return { events: yield* anew, more: false }
    const found = yield* appended(place)
    if (Option.isSome(found) && found.value !== undefined) return found.value
    return Option.isNone(found) && place.end === 0 ? { events: [], more: false } : { events: yield* anew, more: false }
  })

  return Effect.gen(function*(): Effect.fn.Return<
    { readonly events: ReadonlyArray<Event>; readonly more: boolean },
    RunFolderError,
    Io
  > {
    const events: Array<Event> = []
    const { others: signs, timings } = yield* signsOf(files, run)
    if (state === undefined || state.signs !== signs) {
      const now = yield* ReadRun.read(run)
      if (state === undefined || state.timings !== timings) {
        events.push({ _tag: "Speed", curves: yield* RunCurves.speed(run, options) })
      }
      events.unshift({ _tag: "Run", run: now }, ...(state === undefined ? [] : fresh(state.run, now)))
      state = { run: now, signs, timings }
    }
    const found = yield* rows
    gone = false
    return { events: [...events, ...found.events], more: found.more }
  }).pipe(
    Effect.catchIf(isGone, () =>
      Effect.sync(() => {
        const events: ReadonlyArray<Event> = gone ? [] : [{ _tag: "Gone" }]
        state = undefined
        place = undefined
        gone = true
        return { events, more: false }
      }))
  )
})

/**
 * Follows a run. The stream begins with the run and its curves so far, and never ends. It waits for a run that is not there yet.
 *
 * Fails with `FileError` if the folder cannot be read for another reason than that it is missing.
 */
export const follow = (run: string, options: FollowOptions = {}): Stream.Stream<Event, RunFolderError, Io> => {
  const { every = "1 second", least = "200 millis" } = options
  return Stream.unwrap(Effect.gen(function*() {
    const { fs } = yield* Files.make
    const look = yield* looker(run, options)
    // A disk that cannot be watched is looked at from time to time all the same.
    const changes = Stream.catchCause(Stream.map(fs.watch(run), () => undefined), () => Stream.empty)
    return Stream.merge(Stream.tick(every), changes).pipe(
      Stream.buffer({ capacity: 1, strategy: "sliding" }),
      Stream.flatMap(() =>
        Stream.paginate(0, () =>
          Effect.map(look, ({ events, more }) => [events, more ? Option.some(0) : Option.none<number>()] as const)).pipe(
            Stream.concat(Stream.drain(Stream.fromEffect(Effect.sleep(least))))
          )
      )
    )
  }))
}
