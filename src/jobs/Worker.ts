/**
 * A worker takes jobs from a store, those that fit its machine, and does one at a time.
 *
 * Workers of one PostgreSQL are runners of Effect's cluster. The workflow of a job belongs to the worker that claimed it. When that
 * one is gone, the cluster gives the workflow to another, which goes on from the last checkpoint, or gives the job back to the
 * store if it is busy or does not fit.
 *
 * A worker without a job helps with the stages of others that can be shared.
 *
 * On an interruption a worker saves its stage, gives its job back and ends.
 */
import * as NodeCrypto from "@effect/platform-node/NodeCrypto"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Cause, Clock, Deferred, Duration, Effect, Exit, Fiber, Layer, Option, Predicate, Ref, Schedule } from "effect"
import * as ClusterWorkflowEngine from "effect/cluster/ClusterWorkflowEngine"
import * as EntityId from "effect/cluster/EntityId"
import * as RunnerAddress from "effect/cluster/RunnerAddress"
import { Sharding } from "effect/cluster/Sharding"
import * as SingleRunner from "effect/cluster/SingleRunner"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { WorkflowEngine } from "effect/workflow/WorkflowEngine"
import { createServer } from "node:net"
import * as os from "node:os"
import * as Progress from "../layers/run/Progress.ts"
import * as Runs from "../layers/run/Runs.ts"
import * as Claims from "./Claims.ts"
import * as Held from "./Held.ts"
import * as Helping from "./Helping.ts"
import type * as Job from "./Job.ts"
import { JobStore } from "./JobStore.ts"
import * as Presence from "./Presence.ts"
import * as StageFailed from "./StageFailed.ts"
import * as Stages from "./Stages.ts"

/** The options of a worker. */
export interface Options {
  /** The machine that it offers. */
  readonly offer: Job.Offer
  /** The name or address by which other workers reach this machine; default its host name. */
  readonly host?: string
  /** The port on which it listens for them; default a free one. */
  readonly port?: number
  /** The time after which a worker that does not move, but is not gone, has lost its job; default {@link LEASE}, at least 3 seconds. */
  readonly lease?: Duration.Input
  /** Receives what the worker does. */
  readonly say?: (text: string) => Effect.Effect<void>
}

/** The memory of this machine in GiB. */
export const memoryGiB = os.totalmem() / 2 ** 30

/** The default of {@link Options.lease}, in seconds. A worker that loses it in the middle of work goes on from its checkpoint. */
export const LEASE = 20

/** A port on which nobody listens. */
const freePort = (host: string) =>
  Effect.callback<number>((resume) => {
    const server = createServer().listen(0, host, () => {
      const address = server.address()
      server.close(() => resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0)))
    })
    server.on("error", (error) => resume(Effect.die(error)))
  })

const clusterOf = (
  { lease = Duration.seconds(LEASE) }: Options,
  address: Option.Option<RunnerAddress.RunnerAddress>
): Layer.Layer<WorkflowEngine | Sharding, never, SqlClient.SqlClient> =>
  Layer.unwrap(Effect.gen(function*() {
    // It brings an HTTP client, which nobody else needs.
    const NodeClusterSocket = yield* Effect.promise(() => import("@effect/platform-node/NodeClusterSocket"))
    const seconds = Math.max(3, Duration.toSeconds(Duration.fromInputUnsafe(lease)))
    const timing = {
      shardsPerGroup: 60,
      shardLockExpiration: Duration.seconds(seconds),
      // Effect gives all shards up if the database does not answer for so long.
      shardLockRefreshInterval: Duration.seconds(seconds / 3),
      runnerHealthCheckInterval: Duration.seconds(2),
      refreshAssignmentsInterval: Duration.seconds(1),
      entityMessagePollInterval: Duration.seconds(1),
      // A stage ends by an interruption alone, which saves it.
      entityTerminationTimeout: Duration.seconds(1)
    }
    const runner = Option.isNone(address)
      ? SingleRunner.layer({ runnerStorage: "memory", shardingConfig: timing }).pipe(Layer.provide(NodeCrypto.layer))
      : NodeClusterSocket.layer({ storage: "sql", shardingConfig: { ...timing, runnerAddress: address } })
    return ClusterWorkflowEngine.layer.pipe(Layer.provideMerge(runner), Layer.orDie, Layer.provide(NodeServices.layer))
  }))

