/**
 * The jobs of a worker, as rows of the store.
 *
 * A job has one execution at a time, and a number that grows each time that a stage of it is taken. Whoever has an older number
 * has it no longer, and changes nothing.
 */
import { Effect, Option, Schema } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"
import * as Json from "../domain/values/Json.ts"
import type { Report } from "../layers/run/Progress.ts"
import * as Job from "./Job.ts"
import type { StageFailed } from "./StageFailed.ts"
import type { At, Execution } from "./Stages.ts"

/** A waiting job. */
export interface Waiting extends Execution {
  readonly workflow: string
  readonly payload: string
  /** The number of its finished stages. */
  readonly from: number
}

/** The columns of a job that a worker reads. */
export interface Row {
  readonly id: number
  readonly workflow: string
  readonly payload: string
  readonly execution: number
  readonly done: number
}

/** Makes a job of its columns. */
export const waiting = ({ done, execution, id: job, payload, workflow }: Row): Waiting => ({
  job,
  execution,
  workflow,
  payload,
  from: done
})

/** Selects the columns of {@link Row}. */
export const columns = (sql: SqlClient) => sql.literal("id, workflow, payload, execution, done")

/** Tests whether a worker can do a job. */
export const fitting = (
  sql: SqlClient,
  { offer: { engines, gpu, memoryGiB }, workflows }: {
    readonly offer: Job.Offer
    readonly workflows: ReadonlyArray<string>
  }
) =>
  sql.and([
    sql.in("workflow", workflows),
    sql.in("engine", engines),
    sql`memory_gib <= ${memoryGiB}`,
    sql`(NOT gpu OR ${gpu})`
  ])

/** So many seconds pass until a job is claimed again that was given back because others use its folder. */
export const PAUSE = 15

/**
 * Claims the oldest waiting job that fits. `choose` gives the number of its next execution, or nothing to leave it. Several workers
 * may ask at once: each gets another job.
 */
export const claim = Effect.fnUntraced(function*<E, R>(
  sql: SqlClient,
  options: {
    readonly worker: string
    readonly offer: Job.Offer
    readonly workflows: ReadonlyArray<string>
    readonly choose: (job: Waiting) => Effect.Effect<Option.Option<number>, E, R>
  }
) {
  const { choose, offer, worker, workflows } = options
  return yield* sql.withTransaction(Effect.gen(function*() {
    const [row] = yield* sql<Row>`
      SELECT ${columns(sql)} FROM patchword_jobs
      WHERE state = 'waiting' AND (not_before IS NULL OR not_before <= now()) AND ${fitting(sql, { workflows, offer })}
      ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED`
    if (row === undefined) return Option.none()
    const found = waiting(row)
    const execution = yield* choose(found)
    if (Option.isNone(execution)) return Option.none()
    yield* sql`UPDATE patchword_jobs SET state = 'running', execution = ${execution.value}, begun = false, worker = ${worker},
      waits_for = NULL, not_before = NULL, started = coalesce(started, now()), updated = now() WHERE id = ${row.id}`
    return Option.some({ ...found, execution: execution.value })
  }))
})

/** Returns jobs that were claimed some seconds ago and that no stage has begun of: their worker may have ended in between. */
export const forgotten = Effect.fnUntraced(
  function*(sql: SqlClient, workflows: ReadonlyArray<string>, seconds: number) {
    const rows = yield* sql<Row>`
    SELECT ${columns(sql)} FROM patchword_jobs
    WHERE state IN ('running', 'cancelling') AND NOT begun AND ${sql.in("workflow", workflows)}
      AND updated < now() - make_interval(secs => ${seconds})`
    return rows.map(waiting)
  }
)

/** Tests whether jobs of these kinds run, as far as the store knows. */
export const areRunning = (sql: SqlClient, workflows: ReadonlyArray<string>) =>
  Effect.map(
    sql`SELECT id FROM patchword_jobs WHERE state IN ('running', 'cancelling') AND ${
      sql.in("workflow", workflows)
    } LIMIT 1`,
    (rows) => rows.length > 0
  )

/** A stage that is taken: the number of the taking, the state of the job, and what it needs. */
export interface Taken {
  readonly number: number
  readonly state: Job.State
  readonly needs: Job.Needs
  /** True if the worker that took a stage before has neither ended it nor given it back: it was killed, or hangs. */
  readonly lost: boolean
}

