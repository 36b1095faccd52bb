/** Runs programs that are one TensorFlow graph, by the native addon of the tfjs-node packages. */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import koffi from "koffi"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { deserialize } from "node:v8"
import * as SavedModel from "../../compiler/tensorflow/SavedModel.ts"
import type { Port, TensorFlowGraph } from "../../compiler/tensorflow/TensorFlowGraph.ts"
import type { DType } from "../../shapes/HostTensor.ts"
import * as HostTensor from "../../shapes/HostTensor.ts"
import * as Check from "./Check.ts"
import { EngineError, StateCorrupted } from "./EngineError.ts"
import * as Protocol from "./Protocol.ts"
import type { Arrays, Handlers, Packed } from "./Protocol.ts"

/** The part of the addon that runs SavedModels. Tensors and sessions have numbers. All calls are synchronous. */
export interface Binding {
  readonly TF_FLOAT: number
  readonly TF_INT32: number
  readonly TF_BOOL: number
  /** Makes a tensor that shares the memory of `data`. */
  readonly createTensor: (shape: ReadonlyArray<number>, type: number, data: Packed["data"]) => number
  readonly deleteTensor: (tensor: number) => void
  /** Returns a copy of a tensor's elements. */
  readonly tensorDataSync: (tensor: number) => Packed["data"]
  readonly getNumOfTensors: () => number
  readonly loadSavedModel: (folder: string, tags: string) => number
  readonly deleteSavedModel: (session: number) => void
  /** Feeds tensors to the results that `inputs` names, and returns those that `outputs` names. Names are joined by commas. */
  readonly runSavedModel: (
    session: number,
    tensors: ReadonlyArray<number>,
    inputs: string,
    outputs: string
  ) => ReadonlyArray<{ readonly id: number; readonly shape: ReadonlyArray<number> }>
}

/** An open program with a state of its own. It copies the arrays of a batch. */
export interface Session {
  /** Sets the whole state, and frees the memory of its arrays. Fails with `BadInput` if an array does not fit. */
  readonly load: (state: Arrays) => Effect.Effect<void, EngineError>
  /**
   * Takes a step and returns its results. Fails with `BadInput` if an array does not fit, and with `StateCorrupted` if
   * TensorFlow failed while it wrote the next state. After any other error the state is the one before the step.
   */
  readonly step: (batch: Arrays) => Effect.Effect<Arrays, EngineError>
  /** Returns the whole state. */
  readonly read: Effect.Effect<Arrays, EngineError>
  /** Frees the graph and its state. */
  readonly close: Effect.Effect<void>
  /** Number of arrays in the state, and their size. */
  readonly tensors: number
  readonly bytes: number
}

const ALIGNMENT = 64

/** Returns a copy that begins `beyond` bytes after a multiple of 64. */
const placed = <A extends Packed["data"]>(
  data: A,
  beyond: number
): { readonly buffer: ArrayBuffer; readonly data: A } => {
  const buffer = new ArrayBuffer(data.byteLength + 2 * ALIGNMENT)
  const start = Number(koffi.address(new Uint8Array(buffer)) % BigInt(ALIGNMENT))
  const copy = new (data.constructor as new(of: ArrayBuffer, from: number, length: number) => A)(
    buffer,
    ALIGNMENT - start + beyond,
    data.length
  )
  copy.set(data)
  return { buffer, data: copy }
}

/** Frees the memory of an array that shares it with no other. Nothing else would free it soon: JavaScript sees few objects. */
const free = ({ buffer, byteLength }: Packed["data"]): void => {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0)
}

/**
 * Returns the message of an error of a run: the operator and its problem. TensorFlow adds its places in the graph, and the addon
 * cuts the message.
 */
