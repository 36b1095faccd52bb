/** Steps in a worker thread: what every engine does that runs its programs there. */
import { Effect, Semaphore } from "effect"
import { Worker } from "node:worker_threads"
import type { Adamw, Update } from "../../compiler/Trace.ts"
import type * as HostTensor from "../../shapes/HostTensor.ts"
import type { HostOf, Inference, TrainStep } from "../../shapes/Step.ts"
import * as Tree from "../../shapes/Tree.ts"
import type { Engine } from "../Engine.ts"
import * as Check from "./check.ts"
import { Disposed, EngineError, type Reason, Torn, WorkerLost } from "./EngineError.ts"
import * as Protocol from "./protocol.ts"
import type { Arrays, Calls, Name, Response } from "./protocol.ts"

/** The program of a worker, in TypeScript from the sources and in JavaScript from a build. */
export const file = (name: string): URL =>
  new URL(`./${name}${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`, import.meta.url)

/** Asks a worker. */
export type Call = <N extends Name>(
  program: string,
  name: N,
  ask: Calls[N]["ask"],
  buffers?: ReadonlyArray<ArrayBuffer>
) => Effect.Effect<Calls[N]["answer"], EngineError>

/** A worker that lives as long as the scope. */
export const start = Effect.fnUntraced(function*(program: URL, options: object) {
  const waiting = new Map<number, (response: Response | WorkerLost) => void>()
  let lost: WorkerLost | undefined
  let calls = 0
  const worker = yield* Effect.acquireRelease(
    Effect.sync(() =>
      new Worker(program, { workerData: options, execArgv: ["--disable-warning=ExperimentalWarning"] })
    ),
    (running) => {
      // Whoever closes the layer waits for its end.
      running.ref()
      return Effect.promise(() => running.terminate())
    }
  )
  const end = (detail: string) => {
    lost ??= new WorkerLost({ detail })
    for (const settle of waiting.values()) settle(lost)
    waiting.clear()
  }
  worker.on("error", (error) => end(error.message))
  worker.on("exit", (code) => end(`exit code ${code}`))
  worker.on("message", (response: Response) => {
    const settle = waiting.get(response.id)
    waiting.delete(response.id)
    // The worker must not keep a process alive that has nothing else to do. Before settling: that may call again.
    if (waiting.size === 0) worker.unref()
    settle?.(response)
  })

  const call: Call = (program, name, ask, buffers = []) =>
    Effect.callback((resume) => {
      const fail = (reason: Reason) => resume(Effect.fail(new EngineError({ program, reason })))
      if (lost !== undefined) return fail(lost)
      const id = calls++
      waiting.set(id, (response) => {
        if (response instanceof WorkerLost) return fail(response)
        if ("failure" in response) return fail(Check.reasonOf(response.failure))
        resume(Effect.succeed(response.answer as Calls[typeof name]["answer"]))
      })
      worker.ref()
      worker.postMessage({ id, name, ask }, buffers)
    })
  return call
})

/** A step as a worker takes it. */
export interface Program {
  readonly bytes: Uint8Array
  /** The record of metrics or of outputs, with a specification for every leaf. */
  readonly result: object
  readonly updates: ReadonlyArray<Update>
  readonly adamw: ReadonlyArray<Adamw>
}

/** How steps become programs, and what the engine is called. */
export interface Kind {
  readonly name: string
  readonly trainStep: <S, B, M>(step: TrainStep<S, B, M>) => Program
  readonly inference: <W, B, O>(inference: Inference<W, B, O>) => Program
  /** What a failure to open a program means. */
  readonly opening?: (error: EngineError) => EngineError
}

type Entries = ReadonlyArray<readonly [name: string, array: HostTensor.Any]>

const under = (group: string, arrays: ReadonlyMap<string, HostTensor.Any>): Entries =>
  Array.from(arrays, ([path, array]) => [`${group}.${path}`, array])

const record = <T>(group: string, spec: object, arrays: Arrays): T =>
  Tree.map<T>(spec, (_, path) => arrays[`${group}.${path}`])

