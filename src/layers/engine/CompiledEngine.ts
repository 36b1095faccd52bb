/** An engine that compiles steps to programs and sends them to a runtime as messages. */
import { Effect, Semaphore } from "effect"
import * as InParts from "../../compiler/graph/InParts.ts"
import * as ExternalData from "../../compiler/onnx/ExternalData.ts"
import type { Program, StateUpdate } from "../../compiler/programs/Program.ts"
import type * as Sums from "../../compiler/trace/Sums.ts"
import type * as HostTensor from "../../shapes/HostTensor.ts"
import type { HostOf, Inference, TrainStep } from "../../shapes/Step.ts"
import * as Tree from "../../shapes/Tree.ts"
import * as Pauses from "../machine/Pauses.ts"
import * as Check from "./Check.ts"
import {
  Disposed,
  EngineError,
  ExternalDataMissing,
  NotTaken,
  StateCorrupted,
  type UnevenBatch,
  WorkerLost
} from "./EngineError.ts"
import type { About, Engine } from "./EngineService.ts"
import * as Protocol from "./Protocol.ts"
import type { Arrays, Calls, ModelFile, Name } from "./Protocol.ts"

/** Sends a call to the runtime and returns its answer. */
export type Call = <N extends Name>(
  program: string,
  name: N,
  ask: Calls[N]["ask"],
  buffers?: ReadonlyArray<ArrayBuffer>
) => Effect.Effect<Calls[N]["answer"], EngineError>

/** Opens a program in the runtime. */
export type Open = (
  program: string,
  ask: Calls["open"]["ask"],
  buffers: ReadonlyArray<ArrayBuffer>
) => Effect.Effect<Calls["open"]["answer"], EngineError>

/** Returns the same program with no update made in place. */
export const outOfPlace = <T extends { readonly updates: ReadonlyArray<StateUpdate> }>(
  program: InParts.InParts<T>
): InParts.InParts<T> =>
  InParts.map(program, (made) => ({
    ...made,
    updates: made.updates.map((update) => ({ ...update, inPlace: false }))
  }))

/** Computes with pauses, or fails with the reason why a part throws. `among` says who shares a batch. */
export const compiled = <A>(
  program: string,
  parts: InParts.InParts<A>,
  among?: UnevenBatch["among"]
): Effect.Effect<A, EngineError> => Pauses.during(parts, (part) => Check.attempt(program, part, among))

/** The name of an engine, its compilers of steps, and how it opens programs if more than a call is needed. */
export interface Kind {
  readonly name: string
  readonly about: About
  /** The number of devices that share the batch of a training step; default 1. */
  readonly devices?: number
  /** The place of this engine among the ranks that share the batch of a training step. Absent for one. */
  readonly place?: Sums.Place | undefined
  readonly trainStep: <S, B, M>(step: TrainStep<S, B, M>) => InParts.InParts<Program>
  readonly inference: <W, B, O>(inference: Inference<W, B, O>) => InParts.InParts<Program>
  readonly open?: Open
  /** The number of steps that the runtime takes in while one runs; default 0. */
  readonly ahead?: number
}

type Entries = ReadonlyArray<readonly [name: string, array: HostTensor.Any]>

const under = (group: string, arrays: ReadonlyMap<string, HostTensor.Any>): Entries =>
  Array.from(arrays, ([path, array]) => [`${group}.${path}`, array])

const record = <T>(group: string, spec: object, arrays: Arrays): T =>
  Tree.map<T>(spec, (_, path) => arrays[`${group}.${path}`])

/** Host types for the types of models made by other tools, where the two differ. */
const HOST: Readonly<Record<string, HostTensor.DType>> = { int64: "int32", float16: "float32", float64: "float32" }

// A runtime would search for missing files in the working folder of the process.
const together = Effect.fnUntraced(function*(program: string, model: Uint8Array, given: ReadonlyArray<ModelFile>) {
  const { files, inner } = yield* Check.attempt(program, () => ExternalData.of(model))
  const elsewhere = (places: ReadonlyArray<string>, problem: string) =>
    new EngineError({ program, reason: new ExternalDataMissing({ places, problem }) })
  if (inner.length > 0) return yield* elsewhere(inner, "for its nodes, functions or inner graphs")
  const absent = files.filter((place) => !given.some(({ path }) => path === place))
  if (absent.length > 0) return yield* elsewhere(absent, "which were not given with it")
})

