/** Compiled programs in a worker thread. */
import { Deferred, Effect, Ref, Semaphore } from "effect"
import { availableParallelism } from "node:os"
import { Worker } from "node:worker_threads"
import * as Trace from "../../compiler/Trace.ts"
import type * as HostTensor from "../../shapes/HostTensor.ts"
import type { HostOf, Inference, TrainStep } from "../../shapes/Step.ts"
import * as Tree from "../../shapes/Tree.ts"
import { Disposed, Engine, EngineError, type OnnxOptions, ProviderUnavailable, WorkerLost } from "../Engine.ts"
import * as Check from "./check.ts"
import type { Arrays, Calls, Name, Options, Response, Update } from "./protocol.ts"

/** The worker beside this file, in TypeScript from the sources and in JavaScript from a build. */
const workerFile = new URL(import.meta.url.endsWith(".ts") ? "./worker.ts" : "./worker.js", import.meta.url)

type Call = <N extends Name>(program: string, name: N, ask: Calls[N]["ask"]) => Effect.Effect<Calls[N]["answer"], EngineError>

const startWorker = Effect.fnUntraced(function*(options: Options) {
  const waiting = new Map<number, (response: Response | Error) => void>()
  const lost = yield* Ref.make<Error | undefined>(undefined)
  const worker = yield* Effect.acquireRelease(
    Effect.sync(() => new Worker(workerFile, { workerData: options, execArgv: ["--disable-warning=ExperimentalWarning"] })),
    (running) => Effect.promise(() => running.terminate())
  )
  const context = yield* Effect.context<never>()
  const end = (error: Error) => {
    Effect.runSyncWith(context)(Ref.set(lost, error))
    for (const settle of waiting.values()) settle(error)
    waiting.clear()
  }
  worker.on("message", (response: Response) => {
    waiting.get(response.id)?.(response)
    waiting.delete(response.id)
  })
  worker.on("error", end)
  worker.on("exit", (code) => end(new Error(`exit code ${code}`)))
  // The layer's scope ends the worker; it must not keep a program alive that has nothing else to do.
  worker.unref()

  let calls = 0
  const call: Call = (program, name, ask) =>
    Effect.callback((resume) => {
      const fail = (reason: EngineError["reason"]) => resume(Effect.fail(new EngineError({ program, reason })))
      const gone = Effect.runSyncWith(context)(Ref.get(lost))
      if (gone !== undefined) return fail(new WorkerLost({ detail: gone.message }))
      const id = calls++
      worker.ref()
      waiting.set(id, (response) => {
        if (waiting.size <= 1) worker.unref()
        if (response instanceof Error) return fail(new WorkerLost({ detail: response.message }))
        if ("failure" in response) return fail(Check.reasonOf(response.failure))
        resume(Effect.succeed(response.answer as Calls[typeof name]["answer"]))
      })
      worker.postMessage({ id, name, ask })
    })
  return call
})

const prefixed = (group: string, arrays: ReadonlyMap<string, HostTensor.Any>): Arrays =>
  Object.fromEntries(Array.from(arrays, ([path, array]) => [`${group}.${path}`, array]))

const unprefixed = <T>(group: string, spec: object, arrays: Arrays): T =>
  Tree.map<T>(spec, (_, path) => arrays[`${group}.${path}`])

/** The record that a program's outputs make: their paths say where each belongs. */
const nested = <T>(group: string, arrays: Arrays): T => {
  const record: Record<string, unknown> = {}
  for (const [name, array] of Object.entries(arrays)) {
    if (!name.startsWith(`${group}.`)) continue
    const keys = name.slice(group.length + 1).split(".")
    const parent = keys.slice(0, -1).reduce<Record<string, unknown>>(
      (node, key) => (node[key] ??= {}) as Record<string, unknown>,
      record
    )
    parent[keys.at(-1)!] = array
  }
  return record as T
}

