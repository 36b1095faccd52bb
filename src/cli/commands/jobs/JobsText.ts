/** Jobs in words: their list, and one of them. */
import { DateTime, Option } from "effect"
import { PAUSE } from "../../../jobs/Claims.ts"
import type * as Job from "../../../jobs/Job.ts"
import * as Jobs from "../../../jobs/Jobs.ts"
import { rows } from "../../terminal/Layout.ts"
import * as Print from "../../terminal/Print.ts"

/** A time to the minute, in UTC. */
const minute = (seconds: number | null): string => {
  const text = seconds === null ? "" : DateTime.formatIso(DateTime.makeUnsafe(1000 * seconds))
  return `${text.slice(0, 10)} ${text.slice(11, 16)}`.trim()
}

const stepOf = (job: Job.Job): string => {
  const { progress } = job
  if (progress === null || job.state === "finished") return ""
  const { part, stage, step, total } = progress
  const within = part === undefined ? "" : `${part.name} (${part.number} of ${part.total}), `
  return `${within}${stage} ${step} of ${total}`
}

/** The workers that are at a job, if it can have several. */
const sharedBy = ({ helpers, state, workers }: Job.Job): string =>
  workers === 1 || state !== "running" ? "" : helpers.length === 0 ? "1 worker" : `${helpers.length + 1} workers`

const stagesOf = ({ done, stages }: Job.Job): string => `${done} of ${stages.length}`

/** A table of jobs. */
export const list = (jobs: ReadonlyArray<Job.Job>): string =>
  Print.columns([
    ["job", "state", "run", "stages done", "step", "worker", "submitted, UTC"],
    ...jobs.map((job) => [
      String(job.id),
      job.state,
      job.title,
      stagesOf(job),
      stepOf(job),
      [...(job.worker === null ? [] : [job.worker]), ...job.helpers].join(" "),
      minute(job.submitted)
    ])
  ])

const stateOf = ({ state, waits }: Job.Job): string =>
  waits === null ? state : `${state} (${waits}; tried again every ${PAUSE} seconds)`

/** A job in a line. */
export const line = (job: Job.Job): string =>
  [`job ${job.id}: ${stateOf(job)}`, `stages done ${stagesOf(job)}`, stepOf(job), sharedBy(job)]
    .filter((part) => part !== "")
    .join(", ")

const needsOf = ({ engine, gpu, memoryGiB }: Job.Needs): string =>
  [`engine ${engine}`, ...(gpu ? ["a GPU"] : []), ...(memoryGiB > 0 ? [`${memoryGiB} GiB`] : [])].join(", ")

/** A job, with what it does now or why it ended. */
export const show = (job: Job.Job): string => {
  const { ended, failure, helpers, needs, progress, started, state, submitted, title, worker, workers } = job
  const metrics = Object.entries(progress?.metrics ?? {}).flatMap(([name, value]) =>
    value === null ? [] : [`${name} ${Number(value.toPrecision(4))}`]
  )
  return rows([
    ["job", String(job.id)],
    ["state", state === "cancelling" ? `${state} (if its worker is gone: until another one runs)` : stateOf(job)],
    ["run", title],
    ["stages", `${job.stages.join(", ")} (${stagesOf(job)} done)`],
    ...(state === "finished" ? [] : [["present stage", Option.getOrElse(Jobs.present(job), () => "none")] as const]),
    ...(progress === null ? [] : [["last step", [stepOf(job), ...metrics].filter(Boolean).join(", ")] as const]),
    ["needs", needsOf(needs)],
    ["worker", worker ?? "none"],
    ...(workers === 1 ? [] : [
      ["most workers", workers === null ? "all that are free" : String(workers)],
      ["helpers", helpers.length === 0 ? "none" : helpers.join(", ")]
    ] as const),
    ["submitted, UTC", minute(submitted)],
    ...(started === null ? [] : [["begun, UTC", minute(started)] as const]),
    ...(ended === null ? [] : [["ended, UTC", minute(ended)] as const]),
    ...(failure === null ? [] : [["failed", `${failure.stage}: ${failure.finding}; ${failure.remedy}`] as const])
  ]).join("\n")
}
