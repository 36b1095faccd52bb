/**
 * A run as a workflow of Effect: its activities are stages, in order. The workflow remembers which stages are done, wherever it
 * goes on. A stage that was stopped goes on from its checkpoint, so a run that was moved ends with the same bytes.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Effect, Schema } from "effect"
 * import * as WorkflowEngine from "effect/workflow/WorkflowEngine"
 * import { Stages } from "patchword/jobs"
 *
 * const seen: Array<string> = []
 * const note = (text: string) => Effect.sync(() => void seen.push(text))
 * const run = Stages.workflow("Run", {
 *   payload: Schema.Struct({ out: Schema.String }),
 *   title: ({ out }) => out,
 *   stages: ({ out }) => [
 *     { name: "tokenizer", run: note(`tokenizer of ${out}`) },
 *     { name: "pretrain", run: note(`pretraining of ${out}`) }
 *   ]
 * })
 * const program = Effect.provide(Stages.execute(run, { out: "runs/one" }), run.layer)
 * assert.strictEqual(await Effect.runPromise(Effect.provide(program, WorkflowEngine.layerMemory)), "done")
 * assert.deepStrictEqual(seen, ["tokenizer of runs/one", "pretraining of runs/one"])
 * ```
 */
import { type Cause, Context, Effect, type Exit, type Layer, Option, Schema } from "effect"
import * as Activity from "effect/workflow/Activity"
import * as Workflow from "effect/workflow/Workflow"
import type { WorkflowEngine } from "effect/workflow/WorkflowEngine"
import * as Json from "../domain/values/Json.ts"
import * as Job from "./Job.ts"
import { Jobs, type Submission } from "./Jobs.ts"
import type { JobsError } from "./JobsError.ts"
import * as StageFailed from "./StageFailed.ts"

/** A stage of a run. */
export interface Stage<E, R> {
  readonly name: string
  /** Does the stage, or goes on with it. */
  readonly run: Effect.Effect<unknown, E, R>
  /**
   * Takes a share in the stage while another worker runs it. It may come late, and be interrupted or killed at any time: `run` waits until all
   * is done, and does what is left. See `SharedWork`.
   */
  readonly help?: Effect.Effect<unknown, E, R>
}

/**
 * The way in which a stage of a job ended: it is done, or the job was cancelled, or this execution has it no longer, because the
 * job was given back or another execution has it.
 */
export const Outcome = Schema.Literals(["done", "cancelled", "moved"])
export type Outcome = typeof Outcome.Type

/** An execution of a job. */
export interface Execution {
  readonly job: number
  /** Grows with every worker that claims the job from the store. */
  readonly execution: number
}

/** A stage of an execution. */
export interface At extends Execution {
  readonly stage: string
  readonly index: number
}

/** Keeps watch over stages. */
export interface Keeper {
  /** Does a stage, or ends it before its time. */
  readonly stage: (at: At) => <E, R>(run: Effect.Effect<unknown, E, R>) => Effect.Effect<Outcome, E, R>
  /** Is told of the end of an execution here. It was interrupted if it goes on at another worker, or later. */
  readonly ended: (
    of: Execution,
    exit: Exit.Exit<Outcome, StageFailed.StageFailed>
  ) => Effect.Effect<void>
}

/** The present keeper. By default it lets every stage run to its end. A worker has its own. */
export const Keeper = Context.Reference<Keeper>("patchword/jobs/Keeper", {
  defaultValue: () => ({ stage: () => Effect.as("done" as const), ended: () => Effect.void })
})