/** Makes an engine whose programs run where `call` sends them. */
export const make = (
  call: Call,
  {
    about,
    ahead = 0,
    devices = 1,
    inference: compileInference,
    name,
    open: openProgram = (program, ask, buffers) => call(program, "open", ask, buffers),
    place,
    trainStep
  }: Kind
): Engine["Service"] => {
  const open = Effect.fnUntraced(function*(
    program: string,
    { adamw, bytes: model, cut, updates }: Omit<Program, "result">,
    held: Entries,
    files: ReadonlyArray<ModelFile> = []
  ) {
    let closed = false
    const copies = yield* Effect.forEach(held, (one) => Effect.map(Pauses.pause, () => Protocol.packed([one])))
    const kept = {
      arrays: Object.assign({}, ...copies.map(({ arrays }) => arrays)) as Arrays,
      buffers: copies.flatMap(({ buffers }) => buffers)
    }
    const { handle, inputs, outputs } = yield* Effect.acquireRelease(
      openProgram(program, { model, files, held: kept.arrays, updates, adamw, ...(cut && { cut }) }, kept.buffers),
      (opened) => {
        closed = true
        // A worker that has ended holds no memory.
        return Effect.ignore(call(program, "close", { handle: opened.handle }))
      }
    )
    const whileOpen = <A>(use: () => Effect.Effect<A, EngineError>): Effect.Effect<A, EngineError> =>
      Effect.suspend(() => (closed ? Effect.fail(new EngineError({ program, reason: new Disposed({}) })) : use()))
    return {
      inputs,
      outputs,
      run: (given: Entries, after?: number) =>
        whileOpen(() => {
          const { arrays, buffers } = Protocol.packed(given)
          return call(program, "run", { handle, inputs: arrays, ...(after !== undefined && { after }) }, buffers)
        }),
      read: whileOpen(() => call(program, "read", { handle }))
    }
  })

  return {
    name: `${name}, ${about.threads} ${about.threads === 1 ? "thread" : "threads"}`,
    about,
    train: Effect.fnUntraced(function*<S, B, M>(step: TrainStep<S, B, M>, initial: HostOf<S>, before = 0) {
      const held = yield* Check.arrays(step.name, "state", step.state as object, initial as object)
      const program = yield* compiled(step.name, trainStep(step), place && "ranks")
      const { read, run } = yield* open(step.name, program, under("state", held))
      // A handle keeps only these parts of its program, because model and graph are large.
      const { result, updates } = program
      const room = 1 + ahead
      const lock = yield* Semaphore.make(room)
      const inPlace = updates.some((update) => update.inPlace)
      let steps = before
      let running = 0
      let corrupted: StateCorrupted | undefined
      const intact = Effect.suspend(() =>
        corrupted === undefined ? Effect.void : Effect.fail(new EngineError({ program: step.name, reason: corrupted }))
      )
      const judged = ({ reason }: EngineError) => {
        const told = reason instanceof StateCorrupted
        const ran = !(reason instanceof Disposed || reason instanceof WorkerLost || reason instanceof NotTaken)
        // A runtime that says it itself does not know how many steps were before.
        const torn = new StateCorrupted({ step: steps + 1, detail: told ? reason.detail : reason.finding })
        if (told || (inPlace && ran)) corrupted = torn
        return Effect.fail(new EngineError({ program: step.name, reason: told ? torn : reason }))
      }
      return {
        ahead,
        run: Effect.fnUntraced(function*(batch: HostOf<B>, number?: number) {
          const given = place === undefined
            ? yield* Check.arrays(step.name, "batch", step.batch as object, batch as object)
            : yield* Check.share(step.name, step.batch as object, batch as object, place)
          if (devices > 1) yield* Check.shares(step.name, step.batch as object, given, devices)
          const taken = Effect.gen(function*() {
            yield* intact
            if (number !== undefined && number !== steps + running + 1) {
              return yield* new EngineError({ program: step.name, reason: new NotTaken() })
            }
            running++
            const after = number === undefined ? undefined : number - before - 1
            const ran = Effect.ensuring(run(under("batch", given), after), Effect.sync(() => running--))
            const outputs = yield* Effect.catch(ran, judged)
            const metrics = record<HostOf<M>>("metrics", result, outputs)
            yield* Effect.fromResult(Check.finite(step.name, steps + 1, metrics))
            steps++
            return metrics
          })
          return yield* lock.withPermit(Effect.uninterruptible(taken))
        }),
        // The lock prevents a step between reading the state and its number.
        snapshot: lock.withPermits(room)(Effect.gen(function*() {
          yield* intact
          const arrays = yield* Effect.catchIf(read, ({ reason }) => reason instanceof StateCorrupted, judged)
          return { steps, state: record<HostOf<S>>("state", step.state as object, arrays) }
        }))
      }
    }),
    infer: Effect.fnUntraced(function*<W, B, O>(inference: Inference<W, B, O>, weights: HostOf<W>) {
      const held = yield* Check.arrays(inference.name, "weights", inference.weights as object, weights as object)
      const program = yield* compiled(inference.name, compileInference(inference))
      const { run } = yield* open(inference.name, program, under("weights", held))
      const { result } = program
      return {
        run: Effect.fnUntraced(function*(batch: HostOf<B>) {
          const given = yield* Check.arrays(inference.name, "batch", inference.batch as object, batch as object)
          return record<HostOf<O>>("output", result, yield* run(under("batch", given)))
        })
      }
    }),
    load: Effect.fnUntraced(function*(name, model, files = []) {
      yield* together(name, model, files)
      const { inputs, outputs, run } = yield* open(name, { bytes: model, updates: [], adamw: [] }, [], files)
      return {
        inputs,
        outputs,
        run: Effect.fnUntraced(function*(given: Readonly<Record<string, HostTensor.Any>>) {
          const checked = yield* Effect.forEach(inputs, ({ dtype, name: input, shape }) =>
            Effect.map(
              Check.array(name, input, { shape, dtype: HOST[dtype] ?? dtype }, given[input]),
              (one) => [input, one] as const
            ))
          return yield* run(checked)
        })
      }
    }),
    memory: call("memory", "memory", undefined)
  }
}
