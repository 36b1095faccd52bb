/** A job: a run that was submitted to a store, for a worker that fits it. */
import { Schema } from "effect"

/** The states of a job. */
export const State = Schema.Literals(["waiting", "running", "cancelling", "cancelled", "failed", "finished"])
export type State = typeof State.Type

/** The states in which a job does not change by itself. */
export const ENDED: ReadonlyArray<State> = ["cancelled", "failed", "finished"]

/** The machine that a job needs. */
export const Needs = Schema.Struct({
  /** The engine that the worker must offer. */
  engine: Schema.String,
  gpu: Schema.Boolean,
  /** Memory of the worker in GiB. */
  memoryGiB: Schema.Finite
})
export type Needs = typeof Needs.Type

/** The needs of a job that every worker fits. */
export const ANY: Needs = { engine: "onnx", gpu: false, memoryGiB: 0 }

/** The machine of a worker. */
export interface Offer {
  readonly engines: ReadonlyArray<string>
  readonly gpu: boolean
  readonly memoryGiB: number
}

/** The last report of a job's present stage. */
export const Reported = Schema.Struct({
  stage: Schema.String,
  step: Schema.Int,
  total: Schema.Int,
  metrics: Schema.Record(Schema.String, Schema.NullOr(Schema.Finite)),
  imagesPerSecond: Schema.optionalKey(Schema.NullOr(Schema.Finite)),
  /** The part of longer work that the stage belongs to, for example one run of a study. */
  part: Schema.optionalKey(Schema.Struct({ name: Schema.String, number: Schema.Int, total: Schema.Int }))
})
export type Reported = typeof Reported.Type

/** The error of a job that failed. */
export const Failure = Schema.Struct({
  stage: Schema.String,
  tag: Schema.String,
  finding: Schema.String,
  remedy: Schema.String,
  exitCode: Schema.Int
})
export type Failure = typeof Failure.Type

/** A job as the store has it. Times are seconds since 1970. */
export const Job = Schema.Struct({
  id: Schema.Int,
  /** The name of the workflow that runs it. */
  workflow: Schema.String,
  /** A word for people: the run folder. */
  title: Schema.String,
  state: State,
  /** The names of its stages, in order. */
  stages: Schema.Array(Schema.String),
  /** The number of its finished stages. */
  done: Schema.Int,
  needs: Needs,
  /** The worker that has it, or had it last. */
  worker: Schema.NullOr(Schema.String),
  /** The most workers that share it; null for as many as are free. */
  workers: Schema.NullOr(Schema.Int),
  /** The workers that help the one that has it. */
  helpers: Schema.Array(Schema.String),
  /** The number of times that a worker took a stage of it. */
  taken: Schema.Int,
  progress: Schema.NullOr(Reported),
  /** A waiting job was given back for this, and is tried again a little later. */
  waits: Schema.NullOr(Schema.String),
  failure: Schema.NullOr(Failure),
  submitted: Schema.Finite,
  started: Schema.NullOr(Schema.Finite),
  updated: Schema.Finite,
  ended: Schema.NullOr(Schema.Finite)
})
export type Job = typeof Job.Type