const fits = (needs: Job.Needs, { engines, gpu, memoryGiB }: Job.Offer): boolean =>
  engines.includes(needs.engine) && needs.memoryGiB <= memoryGiB && (!needs.gpu || gpu)

/** So many numbers of executions are tried until one belongs to this worker. */
const TRIES = 4096

/** So many seconds a worker that lost a job has for saving its state, until its folder is taken from it by force. */
const LOCKED = 3

/** Waits for a database that is away. */
const patient = <A, R>(self: Effect.Effect<A, SqlError, R>): Effect.Effect<A, never, R> =>
  self.pipe(Effect.retry(Schedule.spaced("500 millis")), Effect.orDie)

const isLocked = (error: unknown): boolean =>
  Predicate.isTagged(error, "Locked") ||
  Predicate.hasProperty(error, "tag") && error.tag === "Locked" ||
  Predicate.hasProperty(error, "reason") && isLocked(error.reason)

/** What ends a stage before its time. */
type Call = "cancelled" | "superseded" | "stopping"

/** Others use the run folder of the stage. */
interface Waits {
  readonly waits: string
}

const make = Effect.fnUntraced(function*({ offer, say = () => Effect.void }: Options) {
  const { sql } = yield* JobStore
  const worker = `${os.hostname()}:${process.pid}`
  const stopping = yield* Deferred.make<void>()
  const held = Held.make()
  // A share in other jobs yields to a job.
  const help = Helping.make({ sql, worker, offer, isFree: held.isFree, say })

  /** Says what ends the stage, and keeps its reports meanwhile. */
  const watch = Effect.fnUntraced(function*(
    at: Stages.At,
    number: number,
    last: Ref.Ref<Option.Option<Progress.Report>>
  ): Effect.fn.Return<Call> {
    while (true) {
      const state = yield* Effect.option(Claims.report(sql, at, number, yield* Ref.get(last)))
      if (Option.isSome(state) && Option.isNone(state.value)) return "superseded"
      if (Option.isSome(state) && Option.contains(state.value, "cancelling")) return "cancelled"
      const stop = yield* Effect.timeoutOption(Deferred.await(stopping), "500 millis")
      if (Option.isSome(stop)) return "stopping"
    }
  })

  const giveBack = Effect.fnUntraced(function*(at: Stages.At, how: Pick<Claims.Return, "lost" | "waits">, why: string) {
    yield* patient(Claims.giveBack(sql, at, how))
    yield* say(`job ${at.job}: given back, ${why}`)
    return "moved" as const
  })

  const working = Effect.fnUntraced(function*<E, R>(
    at: Stages.At,
    { lost, number }: Claims.Taken,
    run: Effect.Effect<unknown, E, R>
  ) {
    const last = yield* Ref.make(Option.none<Progress.Report>())
    const progress: Progress.Progress = {
      report: (report) => Ref.set(last, Option.some(report)),
      message: (text) => say(`job ${at.job}: ${text}`)
    }
    yield* say(`job ${at.job}: ${at.stage}`)
    const once = Effect.as(Effect.provideService(run, Progress.Progress, progress), "done" as const)
    const stage = lost
      // A worker that is on its way out has the folder for a while.
      ? once.pipe(
        Effect.retry({ while: isLocked, schedule: Schedule.spaced("1 second"), times: LOCKED }),
        Effect.catchIf(isLocked, () => Effect.provideService(once, Runs.TakeOver, true))
      )
      // A person who has it may have it for long.
      : Effect.catchIf(
        once,
        isLocked,
        (error) => Effect.succeed<Waits>({ waits: StageFailed.of(at.stage, Cause.fail(error)).problem })
      )
    const fiber = yield* Effect.forkChild(stage)
    const done = Fiber.join(fiber).pipe(
      Effect.catchCause((cause) =>
        Effect.flatMap(patient(Claims.report(sql, at, number, Option.none())), (state) =>
          // The files of a job that another worker has refuse what this one writes.
          Option.isSome(state) ? Effect.failCause(cause) : Effect.succeed("superseded" as const))
      )
    )
    const ended: Call | Waits | "done" = yield* Effect.raceFirst(done, watch(at, number, last)).pipe(
      // The state is saved before anybody hears of it.
      Effect.onExit(() => Fiber.interrupt(fiber))
    )
    const isOver = (ended === "done" || typeof ended === "object") &&
      Option.isNone(yield* patient(Claims.report(sql, at, number, yield* Ref.get(last))))
    const found = isOver ? "superseded" : ended
    if (typeof found === "object") {
      const why = `${found.waits}. It is tried again in ${Claims.PAUSE} seconds`
      return yield* giveBack(at, { lost: false, waits: found.waits }, why)
    }
    switch (found) {
      case "done":
        yield* patient(Claims.done(sql, at, number))
        return "done"
      case "cancelled":
        yield* say(`job ${at.job}: cancelled, its state is saved`)
        return "cancelled"
      case "superseded":
        yield* say(`job ${at.job}: another worker has it`)
        yield* held.release(at)
        // An answer would be taken for that of the other worker. The cluster interrupts this one.
        if (yield* patient(Claims.isPresent(sql, at))) yield* Deferred.await(stopping)
        return "moved"
      case "stopping":
        return yield* giveBack(at, { lost: false }, "its state is saved")
    }
  })

  const stage = (at: Stages.At) => <E, R>(run: Effect.Effect<unknown, E, R>): Effect.Effect<Stages.Outcome, E, R> =>
    Effect.gen(function*() {
      const found = yield* patient(Claims.take(sql, at, worker))
      if (Option.isNone(found)) return "moved"
      const taken = found.value
      if (taken.state === "cancelling") return "cancelled"
      if (!fits(taken.needs, offer)) return yield* giveBack(at, taken, "this machine does not fit it")
      if (!held.has(at) && !(yield* held.isFree)) return yield* giveBack(at, taken, "this worker has another one")
      yield* held.work(at)
      return yield* Effect.andThen(help.leave, working(at, taken, run)).pipe(
        Effect.onInterrupt(() =>
          Effect.andThen(held.release(at), Effect.ignore(Claims.release(sql, at, taken.number)))
        ),
        Effect.ensuring(held.rest(at))
      )
    })

  const ended = (of: Stages.Execution, exit: Exit.Exit<Stages.Outcome, StageFailed.StageFailed>) =>
    Effect.gen(function*() {
      // It goes on at another worker, or later.
      if (Exit.hasInterrupts(exit)) return
      if (Exit.isFailure(exit)) {
        const error = Cause.squash(exit.cause)
        const failed = error instanceof StageFailed.StageFailed ? error : StageFailed.of("workflow", exit.cause)
        yield* patient(Claims.end(sql, of, "failed", failed))
        yield* say(`job ${of.job}: failed, ${failed.message}`)
      } else if (exit.value !== "moved") {
        yield* patient(Claims.end(sql, of, exit.value === "done" ? "finished" : "cancelled"))
        yield* say(`job ${of.job}: ${exit.value === "done" ? "finished" : "cancelled"}`)
      }
    }).pipe(Effect.ensuring(held.end(of)))

  return { keeper: { stage, ended }, worker, stopping, help, held }
})

