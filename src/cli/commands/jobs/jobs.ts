/** `patchword jobs`: runs that wait in a store for workers. */
import { Console, Effect, Option, Stream } from "effect"
import { Command } from "effect/cli"
import type * as Job from "../../../jobs/Job.ts"
import { Jobs } from "../../../jobs/Jobs.ts"
import type { JobsError } from "../../../jobs/JobsError.ts"
import * as Flags from "../../flags/Flags.ts"
import * as StoreFlags from "../../flags/StoreFlags.ts"
import * as Failure from "../../terminal/Failure.ts"
import type { Root } from "../help.ts"
import * as JobsText from "./JobsText.ts"
import { submit } from "./submit.ts"
import { worker } from "./worker.ts"

const flags = { store: StoreFlags.store, json: Flags.json }

const print = (json: boolean) => (job: Job.Job) => Console.log(json ? JSON.stringify(job) : JobsText.show(job))

const list = Command.make("list", flags, ({ json, store }) =>
  Effect.gen(function*() {
    const { list } = yield* Jobs
    const jobs = yield* list
    if (json) return yield* Console.log(JSON.stringify({ jobs }))
    yield* Console.log(jobs.length === 0 ? "no jobs" : JobsText.list(jobs))
  }).pipe(Effect.provide(StoreFlags.jobs(store)), Failure.mapErrors)).pipe(
    Command.withDescription("list the jobs of a store: state, stages, steps, workers"),
    Command.withExamples([{ command: "patchword jobs list --store runs/store" }])
  )

/** A verb that does something with one job, and prints it. */
const one = (
  name: string,
  description: string,
  act: (jobs: Jobs["Service"], id: number) => Effect.Effect<Job.Job, JobsError>
) =>
  Command.make(
    name,
    { job: StoreFlags.job, ...flags },
    ({ job, json, store }) =>
      Effect.flatMap(Jobs, (jobs) => act(jobs, job)).pipe(
        Effect.flatMap(print(json)),
        Effect.provide(StoreFlags.jobs(store)),
        Failure.mapErrors
      )
  ).pipe(
    Command.withDescription(description),
    Command.withExamples([{ command: `patchword jobs ${name} 3 --store runs/store` }])
  )

const follow = Command.make(
  "follow",
  { job: StoreFlags.job, ...flags },
  ({ job, json, store }) =>
    Effect.gen(function*() {
      const { follow } = yield* Jobs
      const last = yield* Stream.runFold(
        Stream.tap(follow(job), (now) => Console.log(json ? JSON.stringify(now) : JobsText.line(now))),
        () => Option.none<Job.Job>(),
        (_, now) => Option.some(now)
      )
      const { failure } = Option.getOrThrow(last)
      if (failure === null) return
      return yield* new Failure.Failure({
        tag: failure.tag,
        finding: `job ${job}: ${failure.stage}: ${failure.finding}`,
        remedy: failure.remedy,
        code: failure.exitCode
      })
    }).pipe(Effect.provide(StoreFlags.jobs(store)), Failure.mapErrors)
).pipe(
  Command.withDescription("print each change of a job until it ends; a failure ends it with the job's exit code"),
  Command.withExamples([{ command: "patchword jobs follow 3 --store runs/store" }])
)

/** The command, for the verbs of the program. */
export const jobs = (root: () => Root) =>
  Command.make("jobs").pipe(
    Command.withDescription(
      "let workers do runs, on many machines or on this one: jobs submit, worker, list, show, follow, cancel, resume"
    ),
    Command.withSubcommands([
      submit(root),
      worker(root),
      list,
      one("show", "show a job: stage, step, worker, failure", ({ show }, id) => show(id)),
      follow,
      one("cancel", "end a job; its worker saves a checkpoint first", ({ cancel }, id) => cancel(id)),
      one("resume", "let a job that failed or was cancelled go on", ({ resume }, id) => resume(id))
    ])
  )
