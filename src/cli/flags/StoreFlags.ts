/** The store of jobs that a command line names. */
import { Config as Environment, Effect, Layer, Option, Redacted } from "effect"
import { Argument, Flag } from "effect/cli"
import * as Config from "../../domain/config/Config.ts"
import * as Jobs from "../../jobs/Jobs.ts"
import * as JobStore from "../../jobs/JobStore.ts"
import * as Described from "./Described.ts"

/** The variable of the environment that names the store. It keeps a password out of the list of processes. */
const VARIABLE = "PATCHWORD_STORE"

/** The store. */
export const store = Flag.String("store").pipe(
  Described.optional(
    `postgres://USER@HOST/DATABASE for many machines, or a folder for this one; the password of PostgreSQL belongs into ${VARIABLE}`,
    `the variable ${VARIABLE}`
  )
)

/** The number of a job. */
export const job = Argument.Int("job").pipe(Argument.withDescription("the number of a job"))

/** The store that is named. Fails with 64 when none is. */
export const place = Effect.fnUntraced(function*(given: Option.Option<string>) {
  const variable = yield* Effect.orDie(Environment.option(Environment.String(VARIABLE)))
  const chosen = Option.orElse(given, () => variable)
  if (Option.isSome(chosen)) return Redacted.make(chosen.value, { label: "store" })
  return yield* Config.refusal(
    "--store",
    "expected a store of jobs, got none",
    `give --store, or set the variable ${VARIABLE}`
  )
})

/** The jobs of the store that is named. */
export const jobs = (given: Option.Option<string>, options: JobStore.Options = { make: false }) =>
  Layer.unwrap(Effect.map(place(given), (found) => Layer.provide(Jobs.layer, JobStore.layer(found, options))))