const problem = (cause: unknown): string => {
  const message = cause instanceof Error ? cause.message : String(cause)
  const operators = Array.from(message.matchAll(/\{\{node (?:\w+\/)*([A-Za-z]\w*)_\d+/g), ([, operator]) => operator)
  const told = message.replace(/^Session fail to run with error: /, "").replaceAll(
    /\s*(\[\[)?\{\{.*?(\}\}|$)(\]\])?\s*/gs,
    " "
  ).trim()
  return operators.length === 0 ? told : `${operators.at(-1)}: ${told}`
}

/** Opens a program. Its state has no values until `load` sets them. The caller must close it. */
export const open = Effect.fnUntraced(function*(binding: Binding, name: string, program: TensorFlowGraph) {
  const { batch, done, loaded, results, state, writing } = program
  const types: Readonly<Record<DType, number>> = {
    float32: binding.TF_FLOAT,
    int32: binding.TF_INT32,
    bool: binding.TF_BOOL
  }
  const session = yield* Effect.acquireUseRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "patchword-"))),
    (folder) =>
      Check.attempt(name, () => {
        writeFileSync(join(folder, SavedModel.FILE), program.bytes)
        // The file is read here, and never again.
        return binding.loadSavedModel(folder, SavedModel.TAG)
      }),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
  )
  let steps = 0
  let corrupted: EngineError | undefined

  // A run is not checked by TensorFlow: it takes arrays of any shape.
  const checked = (ports: ReadonlyArray<Port>, arrays: Arrays) =>
    Effect.forEach(ports, (port) => Check.array(name, port.name, port, arrays[port.name]))

  const run = (
    ports: ReadonlyArray<Port>,
    tensors: Array<number>,
    wanted: ReadonlyArray<string>
  ): ReadonlyArray<Omit<Packed, "dtype">> => {
    const made = binding.runSavedModel(session, tensors, ports.map(({ port }) => port).join(), wanted.join())
    tensors.push(...made.map(({ id }) => id))
    return made.map(({ id, shape }) => ({ shape, data: binding.tensorDataSync(id) }))
  }

  const freeing = <A>(body: (tensors: Array<number>) => A): Effect.Effect<A, EngineError> =>
    Effect.suspend(() => {
      const tensors: Array<number> = []
      const found = Result.try({
        try: () => body(tensors),
        catch: (cause) => new EngineError({ program: name, reason: Check.reasonOf(problem(cause)) })
      })
      for (const tensor of tensors) binding.deleteTensor(tensor)
      return Effect.fromResult(found)
    })

  /** Feeds arrays whose memory TensorFlow shares during the run. After an error the addon would never free memory of its own. */
  const fetch = (
    ports: ReadonlyArray<Port>,
    given: ReadonlyArray<HostTensor.Any>,
    wanted: ReadonlyArray<string>
  ) =>
    Effect.suspend(() => {
      const copies = given.map(({ data }) => placed(data, 0))
      const found = freeing((tensors) => {
        given.forEach(({ dtype, shape }, k) => tensors.push(binding.createTensor(shape, types[dtype], copies[k]!.data)))
        return run(ports, tensors, wanted)
      })
      return Effect.ensuring(found, Effect.sync(() => copies.forEach(({ buffer }) => buffer.transfer(0))))
    })

  const named = (ports: ReadonlyArray<Port>, arrays: ReadonlyArray<Omit<Packed, "dtype">>): Arrays =>
    Object.fromEntries(ports.map(({ dtype, name: key }, k) => [key, { ...arrays[k]!, dtype }]))

  const intact = Effect.suspend(() => (corrupted === undefined ? Effect.void : Effect.fail(corrupted)))

  /** Returns the error of a step, or `StateCorrupted` if the state is half written. */
  const judged = Effect.fnUntraced(function*(error: EngineError) {
    if (writing === undefined) return yield* error
    const [flag] = yield* Effect.orElseSucceed(fetch([], [], [writing]), () => [])
    if (flag?.data[0] !== 1) return yield* error
    const reason = new StateCorrupted({ step: steps + 1, detail: error.reason.finding })
    corrupted = new EngineError({ program: name, reason })
    return yield* corrupted
  })

  const opened: Session = {
    load: Effect.fnUntraced(function*(arrays) {
      const given = yield* checked(state, arrays)
      // The variables take over the memory of the tensors. TensorFlow makes it itself for arrays that lie at an odd place, so
      // that the state is there once, and one array of it twice.
      yield* freeing((tensors) => {
        for (const { data, dtype, shape } of given) {
          const odd = placed(data, 4)
          tensors.push(binding.createTensor(shape, types[dtype], odd.data))
          odd.buffer.transfer(0)
          free(data)
        }
        run(state, tensors, [loaded])
      })
      corrupted = undefined
    }),
    step: Effect.fnUntraced(function*(arrays) {
      yield* intact
      const given = yield* checked(batch, arrays)
      const wanted = [...results.map(({ port }) => port), done]
      const made = yield* Effect.catch(fetch(batch, given, wanted), judged)
      steps++
      return named(results, made)
    }),
    read: Effect.gen(function*() {
      yield* intact
      // TensorFlow refuses to fetch nothing.
      return state.length === 0 ? {} : named(state, yield* fetch([], [], state.map(({ port }) => port)))
    }),
    close: Effect.sync(() => binding.deleteSavedModel(session)),
    tensors: state.length,
    bytes: state.reduce((sum, { dtype, shape }) => sum + HostTensor.bytes({ dtype, shape }), 0)
  }
  return opened
})

/** Answers the calls of an engine whose programs are TensorFlow graphs. */
export const handlers = (binding: Binding): Pick<Handlers, "open" | "run" | "read" | "close" | "memory"> => {
  const sessions = new Map<number, Session>()
  let handles = 0
  // The engine names the program in its errors.
  const answer = <A>(effect: Effect.Effect<A, EngineError>): A =>
    Result.getOrThrow(Effect.runSync(Effect.result(Effect.mapError(effect, ({ reason }) => reason))))
  return {
    open: ({ held, model }) => {
      const program: TensorFlowGraph = deserialize(model)
      const session = answer(open(binding, "open", program))
      answer(Effect.tapError(session.load(held), () => session.close))
      const handle = handles++
      sessions.set(handle, session)
      return [{ handle, inputs: [], outputs: [] }]
    },
    run: ({ handle, inputs }) => Protocol.sent(answer(sessions.get(handle)!.step(inputs))),
    read: ({ handle }) => Protocol.sent(answer(sessions.get(handle)!.read)),
    close: ({ handle }) => {
      const session = sessions.get(handle)
      sessions.delete(handle)
      if (session !== undefined) Effect.runSync(session.close)
      return [undefined]
    },
    memory: () => {
      const all = Array.from(sessions.values())
      return [{
        handles: all.length,
        tensors: all.reduce((sum, { tensors }) => sum + tensors, binding.getNumOfTensors()),
        bytes: all.reduce((sum, { bytes }) => sum + bytes, 0)
      }]
    }
  }
}
