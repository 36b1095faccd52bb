/** The timings of a run: speed, waiting and memory of its stages, over all processes that trained them. */
import type { Row } from "../../layers/run/Runs.ts"

/** Seconds and steps are counted from the start of a process. */
interface Timing {
  readonly stage: string
  readonly step: number
  readonly steps: number
  readonly seconds: number
  readonly waited: number
  readonly batches?: number
  readonly process?: number
  readonly total?: number
  readonly batchSize?: number
  readonly at?: string
}

/** What the timings say of a stage. */
export interface Timed {
  readonly stage: string
  readonly step: number
  readonly total?: number
  readonly batchSize?: number
  /** Over all processes. */
  readonly seconds: number
  /** Seconds of a step, in the newest part. */
  readonly secondsPerStep?: number
  /** The times at which the first process began and of the last row, in milliseconds. */
  readonly began?: number
  readonly ended?: number
}

/** A point of the course of a stage: what was measured between two rows. */
export interface Point {
  readonly stage: string
  readonly step: number
  readonly imagesPerSecond?: number
  /** The share of the time that steps waited for their batches. */
  readonly waiting: number
  readonly megabytesOfBatches?: number
  readonly megabytesOfProcess?: number
}

const number = (row: Row, name: string): number | undefined => {
  const value = row[name]
  return typeof value === "number" ? value : undefined
}

const optional = <K extends string, V>(name: K, value: V | undefined) =>
  (value === undefined ? {} : { [name]: value }) as { readonly [key in K]?: V }

const timing = (row: Row): ReadonlyArray<Timing> => {
  const [steps, seconds] = [number(row, "steps"), number(row, "seconds")]
  if (steps === undefined || seconds === undefined) return []
  const at = row["at"]
  return [{
    stage: row.stage,
    step: row.step,
    steps,
    seconds,
    waited: number(row, "secondsWaitedForData") ?? 0,
    ...optional("batches", number(row, "megabytesOfBatches")),
    ...optional("process", number(row, "megabytesOfProcess")),
    ...optional("total", number(row, "total")),
    ...optional("batchSize", number(row, "batchSize")),
    ...optional("at", typeof at === "string" ? at : undefined)
  }]
}

/** Tests whether a process wrote both rows: it counts steps and seconds from its start. */
const isSame = (before: Timing, now: Timing): boolean =>
  before.step - before.steps === now.step - now.steps && now.steps > before.steps && now.seconds >= before.seconds

/** Pairs each row with the one before it of the same stage and process. */
const pairs = (rows: ReadonlyArray<Row>): ReadonlyArray<readonly [before: Timing | undefined, now: Timing]> => {
  const last = new Map<string, Timing>()
  return rows.flatMap(timing).map((now) => {
    const before = last.get(now.stage)
    last.set(now.stage, now)
    return [before !== undefined && isSame(before, now) ? before : undefined, now] as const
  })
}

const perStep = (before: Timing | undefined, now: Timing): number | undefined => {
  const steps = now.steps - (before?.steps ?? 0)
  return steps > 0 ? (now.seconds - (before?.seconds ?? 0)) / steps : undefined
}

/** Sums up each stage, in the order in which they began. `batchSizeOf` knows the batches of runs that did not write it. */
export const summary = (rows: ReadonlyArray<Row>): ReadonlyMap<string, Timed> => {
  const found = new Map<string, Timed>()
  for (const [before, now] of pairs(rows)) {
    const known = found.get(now.stage)
    const at = now.at === undefined ? NaN : Date.parse(now.at)
    found.set(now.stage, {
      stage: now.stage,
      step: now.step,
      seconds: (known?.seconds ?? 0) + now.seconds - (before?.seconds ?? 0),
      ...optional("total", now.total ?? known?.total),
      ...optional("batchSize", now.batchSize ?? known?.batchSize),
      ...optional("secondsPerStep", perStep(before, now)),
      ...optional("began", known?.began ?? (Number.isNaN(at) ? undefined : at - 1000 * now.seconds)),
      ...optional("ended", Number.isNaN(at) ? known?.ended : at)
    })
  }
  return found
}

/** Returns the course of the stages. `batchSizeOf` returns the images of a step, for runs that did not write it. */
export const course = (
  rows: ReadonlyArray<Row>,
  batchSizeOf: (stage: string) => number | undefined
): ReadonlyArray<Point> =>
  pairs(rows).map(([before, now]) => {
    const each = perStep(before, now)
    const batch = now.batchSize ?? batchSizeOf(now.stage)
    const seconds = now.seconds - (before?.seconds ?? 0)
    return {
      stage: now.stage,
      step: now.step,
      waiting: seconds > 0 ? (now.waited - (before?.waited ?? 0)) / seconds : 0,
      ...optional("imagesPerSecond", each === undefined || each === 0 || batch === undefined ? undefined : batch / each),
      ...optional("megabytesOfBatches", now.batches),
      ...optional("megabytesOfProcess", now.process)
    }
  })