/** An engine whose programs run where `call` leads. */
export const engine = (
  call: Call,
  { inference: compileInference, name, opening = (error) => error, trainStep }: Kind
): Engine["Service"] => {
  const open = Effect.fnUntraced(function*(
    program: string,
    { adamw, bytes: model, updates }: Omit<Program, "result">,
    held: Entries
  ) {
    let closed = false
    const kept = Protocol.packed(held)
    const { handle, inputs, outputs } = yield* Effect.acquireRelease(
      call(program, "open", { model, held: kept.arrays, updates, adamw }, kept.buffers).pipe(Effect.mapError(opening)),
      (opened) => {
        closed = true
        // A worker that is gone holds nothing any more.
        return Effect.ignore(call(program, "close", { handle: opened.handle }))
      }
    )
    const whileOpen = <A>(use: () => Effect.Effect<A, EngineError>): Effect.Effect<A, EngineError> =>
      Effect.suspend(() => (closed ? Effect.fail(new EngineError({ program, reason: new Disposed({}) })) : use()))
    return {
      inputs,
      outputs,
      run: (given: Entries) =>
        whileOpen(() => {
          const { arrays, buffers } = Protocol.packed(given)
          return call(program, "run", { handle, inputs: arrays }, buffers)
        }),
      read: whileOpen(() => call(program, "read", { handle }))
    }
  })

  return {
    name,
    train: Effect.fnUntraced(function*<S, B, M>(step: TrainStep<S, B, M>, initial: HostOf<S>) {
      const held = yield* Check.arrays(step.name, "state", step.state as object, initial as object)
      const program = yield* Check.attempt(step.name, () => trainStep(step))
      const { read, run } = yield* open(step.name, program, under("state", held))
      const lock = yield* Semaphore.make(1)
      const inPlace = program.updates.some((update) => update.inPlace)
      let steps = 0
      let torn: Torn | undefined
      const whole = Effect.suspend(() =>
        torn === undefined ? Effect.void : Effect.fail(new EngineError({ program: step.name, reason: torn }))
      )
      const tear = ({ reason }: EngineError) =>
        Effect.sync(() => {
          const ran = !(reason instanceof Disposed || reason instanceof WorkerLost)
          if (inPlace && ran) torn = new Torn({ step: steps + 1, detail: reason.message })
        })
      return {
        run: Effect.fnUntraced(function*(batch: HostOf<B>) {
          const given = yield* Check.arrays(step.name, "batch", step.batch as object, batch as object)
          const taken = Effect.gen(function*() {
            yield* whole
            const outputs = yield* Effect.tapError(run(under("batch", given)), tear)
            steps++
            return yield* Check.finite(step.name, steps, record<HostOf<M>>("metrics", program.result, outputs))
          })
          return yield* lock.withPermit(Effect.uninterruptible(taken))
        }),
        state: Effect.gen(function*() {
          yield* whole
          return record<HostOf<S>>("state", step.state as object, yield* read)
        })
      }
    }),
    infer: Effect.fnUntraced(function*<W, B, O>(inference: Inference<W, B, O>, weights: HostOf<W>) {
      const held = yield* Check.arrays(inference.name, "weights", inference.weights as object, weights as object)
      const program = yield* Check.attempt(inference.name, () => compileInference(inference))
      const { run } = yield* open(inference.name, program, under("weights", held))
      return {
        run: Effect.fnUntraced(function*(batch: HostOf<B>) {
          const given = yield* Check.arrays(inference.name, "batch", inference.batch as object, batch as object)
          return record<HostOf<O>>("output", program.result, yield* run(under("batch", given)))
        })
      }
    }),
    load: Effect.fnUntraced(function*(name, model) {
      const { inputs, outputs, run } = yield* open(name, { bytes: model, updates: [], adamw: [] }, [])
      return {
        inputs,
        outputs,
        run: Effect.fnUntraced(function*(given: Readonly<Record<string, HostTensor.Any>>) {
          const checked = yield* Effect.forEach(inputs, ({ dtype, name: input, shape }) =>
            Effect.map(
              Check.array(name, input, { shape, dtype: dtype === "int64" ? "int32" : dtype }, given[input]),
              (one) => [input, one] as const
            ))
          return yield* run(checked)
        })
      }
    }),
    memory: call("memory", "memory", undefined)
  }
}