/** Claims jobs while it is free. */
const dispatch = Effect.fnUntraced(function*<P, R>(
  runs: ReadonlyArray<Stages.Run<P, R>>,
  { offer, say = () => Effect.void }: Options,
  { held, help, worker }: Effect.Success<ReturnType<typeof make>>
) {
  const { kind, sql } = yield* JobStore
  const sharding = yield* Sharding
  const since = yield* Clock.currentTimeMillis
  const workflows = runs.map(({ name }) => name)
  const runOf = (name: string) => runs.find((run) => run.name === name)!
  const start = Effect.fnUntraced(function*({ payload, workflow, ...of }: Claims.Waiting) {
    const run = runOf(workflow)
    yield* run.start({ ...of, run: yield* run.read(payload) })
  })
  const choose = Effect.fnUntraced(function*({ payload, workflow, ...of }: Claims.Waiting) {
    const { executionId, read } = runOf(workflow)
    const given = yield* Effect.exit(read(payload))
    if (Exit.isFailure(given)) {
      yield* Claims.refuse(sql, of, StageFailed.of("submit", given.cause))
      return Option.none<number>()
    }
    for (let execution = of.execution + 1; execution <= of.execution + TRIES; execution++) {
      const id = yield* executionId({ ...of, execution, run: given.value })
      if (sharding.hasShardId(sharding.getShardId(EntityId.make(id), "default"))) return Option.some(execution)
    }
    return Option.none<number>()
  })
  // A folder has one worker, so others have no job there: those that run were interrupted, and go on before newer ones.
  const isAfterOthers = Effect.gen(function*() {
    const isNew = (yield* Clock.currentTimeMillis) - since < 1000 * Held.FORGOTTEN
    return kind === "folder" && isNew && (yield* Claims.areRunning(sql, workflows))
  })
  const round = Effect.gen(function*() {
    if ((yield* held.isFree) && !(yield* isAfterOthers)) {
      const claimed = yield* Claims.claim(sql, { worker, offer, workflows, choose })
      if (Option.isSome(claimed)) {
        yield* held.claim(claimed.value)
        yield* help.leave
        yield* say(`job ${claimed.value.job}: claimed`)
        yield* start(claimed.value)
      } else yield* help.begin(runs)
    }
    yield* Effect.forEach(yield* Claims.forgotten(sql, workflows, Held.FORGOTTEN), start)
  })
  // Effect's engine dies of a database that is away.
  return yield* round.pipe(Effect.sandbox, Effect.ignore, Effect.andThen(Effect.sleep("500 millis")), Effect.forever)
})