export const make = Effect.fnUntraced(function*({ provider = "cpu", threads = availableParallelism() }: OnnxOptions) {
  const call = yield* startWorker({ provider, threads })

  const open = Effect.fnUntraced(function*(
    program: string,
    model: Uint8Array,
    held: Arrays,
    updates: ReadonlyArray<Update>
  ) {
    const closed = yield* Deferred.make<void>()
    const { handle, inputs, outputs } = yield* Effect.acquireRelease(
      call(program, "open", { model, held, updates }).pipe(
        Effect.mapError((error) =>
          provider !== "cpu" && error.reason._tag === "Failed"
            ? new EngineError({ program, reason: new ProviderUnavailable({ provider, detail: error.reason.detail }) })
            : error
        )
      ),
      (opened) =>
        Effect.andThen(
          Deferred.succeed(closed, undefined),
          // A worker that is gone holds nothing any more.
          Effect.ignore(call(program, "close", { handle: opened.handle }))
        )
    )
    const whileOpen = <A>(use: Effect.Effect<A, EngineError>): Effect.Effect<A, EngineError> =>
      Effect.flatMap(
        Deferred.isDone(closed),
        (done) => (done ? Effect.fail(new EngineError({ program, reason: new Disposed({}) })) : use)
      )
    return {
      inputs,
      outputs,
      run: (given: Arrays) => whileOpen(call(program, "run", { handle, inputs: given })),
      read: whileOpen(call(program, "read", { handle }))
    }
  })

  const compile = <A>(program: string, trace: () => A): Effect.Effect<A, EngineError> =>
    Effect.try({ try: trace, catch: (cause) => new EngineError({ program, reason: Check.reasonOf(cause) }) })

  return Engine.of({
    name: `onnx ${provider}, ${threads} ${threads === 1 ? "thread" : "threads"}`,
    train: Effect.fnUntraced(function*<S, B, M>(step: TrainStep<S, B, M>, initial: HostOf<S>) {
      const held = yield* Check.arrays(step.name, "state", step.state as object, initial as object)
      const program = yield* compile(step.name, () => Trace.trainStep(step))
      // Updates are made in place, in arrays of the handle's own.
      const copies = new Map(Array.from(held, ([path, array]) => [path, { ...array, data: array.data.slice() }]))
      const opened = yield* open(step.name, program.bytes, prefixed("state", copies), program.updates)
      const lock = yield* Semaphore.make(1)
      let steps = 0
      return {
        run: (batch: HostOf<B>) =>
          Check.arrays(step.name, "batch", step.batch as object, batch as object).pipe(
            Effect.flatMap((given) => opened.run(prefixed("batch", given))),
            Effect.tap(() => Effect.sync(() => steps++)),
            Effect.flatMap((outputs) => Check.finite(step.name, steps, nested<HostOf<M>>("metrics", outputs))),
            lock.withPermit,
            Effect.uninterruptible
          ),
        state: Effect.map(opened.read, (arrays) => unprefixed<HostOf<S>>("state", step.state as object, arrays))
      }
    }),
    infer: Effect.fnUntraced(function*<W, B, O>(inference: Inference<W, B, O>, weights: HostOf<W>) {
      const held = yield* Check.arrays(inference.name, "weights", inference.weights as object, weights as object)
      const program = yield* compile(inference.name, () => Trace.inference(inference))
      const opened = yield* open(inference.name, program.bytes, prefixed("weights", held), [])
      return {
        run: (batch: HostOf<B>) =>
          Check.arrays(inference.name, "batch", inference.batch as object, batch as object).pipe(
            Effect.flatMap((given) => opened.run(prefixed("batch", given))),
            Effect.map((outputs) => nested<HostOf<O>>("output", outputs))
          )
      }
    }),
    load: Effect.fnUntraced(function*(name, model) {
      const { inputs, outputs, run } = yield* open(name, model, {}, [])
      return { inputs, outputs, run }
    }),
    memory: call("memory", "memory", undefined)
  })
})
