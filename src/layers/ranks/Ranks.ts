/**
 * The ranks of a job: processes that train together, each on its share of every batch, on one machine or on many. Rank 0 writes the
 * run. Without a layer there is one rank, which this process is.
 *
 * All ranks make the same calls in the same order. A rank that fails, dies or hangs ends all others.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Effect } from "effect"
 * import { Ranks } from "patchword/layers"
 *
 * const program = Effect.gen(function*() {
 *   const { allReduce, rank, size } = yield* Ranks.Ranks
 *   const values = Float32Array.of(1, 2)
 *   yield* allReduce(values)
 *   return { rank, size, values }
 * })
 * const found = await Effect.runPromise(program.pipe(Effect.provide(Ranks.layerSingle)))
 * assert.deepStrictEqual(found, { rank: 0, size: 1, values: Float32Array.of(1, 2) })
 * ```
 */
import { Cause, Console, Duration, Effect, Exit, Fiber, Layer, Runtime, Semaphore } from "effect"
import * as Json from "../../domain/values/Json.ts"
import * as WorkerThread from "../machine/WorkerThread.ts"
import * as MpiLibrary from "./MpiLibrary.ts"
import type { Beat } from "./Pulse.ts"
import {
  MpiUnavailable,
  OtherLauncher,
  OtherRank,
  RankFailed,
  RankLost,
  RanksError,
  RanksMissing
} from "./RanksError.ts"
import { Ranks } from "./RanksService.ts"
import type { Answer, Ask, Found, Operation, Options } from "./RanksWorker.ts"

export {
  MpiUnavailable,
  OtherLauncher,
  OtherRank,
  RankFailed,
  RankLost,
  RanksError,
  RanksMissing
} from "./RanksError.ts"

export { layerSingle, Ranks } from "./RanksService.ts"

/** Bytes that are sent at once. */
const PART = 2 ** 26

/** Sends a text of rank 0 to all ranks. */
export const broadcastText = Effect.fnUntraced(function*(ranks: Ranks, text: string) {
  const { broadcast, rank } = ranks
  const own = new TextEncoder().encode(text)
  const length = new Uint8Array(Uint32Array.of(own.length).buffer)
  yield* broadcast(length)
  const bytes = rank === 0 ? own : new Uint8Array(new Uint32Array(length.buffer)[0]!)
  yield* broadcast(bytes)
  return new TextDecoder().decode(bytes)
})

/**
 * Checks that all ranks have the same facts, and waits for all. On a rank with other ones it fails with `OtherRank`, which names the
 * differences. That ends all others.
 */
export const agree = Effect.fnUntraced(function*(what: string, facts: Json.Json): Effect.fn.Return<void, RanksError> {
  const ranks = yield* Ranks
  if (ranks.size === 1) return
  const first: Json.Json = JSON.parse(yield* broadcastText(ranks, Json.canonical(facts)))
  const differences = Json.differences(first, facts)
  if (differences.length > 0) {
    return yield* new RanksError({ reason: new OtherRank({ rank: ranks.rank, what, differences }) })
  }
  yield* ranks.barrier
})

/** Options of `layerMpi`. */
export interface MpiOptions {
  /**
   * The file of a library of MPI, or its name in the system's search. By default these are tried in order: that of `patchword setup
   * mpi`, and those of MPICH and Open MPI in the system's search.
   */
  readonly library?: string
  /** The program that started the ranks. It decides which library is tried first. */
  readonly launcher?: MpiLibrary.Launcher
  /** The number of ranks that were started. A library that finds another number is refused. */
  readonly started?: number
  /** The number of ranks that were started on this machine; all of them when absent. */
  readonly local?: number
  /** A rank that says nothing for so long is lost; default 8 seconds. */
  readonly limit?: Duration.Input
  /** The time in which all ranks have to meet; default 1 minute. */
  readonly meeting?: Duration.Input
  /** Asks rank 0 to stop when it is aborted. */
  readonly stop?: AbortSignal
  /** Is called on rank 0 when another rank asks to stop. */
  readonly onStop?: () => void
  /** Is called before the process ends, because another rank has failed, is lost or never came. By default it writes to standard error. */
  readonly onLost?: (error: RanksError) => void
}

const LIMIT: Duration.Input = "8 seconds"
const MEETING: Duration.Input = "1 minute"

/** The exit code of a process that was interrupted. */
const INTERRUPTED = 130

/** The time that a rank that failed has to tell the others. */
const PATIENCE: Duration.Input = "1 second"

const codeOf = (exit: Exit.Exit<unknown, unknown>): number =>
  Exit.isSuccess(exit)
    ? 0
    : Cause.hasInterruptsOnly(exit.cause)
    ? INTERRUPTED
    : Runtime.getErrorExitCode(Cause.squash(exit.cause))

const errorOf = ({ code, rank, state }: Beat, limit: Duration.Duration): RanksError =>
  new RanksError({
    reason: state === "failed"
      ? new RankFailed({ rank, code })
      : new RankLost({ rank, seconds: Duration.toSeconds(limit) })
  })

