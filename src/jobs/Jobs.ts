/**
 * Jobs in a store: submits them, lists them, follows them, cancels and resumes them. Workers do them; see `Worker`.
 *
 * | state | means |
 * | --- | --- |
 * | `waiting` | no worker that fits it was free yet, or one gave it back |
 * | `running` | a worker has it |
 * | `cancelling` | its worker saves its state, and lets go of it |
 * | `cancelled`, `failed` | it ended. `resume` goes on from its last checkpoint |
 * | `finished` | all its stages are done |
 */
import { Context, Effect, Layer, Option, Schedule, Schema, Stream, Struct } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import * as Json from "../domain/values/Json.ts"
import { ENDED, Failure, Job, type Needs, Reported } from "./Job.ts"
import { type JobsError, NoSuchJob, WrongState } from "./JobsError.ts"
import { JobStore, unreachable, within } from "./JobStore.ts"

/** A job that is handed in. */
export interface Submission {
  readonly workflow: string
  readonly title: string
  readonly payload: Json.Json
  readonly stages: ReadonlyArray<string>
  readonly needs: Needs
  /** The most workers that share it; null for as many as are free. */
  readonly workers: number | null
}

/** The jobs of a store. */
export class Jobs extends Context.Service<Jobs, {
  /** Hands in a job. Returns its number. */
  readonly submit: (job: Submission) => Effect.Effect<number, JobsError>
  /** Returns all jobs, the newest first. */
  readonly list: Effect.Effect<ReadonlyArray<Job>, JobsError>
  /** Returns a job. Fails with `NoSuchJob`. */
  readonly show: (id: number) => Effect.Effect<Job, JobsError>
  /** Ends a job with its state saved. Fails with `NoSuchJob`, and with `WrongState` if it has ended. */
  readonly cancel: (id: number) => Effect.Effect<Job, JobsError>
  /** Lets a job that failed or was cancelled go on. Fails with `NoSuchJob` and `WrongState`. */
  readonly resume: (id: number) => Effect.Effect<Job, JobsError>
  /** Returns a job each time that it changes, until it has ended. It outlives a database that is started again. */
  readonly follow: (id: number) => Stream.Stream<Job, JobsError>
}>()("patchword/jobs/Jobs") {}

const Row = Schema.Struct({
  ...Job.mapFields(Struct.omit(["needs"])).fields,
  stages: Json.text(Job.fields.stages),
  progress: Schema.NullOr(Json.text(Reported)),
  failure: Schema.NullOr(Json.text(Failure)),
  helpers: Json.text(Job.fields.helpers),
  engine: Schema.String,
  gpu: Schema.Boolean,
  memory_gib: Schema.Finite
})

const Rows = Schema.decodeUnknownEffect(Schema.Array(Row))

const jobOf = ({ engine, gpu, memory_gib: memoryGiB, ...row }: typeof Row.Type): Job => ({
  ...row,
  needs: { engine, gpu, memoryGiB }
})

const Stages = Json.text(Job.fields.stages)

const make = Effect.gen(function*() {
  const { name, sql } = yield* JobStore
  const wrapped = <A, R>(self: Effect.Effect<A, SqlError | NoSuchJob | WrongState | Schema.SchemaError, R>) =>
    Effect.mapError(
      self,
      (error) => within(name)(error._tag === "NoSuchJob" || error._tag === "WrongState" ? error : unreachable(error))
    )

  const columns = sql.literal(
    "id, workflow, title, state, stages, done, engine, gpu, memory_gib, worker, workers, taken, progress, failure, " +
      "CASE state WHEN 'waiting' THEN waits_for END AS waits, " +
      "array_to_json(ARRAY(SELECT worker FROM patchword_helping WHERE job = id ORDER BY worker))::text AS helpers, " +
      ["submitted", "started", "updated", "ended"].map((at) => `extract(epoch from ${at})::float8 AS ${at}`).join(", ")
  )
  const decoded = (rows: ReadonlyArray<object>) => Effect.map(Rows(rows), (all) => all.map(jobOf))
  const show = Effect.fnUntraced(function*(id: number) {
    const [found] = yield* decoded(yield* sql`SELECT ${columns} FROM patchword_jobs WHERE id = ${id}`)
    return found ?? (yield* new NoSuchJob({ job: id }))
  })
  const changed = Effect.fnUntraced(function*(id: number, rows: ReadonlyArray<object>, wanted: string) {
    const job = yield* show(id)
    if (rows.length === 0) return yield* new WrongState({ job: id, state: job.state, wanted })
    return job
  })

  return Jobs.of({
    submit: Effect.fn("patchword.Jobs.submit")(
      function*({ needs, payload, stages, title, workers, workflow }: Submission) {
        const [row] = yield* sql<{ readonly id: number }>`
        INSERT INTO patchword_jobs ${
          sql.insert({
            workflow,
            title,
            payload: JSON.stringify(payload),
            stages: yield* Schema.encodeEffect(Stages)(stages),
            engine: needs.engine,
            gpu: needs.gpu,
            memory_gib: needs.memoryGiB,
            workers
          })
        } RETURNING id`
        return row!.id
      },
      wrapped
    ),
    list: wrapped(Effect.flatMap(sql`SELECT ${columns} FROM patchword_jobs ORDER BY id DESC`, decoded)),
    show: (id) => wrapped(show(id)),
    cancel: Effect.fn("patchword.Jobs.cancel")(function*(id: number) {
      const rows = yield* sql`UPDATE patchword_jobs SET updated = now(),
        state = CASE state WHEN 'waiting' THEN 'cancelled' ELSE 'cancelling' END,
        ended = CASE state WHEN 'waiting' THEN now() END
        WHERE id = ${id} AND state IN ('waiting', 'running', 'cancelling') RETURNING id`
      return yield* changed(id, rows, "waiting or running")
    }, wrapped),
    resume: Effect.fn("patchword.Jobs.resume")(function*(id: number) {
      const rows =
        yield* sql`UPDATE patchword_jobs SET updated = now(), state = 'waiting', ended = NULL, failure = NULL, not_before = NULL,
        waits_for = NULL
        WHERE id = ${id} AND state IN ('cancelled', 'failed') RETURNING id`
      return yield* changed(id, rows, "cancelled or failed")
    }, wrapped),
    follow: (id) => {
      const read = Effect.retry(wrapped(show(id)), {
        while: ({ reason }) => reason._tag === "Unreachable",
        schedule: Schedule.spaced("1 second")
      })
      return Stream.fromEffectSchedule(read, Schedule.spaced("300 millis")).pipe(
        Stream.changesWith((a, b) => a.updated === b.updated && a.state === b.state),
        Stream.takeUntil(({ state }) => ENDED.includes(state))
      )
    }
  })
})

/** The jobs of a store. */
export const layer: Layer.Layer<Jobs, never, JobStore> = Layer.effect(Jobs, make)

/** Returns the present stage of a job: the first that is not done. None when all are done. */
export const present = (job: Job): Option.Option<string> => Option.fromUndefinedOr(job.stages[job.done])