/** Takes a stage. None if the job has another execution, or ended, or was given back. */
export const take = Effect.fnUntraced(function*(sql: SqlClient, of: Execution, worker: string) {
  const { execution, job } = of
  const [row] = yield* sql<{
    readonly taken: number
    readonly state: Job.State
    readonly engine: string
    readonly gpu: boolean
    readonly memory_gib: number
    readonly lost: boolean
  }>`UPDATE patchword_jobs SET taken = patchword_jobs.taken + 1, begun = true, released = false, worker = ${worker},
      updated = now()
    FROM (SELECT id, NOT released AS lost FROM patchword_jobs WHERE id = ${job} FOR UPDATE) AS before
    WHERE patchword_jobs.id = before.id AND execution = ${execution} AND state IN ('running', 'cancelling')
    RETURNING taken, state, engine, gpu, memory_gib, lost`
  if (row === undefined) return Option.none<Taken>()
  const { engine, gpu, lost, memory_gib: memoryGiB, state, taken: number } = row
  return Option.some({ number, state, lost, needs: { engine, gpu, memoryGiB } })
})

/** Keeps the last report of a stage. Returns the state of the job; none if another one has taken it. */
export const report = Effect.fnUntraced(function*(
  sql: SqlClient,
  of: Execution,
  number: number,
  report: Option.Option<Report>
) {
  const progress = Option.getOrNull(Option.map(report, written))
  const [row] = yield* sql<{ readonly state: Job.State }>`
    UPDATE patchword_jobs SET progress = coalesce(${progress}, progress), updated = now()
    WHERE id = ${of.job} AND taken = ${number} AND state IN ('running', 'cancelling') RETURNING state`
  return Option.map(Option.fromUndefinedOr(row), ({ state }) => state)
})

const finite = (value: number): number | null => Number.isFinite(value) ? value : null

const written = ({ imagesPerSecond, metrics, part, stage, step, total }: Report): string =>
  Schema.encodeSync(Json.text(Job.Reported))({
    stage,
    step,
    total,
    metrics: Object.fromEntries(Object.entries(metrics).map(([name, value]) => [name, finite(value)])),
    ...(part === undefined ? {} : { part }),
    ...(imagesPerSecond === undefined ? {} : { imagesPerSecond: finite(imagesPerSecond) })
  })

/** Tests whether this is the present execution of a job. */
export const isPresent = (sql: SqlClient, { execution, job }: Execution) =>
  Effect.map(
    sql`SELECT id FROM patchword_jobs WHERE id = ${job} AND execution = ${execution} AND state IN ('running', 'cancelling')`,
    (rows) => rows.length > 0
  )

/** Notes that a stage is done. */
export const done = (sql: SqlClient, { index, job }: At, number: number) =>
  sql`UPDATE patchword_jobs SET done = ${
    index + 1
  }, released = true, updated = now() WHERE id = ${job} AND taken = ${number}`

/** The way in which a job is given back. */
export interface Return {
  /** True if another worker may still write to its folder. */
  readonly lost: boolean
  /** The reason why it is not claimed again for {@link PAUSE} seconds. */
  readonly waits?: string
  /** True to leave it to the worker that has begun it, if one has. */
  readonly isNew?: boolean
}

/** Gives a job back, so that another worker takes it. A job that is being cancelled is cancelled by that. */
export const giveBack = (sql: SqlClient, { execution, job }: Execution, { isNew = false, lost, waits }: Return) =>
  sql`UPDATE patchword_jobs SET updated = now(), worker = NULL, released = ${!lost}, waits_for = ${waits ?? null},
    not_before = CASE WHEN ${waits !== undefined} THEN now() + make_interval(secs => ${PAUSE}) END,
    state = CASE state WHEN 'cancelling' THEN 'cancelled' ELSE 'waiting' END,
    ended = CASE state WHEN 'cancelling' THEN now() END
    WHERE id = ${job} AND execution = ${execution} AND state IN ('running', 'cancelling') AND NOT (begun AND ${isNew})`

/** Notes that a worker writes no more to the folder of a job that was taken from it. */
export const release = (sql: SqlClient, { job }: Execution, number: number) =>
  sql`UPDATE patchword_jobs SET released = true WHERE id = ${job} AND taken = ${number}`

const failureOf = (failed: StageFailed): string =>
  Schema.encodeSync(Json.text(Job.Failure))({
    stage: failed.stage,
    tag: failed.tag,
    finding: failed.problem,
    remedy: failed.advice,
    exitCode: failed.code
  })

/** Notes the end of an execution. */
export const end = (
  sql: SqlClient,
  { execution, job }: Execution,
  state: "cancelled" | "finished" | "failed",
  failed?: StageFailed
) =>
  sql`UPDATE patchword_jobs SET state = ${state}, failure = ${failed === undefined ? null : failureOf(failed)},
    released = true, updated = now(), ended = now()
    WHERE id = ${job} AND execution = ${execution} AND state IN ('running', 'cancelling')`

/** Notes that a waiting job cannot be read. */
export const refuse = (sql: SqlClient, { job }: Execution, failed: StageFailed) =>
  sql`UPDATE patchword_jobs SET state = 'failed', failure = ${failureOf(failed)}, updated = now(), ended = now()
    WHERE id = ${job} AND state = 'waiting'`