/** A kind of run: how it is handed in, and how it is done. */
export interface Run<P, R> {
  readonly name: string
  /** Makes the job of a payload. */
  readonly submission: (payload: P) => Effect.Effect<Submission>
  /** Reads a payload as a store has it. */
  readonly read: (payload: string) => Effect.Effect<P, Schema.SchemaError>
  readonly executionId: (given: Execution & { readonly from: number; readonly run: P }) => Effect.Effect<string>
  /** Starts an execution from the stage of an index, without waiting for it. Starting it again does nothing. */
  readonly start: (
    given: Execution & { readonly from: number; readonly run: P }
  ) => Effect.Effect<void, never, WorkflowEngine>
  /** Starts an execution, and waits for it. */
  readonly execute: (
    given: Execution & { readonly from: number; readonly run: P }
  ) => Effect.Effect<Outcome, StageFailed.StageFailed, WorkflowEngine>
  /** Returns the stage of an index. None after the last one. */
  readonly stage: (payload: P, index: number) => Option.Option<Stage<unknown, R>>
  /** Lets the workflow engine of this process do such runs. */
  readonly layer: Layer.Layer<never, never, WorkflowEngine | R>
}

/** The parts of a run. */
export interface Options<P, E, R> {
  readonly payload: Schema.Codec<P, Json.Json>
  /** A word for people, such as the run folder. */
  readonly title: (payload: P) => string
  /** The machine that it needs; default any. */
  readonly needs?: (payload: P) => Job.Needs
  /** The most workers that share it; null for as many as are free. Default 1. Stages with `help` have more than one. */
  readonly workers?: (payload: P) => number | null
  /** The stages, a function of the payload alone. */
  readonly stages: (payload: P) => ReadonlyArray<Stage<E, R>>
}

/** Makes a workflow of stages. */
export const workflow = <P, E, R>(
  name: string,
  options: Options<P, E, R>
): Run<P, R> => {
  const { needs = () => Job.ANY, payload, stages, title, workers = () => 1 } = options
  const made = Workflow.make(name, {
    payload: { job: Schema.Int, execution: Schema.Int, from: Schema.Int, run: payload },
    success: Outcome,
    error: StageFailed.StageFailed,
    idempotencyKey: ({ execution, job }) => `${job}/${execution}`
  })
  const body = Effect.fnUntraced(
    function*({ from, run, ...of }: Execution & { readonly from: number; readonly run: P }) {
      const keeper = yield* Keeper
      const all = Effect.gen(function*() {
        for (const [index, stage] of stages(run).entries()) {
          if (index < from) continue
          const outcome = yield* Activity.make({
            name: `${index}-${stage.name}`,
            success: Outcome,
            error: StageFailed.StageFailed,
            execute: keeper.stage({ ...of, stage: stage.name, index })(stage.run).pipe(
              Effect.catchCause((cause) => failed(stage.name, cause))
            )
          })
          if (outcome !== "done") return outcome
        }
        return "done"
      })
      return yield* Effect.onExit(all, (exit) => keeper.ended(of, exit))
    }
  )
  return {
    name,
    submission: (given) =>
      Effect.map(Effect.orDie(Schema.encodeEffect(payload)(given)), (encoded) => ({
        workflow: name,
        title: title(given),
        payload: encoded,
        stages: stages(given).map((stage) => stage.name),
        needs: needs(given),
        workers: workers(given)
      })),
    read: Schema.decodeEffect(Json.text(payload)),
    executionId: (given) => made.executionId(given),
    start: (given) => Effect.asVoid(made.execute(given, { discard: true })),
    execute: (given) => made.execute(given),
    stage: (given, index) => Option.fromUndefinedOr(stages(given)[index]),
    layer: made.toLayer((given) => body(given))
  }
}

const failed = (stage: string, cause: Cause.Cause<unknown>): Effect.Effect<never, StageFailed.StageFailed> =>
  cause.reasons.every(({ _tag }) => _tag === "Interrupt")
    ? Effect.failCause(cause as Cause.Cause<never>)
    : Effect.fail(StageFailed.of(stage, cause))

/** Hands in a run as a job. Returns its number. */
export const submit = <P, R>(run: Run<P, R>, payload: P): Effect.Effect<number, JobsError, Jobs> =>
  Effect.flatMap(run.submission(payload), (submission) => Effect.flatMap(Jobs, ({ submit }) => submit(submission)))

/** Does a run on the workflow engine of this program, without a store. */
export const execute = <P, R>(run: Run<P, R>, payload: P) =>
  run.execute({ job: 0, execution: 0, from: 0, run: payload })
