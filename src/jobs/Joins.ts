/**
 * The workers that help with jobs of others, as rows of the store.
 *
 * A helper has nothing that could be lost: the work is shared through a folder, and the worker that has the job waits until all of it is
 * done. So a helper only says from time to time that it is there, and ends when the stage does.
 */
import { Effect, Option } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"
import * as Claims from "./Claims.ts"
import type * as Job from "./Job.ts"

/** Joins the oldest running job that fits, that takes one more worker, and that `isWanted`. Several workers may ask at once. */
export const join = Effect.fnUntraced(function*(
  sql: SqlClient,
  options: {
    readonly worker: string
    readonly offer: Job.Offer
    readonly workflows: ReadonlyArray<string>
    readonly isWanted: (job: Claims.Waiting) => boolean
  }
) {
  const { isWanted, offer, worker, workflows } = options
  return yield* sql.withTransaction(Effect.gen(function*() {
    const rows = yield* sql<Claims.Row & { readonly workers: number | null }>`
      SELECT ${Claims.columns(sql)}, workers FROM patchword_jobs
      WHERE state = 'running' AND begun AND (workers IS NULL OR workers > 1) AND worker <> ${worker}
        AND ${Claims.fitting(sql, { workflows, offer })}
      ORDER BY id FOR UPDATE SKIP LOCKED`
    for (const { workers, ...row } of rows) {
      const found = Claims.waiting(row)
      if (!isWanted(found)) continue
      // Only now: those that joined before it was locked are seen.
      const others = yield* sql`SELECT worker FROM patchword_helping WHERE job = ${found.job} AND worker <> ${worker}`
      if (workers !== null && 1 + others.length >= workers) continue
      yield* sql`INSERT INTO patchword_helpers (job, worker) VALUES (${found.job}, ${worker})
        ON CONFLICT (job, worker) DO UPDATE SET seen = now()`
      return Option.some(found)
    }
    return Option.none()
  }))
})

/** Says that a helper is there. False if the stage that it helps with runs no more. */
export const seen = (sql: SqlClient, { from, job }: Claims.Waiting, worker: string) =>
  Effect.map(
    sql`UPDATE patchword_helpers SET seen = now() WHERE job = ${job} AND worker = ${worker}
      AND EXISTS (SELECT 1 FROM patchword_jobs WHERE id = ${job} AND done = ${from} AND state = 'running')
      RETURNING job`,
    (rows) => rows.length > 0
  )

/** Says that a helper has gone. */
export const leave = (sql: SqlClient, { job }: Claims.Waiting, worker: string) =>
  sql`DELETE FROM patchword_helpers WHERE job = ${job} AND worker = ${worker}`
