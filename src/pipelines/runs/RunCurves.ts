/**
 * The curves of a run: what its stages measured at each step, and their speed.
 *
 * A log may have millions of rows. It is read part by part, and a curve has a bounded number of points; see {@link read}.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Effect } from "effect"
 * import { Files } from "patchword/layers"
 * import { RunCurves } from "patchword/pipelines"
 *
 * const error = await Effect.runPromise(Effect.flip(RunCurves.read("runs/none")).pipe(Effect.provide(Files.layerNode)))
 * assert.strictEqual(error.reason._tag, "FileError")
 * ```
 */
import { Effect, type FileSystem, Option, type Path, Schema } from "effect"
import * as Json from "../../domain/values/Json.ts"
import * as Files from "../../layers/files/Files.ts"
import { isRun } from "../../layers/files/RunLinks.ts"
import type { Row } from "../../layers/run/Runs.ts"
import type { Curve } from "../report/PageData.ts"
import { lengthOf } from "./ReadRun.ts"
import * as Rows from "./Rows.ts"
import { NoRun, type RunFolderError, within } from "./RunFolderError.ts"
import * as Thinned from "./Thinned.ts"
import * as Timings from "./Timings.ts"

/** The curves of a run. */
export interface RunCurves {
  /** What the log has: losses, accuracies, learning rates. Those of evaluations are of the stage `STAGE-validation`. */
  readonly measured: ReadonlyArray<Curve>
  /** What the timings have: images per second, waiting for data, memory. A run that stopped and went on has one curve of each. */
  readonly speed: ReadonlyArray<Curve>
  /** The offset in the log behind the last row, in bytes. */
  readonly end: number
}

/** Options of curves. */
export interface CurveOptions {
  /** Greatest number of points of a curve, at least four; default 1000. */
  readonly points?: number
}

const POINTS = 1000

/** Collects points of many curves. */
export const collect = (points: number = POINTS) => {
  const series = new Map<string, { readonly stage: string; readonly metric: string; readonly points: Thinned.Thinned }>()
  const add = (stage: string, metric: string, step: number, value: number): void => {
    const key = JSON.stringify([stage, metric])
    const known = series.get(key) ?? { stage, metric, points: Thinned.make(Math.max(4, points)) }
    series.set(key, known)
    known.points.add(step, value)
  }
  return {
    /** Adds a point to the curve of a metric of a stage. */
    add,
    /** Adds the numbers of a row. A value that was not finite is `null` in the log, and leaves a gap. */
    row: (row: Row): void => {
      const { stage, step, ...rest } = row
      for (const [metric, value] of Object.entries(rest)) if (typeof value === "number") add(stage, metric, step, value)
    },
    /** Returns the curves that were collected. */
    curves: (): ReadonlyArray<Curve> =>
      Array.from(series.values(), ({ metric, points, stage }) => ({ stage, metric, ...points.series() }))
  }
}

const Config = Json.text(Schema.Json)

/** The curves of the timings. The units are in the names of the metrics. */
const speeds = (rows: ReadonlyArray<Row>, config: Json.Json, points: number): ReadonlyArray<Curve> => {
  const collected = collect(points)
  for (const point of Timings.course(rows, (stage) => lengthOf(config, stage).batchSize)) {
    const { imagesPerSecond, megabytesOfBatches, megabytesOfProcess, stage, step, waiting } = point
    const add = (metric: string, value: number | undefined) => {
      if (value !== undefined) collected.add(stage, metric, step, value)
    }
    add("images per second", imagesPerSecond)
    add("waiting for data, %", 100 * waiting)
    add("memory of batches, MB", megabytesOfBatches)
    add("memory of the process, MB", megabytesOfProcess)
  }
  return collected.curves()
}

type Io = FileSystem.FileSystem | Path.Path

/** Reads the curves of the timings alone. There are none without timings. */
export const speed = Effect.fnUntraced(
  function*(run: string, options: CurveOptions = {}): Effect.fn.Return<ReadonlyArray<Curve>, RunFolderError, Io> {
    const { fs, path, readText } = yield* Files.make
    const timings: Array<Row> = []
    const rows = Rows.each(fs, path.join(run, "timings.jsonl"), (part) => void timings.push(...part.rows))
    yield* within(run)(Files.ifThere(rows))
    const text = yield* within(run)(Files.ifThere(readText(path.join(run, "config.json"))))
    const config = Option.flatMap(text, Schema.decodeOption(Config))
    return speeds(timings, Option.getOrElse(config, (): Json.Json => ({})), options.points ?? POINTS)
  }
)

/**
 * Reads the curves of a run, also while it trains. Curves of more points than asked for keep the first, the last, the lowest and the
 * highest point of each stretch of steps. Where a resumed run repeated steps, the repeated ones count.
 *
 * Fails with `NoRun` if the folder holds none, and with `FileError` if it is not there or cannot be read.
 */
export const read = Effect.fn("patchword.RunCurves.read")(
  function*(run: string, options: CurveOptions = {}): Effect.fn.Return<RunCurves, RunFolderError, Io> {
    const { fs, path } = yield* Files.make
    const collected = collect(options.points)
    const end = yield* Effect.gen(function*() {
      if (!isRun(yield* Files.onFailure(run)(fs.readDirectory(run)))) return yield* new NoRun()
      const rows = Rows.each(fs, path.join(run, "log.jsonl"), (part) => {
        for (const row of part.rows) collected.row(row)
      })
      return Option.getOrElse(yield* Files.ifThere(rows), () => 0)
    }).pipe(within(run))
    return { measured: collected.curves(), speed: yield* speed(run, options), end }
  }
)
