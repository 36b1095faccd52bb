/**
 * The presence of workers at a PostgreSQL: a lock that a worker holds in a session of its own. The database gives it up as soon as the
 * process has ended, so others need not wait for the end of its lease. A process that is stopped keeps it.
 */
import { Effect, Schedule } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"

/** The first number of such locks in PostgreSQL. The second one is the hash of the worker's address. */
const LOCK = 1_885_434_979

/** A worker is gone if its lock is missed so many times. A session that the database has ended is replaced before. */
const MISSED = 4

const EVERY = "1 second"

/** Notes which workers are absent, and returns those that are gone. */
export const watching = () => {
  let missed: ReadonlyMap<string, number> = new Map()
  return (rows: ReadonlyArray<readonly [address: string, present: boolean]>): ReadonlyArray<string> => {
    missed = new Map(rows.map(([address, present]) => [address, present ? 0 : (missed.get(address) ?? 0) + 1]))
    return [...missed].flatMap(([address, times]) => times === MISSED ? [address] : [])
  }
}

/** Holds the lock of a worker, and marks workers that are gone in the tables of Effect's cluster, so that it gives their shards to others. */
export const keep = (sql: SqlClient, address: string): Effect.Effect<never> =>
  Effect.gen(function*() {
    const session = yield* sql.reserve
    const locking = (name: string) => session.executeValues(`SELECT ${name}($1::int, hashtext($2))`, [LOCK, address])
    yield* Effect.acquireRelease(locking("pg_advisory_lock"), () => Effect.ignore(locking("pg_advisory_unlock")))
    const gone = watching()
    return yield* Effect.gen(function*() {
      const rows = yield* session.executeValues(
        `SELECT address, EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid::bigint = $1::bigint
            AND objid::bigint = hashtext(address)::bigint & 4294967295 AND objsubid = 2)
          FROM cluster_runners WHERE healthy AND address <> $2`,
        [LOCK, address]
      )
      for (const one of gone(rows as Array<[string, boolean]>)) {
        yield* session.executeValues("UPDATE cluster_runners SET healthy = false WHERE address = $1", [one])
      }
    }).pipe(Effect.andThen(Effect.sleep(EVERY)), Effect.forever)
  }).pipe(
    Effect.scoped,
    // The database is away, or has ended the session.
    Effect.sandbox,
    Effect.retry(Schedule.spaced("500 millis")),
    Effect.orDie
  )