/**
 * Takes jobs of these kinds from the store, while the layer lives. Its end saves the present stage and gives the job back.
 */
export const layer = <P, R>(
  runs: ReadonlyArray<Stages.Run<P, R>>,
  options: Options
): Layer.Layer<never, never, JobStore | R> =>
  Layer.unwrap(Effect.gen(function*() {
    const { kind, sql } = yield* JobStore
    const made = yield* make(options)
    const sqlLayer = Layer.succeed(SqlClient.SqlClient, sql)
    const { host = os.hostname(), port } = options
    // The worker of a folder has no others that reach it.
    const address = kind === "folder"
      ? Option.none()
      : Option.some(RunnerAddress.make(host, port ?? (yield* freePort(host))))
    const cluster = Layer.provide(clusterOf(options, address), sqlLayer)
    const [first, ...rest] = runs.map((run) => run.layer)
    const known = first === undefined ? Layer.empty : Layer.mergeAll(first, ...rest)
    const leaving = Effect.gen(function*() {
      yield* Deferred.succeed(made.stopping, undefined)
      yield* made.help.leave
      const claimed = yield* made.held.claimed
      if (claimed !== undefined) {
        yield* Effect.ignore(Claims.giveBack(sql, claimed, { lost: false, isNew: true }))
        yield* made.held.release(claimed)
      }
      // Its workflow ends after its stage.
      yield* Effect.repeat(made.held.isFree, { until: (free) => free, schedule: Schedule.spaced("50 millis") })
    })
    const dispatcher = Layer.effectDiscard(Effect.gen(function*() {
      yield* Effect.addFinalizer(() => leaving)
      yield* Effect.forkScoped(dispatch(runs, options, made))
      if (Option.isSome(address)) {
        yield* Effect.forkScoped(Presence.keep(sql, `${address.value.host}:${address.value.port}`))
      }
    }))
    return dispatcher.pipe(
      Layer.provideMerge(Layer.provide(known, Layer.succeed(Stages.Keeper, made.keeper))),
      Layer.provide(cluster)
    )
  }))
