/**
 * The thread that owns MPI. It begins and ends it, makes the collective calls of the main thread without blocking, and keeps the
 * pulse of the ranks, also while the main thread is at work.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Result from "effect/Result"
import { writeSync } from "node:fs"
import { parentPort, workerData } from "node:worker_threads"
import * as Mpi from "./Mpi.ts"
import * as Pulse from "./Pulse.ts"

/** Options of the thread. */
export interface Options {
  /** Files and names of libraries, in the order in which they are tried. */
  readonly libraries: ReadonlyArray<string>
  /** A rank that says nothing for so long is lost, in milliseconds. */
  readonly limit: number
}

/** The exit code of a process whose job has lost a rank. */
const LOST = 75

/** A call of all ranks. */
export type Operation = "sum" | "broadcast" | "barrier"

/** Messages to the thread. */
export type Ask =
  | { readonly id: number; readonly operation: Operation; readonly memory: SharedArrayBuffer }
  | { readonly state: Pulse.State; readonly code: number }
  | { readonly told: true }

/** The library and the ranks that it finds. `group` is the communicator of the engine's sums, and `keys` that of its keys and values. */
export interface Found {
  readonly library: string
  readonly version: string
  readonly group: Mpi.Handle
  readonly keys: Mpi.Handle
  readonly rank: number
  readonly size: number
}

/** Messages of the thread. */
export type Answer =
  | { readonly found: Found }
  | { readonly failure: string }
  | { readonly id: number; readonly failed?: string }
  | { readonly stop: true }
  | { readonly verdict: Pulse.Beat }
  | { readonly over: true }

const port = parentPort!
const say = (answer: Answer): void => port.postMessage(answer)
const { libraries, limit } = workerData as Options

/** The times between two looks at what is under way. */
const REST = "40 millis"
const HURRY = "1 millis"

/** The times that the main thread has to tell why the process ends, and that a rank that failed has to tell why. */
const LAST_WORDS = "1500 millis"
const LAST_BEATS = "500 millis"

const STATES: ReadonlyArray<Pulse.State> = ["working", "stopping", "finished", "failed", "lost"]

const told = (cause: unknown): string => cause instanceof Error ? cause.message : String(cause)

/** Loads the first library that loads. */
const load = Effect.suspend(() => {
  const tried = libraries.map((library) => {
    const mpi = Result.try({ try: () => Mpi.load(library), catch: (cause) => `${library}: ${told(cause)}` })
    return Result.map(mpi, (one) => ({ library, mpi: one }))
  })
  const found = tried.find(Result.isSuccess)
  const failures = tried.flatMap((one) => Result.isFailure(one) ? [one.failure] : [])
  return found === undefined ? Effect.fail(failures.join("; ")) : Effect.succeed(found.success)
})

const linkOf = (mpi: Mpi.Mpi, group: Mpi.Handle): Pulse.Link => ({
  send: ({ code, rank, state }, to) => {
    const pending = mpi.beginSend(Int32Array.of(STATES.indexOf(state), rank, code), to, group)
    return () => mpi.isDone(pending)
  },
  receive: (from) => {
    const memory = new Int32Array(3)
    const pending = mpi.beginReceive(memory, from, group)
    return () => {
      if (!mpi.isDone(pending)) return undefined
      const [state = 0, rank = 0, code = 0] = memory
      return { state: STATES[state]!, rank, code }
    }
  }
})

const begin = (mpi: Mpi.Mpi, group: Mpi.Handle, operation: Operation, memory: SharedArrayBuffer): Mpi.Pending => {
  if (operation === "sum") return mpi.beginSum(new Float32Array(memory), group)
  return operation === "broadcast" ? mpi.beginBroadcast(new Uint8Array(memory), group) : mpi.beginBarrier(group)
}

/** Ends the process a while after it is known which rank is missing. Meanwhile rank 0 tells the others. */
const end = Effect.fnUntraced(function*(verdict: Pulse.Beat, rank: number, heard: Latch.Latch) {
  const { code, rank: whose, state } = verdict
  say({ verdict })
  // The main thread may be busy for long.
  const silent = yield* Effect.isFailure(Effect.timeout(heard.await, LAST_WORDS))
  const text = `rank ${whose} ${state === "failed" ? "has failed" : "is lost"}, so rank ${rank} ends\n`
  if (silent) yield* Effect.sync(() => writeSync(2, text))
  yield* Effect.sleep(LAST_BEATS)
  Mpi.exit(state === "failed" ? code : LOST)
})

const program = Effect.gen(function*() {
  const { library, mpi } = yield* load
  const attempt = <A>(use: () => A) => Effect.try({ try: use, catch: told })
  const { beats, calls, group, keys, rank, size } = yield* attempt(() => {
    mpi.init()
    const group = () => mpi.duplicate(mpi.world)
    return {
      calls: group(),
      beats: group(),
      group: group(),
      keys: group(),
      rank: mpi.rank(mpi.world),
      size: mpi.size(mpi.world)
    }
  })
  const wake = yield* Latch.make()
  const heard = yield* Latch.make()
  const pulse = Pulse.make({
    rank,
    size,
    limit,
    link: linkOf(mpi, beats),
    begun: yield* Clock.currentTimeMillis,
    onStop: () => say({ stop: true })
  })
  const waiting: Array<Extract<Ask, { readonly operation: Operation }>> = []
  const under: Array<{ readonly id: number; readonly pending: Mpi.Pending }> = []
  let isFinished = false
  port.on("message", (ask: Ask) => {
    if ("told" in ask) return heard.openUnsafe()
    if ("state" in ask) {
      isFinished = ask.state === "finished"
      pulse.become(ask.state, ask.code)
    } else waiting.push(ask)
    wake.openUnsafe()
  })
  say({ found: { library, version: mpi.version, group, keys, rank, size } })

  let ending = false
  for (;;) {
    wake.closeUnsafe()
    for (const { id, memory, operation } of waiting.splice(0)) {
      const begun = yield* Effect.result(attempt(() => begin(mpi, calls, operation, memory)))
      if (Result.isSuccess(begun)) under.push({ id, pending: begun.success })
      else say({ id, failed: begun.failure })
    }
    for (const call of under.splice(0)) {
      const done = yield* Effect.result(attempt(() => mpi.isDone(call.pending)))
      if (Result.isFailure(done)) say({ id: call.id, failed: done.failure })
      else if (done.success) say({ id: call.id })
      else under.push(call)
    }
    pulse.tick(yield* Clock.currentTimeMillis)
    const verdict = pulse.verdict()
    if (verdict !== undefined && !ending) {
      ending = true
      yield* Effect.forkDetach(end(verdict, rank, heard))
    }
    if (verdict === undefined && pulse.isOver()) {
      if (isFinished) yield* attempt(() => mpi.finalize())
      return say({ over: true })
    }
    yield* Effect.raceFirst(Effect.sleep(under.length > 0 ? HURRY : REST), wake.await)
  }
})

Effect.runFork(Effect.catch(program, (failure) => Effect.sync(() => say({ failure }))))