const start = Effect.fnUntraced(function*(options: MpiOptions) {
  const { launcher = "mpich", onStop, started, stop } = options
  const { error: show } = yield* Console.Console
  const { onLost = ({ message }) => show(message) } = options
  const limit = Duration.fromInputUnsafe(options.limit ?? LIMIT)
  const libraries = options.library === undefined ? yield* MpiLibrary.candidates(launcher) : [options.library]
  const settings: Options = { libraries, limit: Duration.toMillis(limit) }
  const waiting = new Map<number, (failed: string | undefined) => void>()
  let calls = 0
  let isFirst = true
  let over = () => {}
  let refuse: (detail: string) => void = () => {}
  let accept: (one: Found) => void = () => {}

  const worker = WorkerThread.start(WorkerThread.file("RanksWorker", import.meta.url), settings)
  const ask = (message: Ask) => worker.postMessage(message)
  const fail = (detail: string) => {
    refuse(detail)
    for (const settle of waiting.values()) settle(detail)
    waiting.clear()
  }
  worker.on("error", (error) => fail(error.message))
  worker.on("exit", () => fail("its thread has ended"))
  worker.on("message", (answer: Answer) => {
    if ("found" in answer) {
      isFirst = answer.found.rank === 0
      return accept(answer.found)
    }
    if ("failure" in answer) return refuse(answer.failure)
    if ("stop" in answer) return onStop?.()
    if ("over" in answer) return over()
    if ("verdict" in answer) {
      const { verdict } = answer
      // Rank 0 speaks for all.
      if (isFirst || (verdict.state === "lost" && verdict.rank === 0)) onLost(errorOf(verdict, limit))
      return ask({ told: true })
    }
    const settle = waiting.get(answer.id)
    waiting.delete(answer.id)
    settle?.(answer.failed)
  })

  const become = (state: "finished" | "failed", code: number) => {
    const ended = Effect.callback<void>((resume) => {
      over = () => resume(Effect.void)
      ask({ state, code })
    })
    // All others may be dead. Those that have finished are waited for, since they may be slower.
    return state === "finished" ? ended : Effect.ignore(Effect.timeout(ended, PATIENCE))
  }

  // MPI waits for the others for ever, and its thread cannot be ended meanwhile.
  const { exit } = yield* Effect.promise(() => import("./Mpi.ts"))
  const meeting = Duration.fromInputUnsafe(options.meeting ?? MEETING)
  let hasMet = false
  stop?.addEventListener("abort", () => hasMet ? ask({ state: "stopping", code: 0 }) : exit(INTERRUPTED))
  const late = yield* Effect.forkScoped(Effect.gen(function*() {
    yield* Effect.sleep(meeting)
    const reason = new RanksMissing({ seconds: Duration.toSeconds(meeting) })
    onLost(new RanksError({ reason }))
    exit(reason[Runtime.errorExitCode])
  }))

  const unavailable = (detail: string) => new RanksError({ reason: new MpiUnavailable({ detail }) })
  const found = yield* Effect.acquireRelease(
    Effect.callback<Found, RanksError>((resume) => {
      accept = (one) => resume(Effect.succeed(one))
      refuse = (detail) => resume(Effect.fail(unavailable(detail)))
    }),
    (_, exit) =>
      Effect.gen(function*() {
        yield* become(Exit.isSuccess(exit) ? "finished" : "failed", codeOf(exit))
        yield* Effect.promise(() => worker.terminate())
      })
  )
  hasMet = true
  yield* Fiber.interrupt(late)
  if (started !== undefined && found.size !== started) {
    const { library, size, version } = found
    return yield* new RanksError({
      reason: new OtherLauncher({ library: `${version} (${library})`, started, found: size })
    })
  }
  const call = (operation: Operation, memory: SharedArrayBuffer) =>
    Effect.callback<void, RanksError>((resume) => {
      const id = calls++
      waiting.set(id, (failed) => resume(failed === undefined ? Effect.void : Effect.fail(unavailable(failed))))
      ask({ id, operation, memory })
    })
  // MPI pairs the calls of ranks by their order.
  const turn = (yield* Semaphore.make(1)).withPermit
  const inParts = Effect.fnUntraced(function*(operation: Operation, bytes: Uint8Array) {
    const memory = new SharedArrayBuffer(Math.min(bytes.length, PART))
    for (let at = 0; at < bytes.length; at += PART) {
      const part = bytes.subarray(at, at + PART)
      const shared = part.length === memory.byteLength ? memory : new SharedArrayBuffer(part.length)
      const view = new Uint8Array(shared)
      view.set(part)
      yield* call(operation, shared)
      part.set(view)
    }
  }, turn)
  const { group, keys, library, rank, size } = found
  const ranks: Ranks = {
    rank,
    size,
    local: options.local ?? size,
    allReduce: ({ buffer, byteLength, byteOffset }) => inParts("sum", new Uint8Array(buffer, byteOffset, byteLength)),
    broadcast: (bytes) => inParts("broadcast", bytes),
    barrier: turn(call("barrier", new SharedArrayBuffer(0))),
    ...(size > 1 && { collectives: { kind: "mpi", library, group, keys, rank, size } })
  }
  return ranks
})

/**
 * The ranks that `mpiexec`, `mpirun` or `srun` has started. A thread of its own calls MPI, so the main thread never waits.
 *
 * The process ends at once if another rank fails, dies or hangs: MPI cannot go on without it. So the layer is for programs of one
 * job. Fails with `MpiUnavailable` and `OtherLauncher`. A process whose ranks do not meet ends with `RanksMissing`.
 */
export const layerMpi = (options: MpiOptions = {}): Layer.Layer<never, RanksError> =>
  Layer.effect(Ranks, start(options))
