/** Runs a program in StableHLO, whose state lives on one device, or as a whole on each of several. */
import { Effect, Result, type Scope } from "effect"
import type { Before, XlaProgram } from "../../compiler/programs/XlaProgram.ts"
import * as Split from "../../compiler/trace/Split.ts"
import * as HostTensor from "../../shapes/HostTensor.ts"
import * as Handed from "../ranks/Handed.ts"
import type { Client } from "./Client.ts"
import * as DeviceArray from "./DeviceArray.ts"
import * as Executable from "./Executable.ts"
import type { PjrtError } from "./PjrtError.ts"
import { StateLost, type TooLarge, WrongArray, WrongProgram, type XlaSessionError } from "./XlaSessionError.ts"

/** A StableHLO module with its state, its batch and its results after the next state. */
export type Program = Omit<XlaProgram, "result">

/** Arrays on the host, by the names of their ports. */
export type Arrays = Readonly<Record<string, HostTensor.Any>>

/** Sums an array over all ranks, in place. */
export type Sum = (values: Float32Array) => void

/** The memory of a session, in bytes. */
export interface Memory {
  /** Number of arrays that the state has on all devices, and their size there. */
  readonly arrays: number
  readonly bytes: number
  /** The memory that a step takes on each device, if the plugin tells it. */
  readonly step: Executable.Memory | undefined
}

/** An open program with a state of its own. */
export interface Session {
  /** Sets the whole state. Fails with `WrongArray` if an array does not fit. */
  readonly load: (state: Arrays) => Effect.Effect<void, XlaSessionError>
  /** Begins to bring a batch to the device, while a step may be running. Fails with `WrongArray` if an array does not fit. */
  readonly send: (batch: Arrays) => Effect.Effect<DeviceArray.Upload, XlaSessionError>
  /**
   * Takes a step with a batch that was sent, and returns its results. Fails with `StateLost` if the step failed after it had taken the
   * state. After any other error the state is the one before the step. The thread is free while the step runs. Until then, nothing
   * else may be asked but `send`.
   */
  readonly take: (sent: DeviceArray.Upload) => Effect.Effect<Arrays, XlaSessionError>
  /** Sends a batch and takes a step with it. */
  readonly step: (batch: Arrays) => Effect.Effect<Arrays, XlaSessionError>
  /** Returns the whole state. */
  readonly read: Effect.Effect<Arrays, XlaSessionError>
  readonly memory: Effect.Effect<Memory, XlaSessionError>
}

/** Returns the arrays of ports in their order. */
const ordered = (
  ports: Program["batch"],
  arrays: Arrays
): Effect.Effect<ReadonlyArray<HostTensor.Any>, WrongArray> =>
  Effect.forEach(ports, (port) => {
    const array = arrays[port.name]
    const difference = HostTensor.difference(port, array)
    // Without a difference there is an array.
    return difference === undefined
      ? Effect.succeed(array!)
      : Effect.fail(new WrongArray({ name: port.name, ...difference }))
  })

const named = (ports: Program["batch"], arrays: ReadonlyArray<HostTensor.Any>): Arrays =>
  Object.fromEntries(ports.map(({ name }, place) => [name, arrays[place]!]))

const list = (types: ReadonlyArray<Executable.ResultType>): string =>
  types.length === 0 ? "nothing" : types.map(HostTensor.describe).join(", ")

/** Returns true if the program writes the next state over the state, and false if it only reads it. */
const isReplacing = ({ text }: Program): boolean => text.includes("tf.aliasing_output")

/** Fails with `WrongProgram` if the compiled program does not return what the ports say. */
const matched = (program: Program, found: ReadonlyArray<Executable.ResultType>) => {
  const [expected, given] = [
    list(isReplacing(program) ? [...program.state, ...program.results] : program.results),
    list(found)
  ]
  return expected === given ? Effect.void : Effect.fail(new WrongProgram({ expected, given }))
}

/** Compiles a program. */
export type Compile = (
  client: Client,
  program: Pick<Program, "text" | "devices" | "replicas">
) => Effect.Effect<Executable.Executable, PjrtError | TooLarge, Scope.Scope>

const compileOnce: Compile = (client, { devices, text }) =>
  Effect.acquireRelease(
    client.handles.attempt(() => Executable.compile(client, text, { replicas: devices })),
    (compiled) => Effect.sync(() => Executable.free(client, compiled))
  )

type Named = ReadonlyMap<string, DeviceArray.DeviceArray>

/**
 * Opens what several ranks run before the last module of a step (`XlaProgram.Before`). Returns a function that runs it on arrays of the
 * state and the batch, and returns its results. The caller frees them.
 */
const beginning = Effect.fnUntraced(function*(
  client: Client,
  { parts, sums }: Before,
  sum: Sum,
  compile: (text: string) => ReturnType<Compile>
) {
  const { handles } = client
  const device = client.devices[0]!
  const steps = yield* Effect.forEach(
    parts,
    ({ text, inputs, results }, i) =>
      Effect.map(compile(text), (executable) => {
        const types = results.filter(({ name }) => sums[i]!.includes(name))
        const memory = Handed.arrays(types)
        const spans = Handed.joined(Array.from(memory.values(), ({ data }) => data as Float32Array))
        return { executable, inputs, results, types, memory, spans }
      })
  )
  return Effect.fnUntraced(function*(given: Named) {
    const made = new Map<string, DeviceArray.DeviceArray>()
    const add = (name: string, array: DeviceArray.DeviceArray) => {
      const former = made.get(name)
      made.set(name, array)
      if (former !== undefined) handles.free(former)
    }
    const run = Effect.forEach(
      steps,
      ({ executable, inputs, memory, results, spans, types }) =>
        Effect.gen(function*() {
          const operands = inputs.map((name) => made.get(name) ?? given.get(name)!)
          const execution = yield* handles.attempt(() => Executable.execute(client, executable, [operands]))
          execution.results[0]!.forEach((array, i) => add(results[i]!.name, array))
          yield* handles.settled(execution.completed)
          yield* handles.attempt(() => {
            DeviceArray.download(client, types.map(({ name }) => made.get(name)!), types, Array.from(memory.values()))
            for (const values of spans) sum(values)
            const { arrays, sent } = DeviceArray.upload(client, device, Array.from(memory.values()))
            arrays.forEach((array, i) => add(types[i]!.name, array))
            handles.settle(sent)
          })
        }),
      { discard: true }
    )
    yield* Effect.onError(run, () => Effect.sync(() => made.forEach((array) => handles.free(array))))
    return made as Named
  })
})

const alone: Sum = () => {
  throw new Error("a program for several ranks was opened without their sums")
}

/**
 * Compiles a program for the first devices of the client, as many as it wants, and puts a state on each of them. All of it is freed when
 * the scope closes; `compile` may give a program that lives longer. A program that donates an array of the state
 * (`tf.aliasing_output`) returns the whole next state first, in the same order. Any other program only reads it. On several devices each
 * gets its share of the batch, and all must return the same. A program for several ranks needs `sum`. Fails with `WrongArray` if an array of the state does not fit, with
 * `PjrtError` if the program does not compile, and with `WrongProgram` if it returns something else than its ports.
 */
export const open = Effect.fnUntraced(function*(
  client: Client,
  program: Program,
  state: Arrays,
  compile: Compile = compileOnce,
  sum: Sum = alone
) {
  const { handles } = client
  const devices = client.devices.slice(0, program.devices)
  const free = (arrays: ReadonlyArray<DeviceArray.DeviceArray>) => arrays.forEach((array) => handles.free(array))

  /** Begins to copy to each device its share of the arrays of ports. Those of the first device come first. */
  const begun = (ports: Program["batch"], arrays: ReadonlyArray<HostTensor.Any>): DeviceArray.Upload => {
    const uploads = devices.map((device, place) =>
      DeviceArray.upload(
        client,
        device,
        arrays.map((array, i) => Split.part(array, ports[i]!.split, devices.length, place))
      )
    )
    return { arrays: uploads.flatMap((upload) => upload.arrays), sent: uploads.flatMap(({ sent }) => sent) }
  }

  /** Returns the arrays of one device. */
  const own = (arrays: ReadonlyArray<DeviceArray.DeviceArray>, place: number) => {
    const count = arrays.length / devices.length
    return arrays.slice(place * count, (place + 1) * count)
  }

  const placed = Effect.fnUntraced(function*(arrays: Arrays) {
    const host = yield* ordered(program.state, arrays)
    return yield* handles.attempt(() => {
      const { arrays, sent } = begun(program.state, host)
      handles.settle(sent)
      return arrays
    })
  })

  let held: ReadonlyArray<DeviceArray.DeviceArray> = []
  let steps = 0
  let lost: StateLost | undefined
  const intact = Effect.suspend(() => lost === undefined ? Effect.succeed(held) : Effect.fail(lost))

  const load: Session["load"] = Effect.fnUntraced(function*(arrays) {
    const next = yield* placed(arrays)
    free(held)
    held = next
    lost = undefined
  }, Effect.uninterruptible)

  yield* Effect.addFinalizer(() => Effect.sync(() => free(held)))
  yield* load(state)
  const executable = yield* compile(client, program)
  yield* matched(program, executable.results)
  const replaces = isReplacing(program)
  const { before } = program
  const begin = before && (yield* beginning(client, before, sum, (text) => compile(client, { text, devices: 1 })))

  /** Returns what the program takes after the state, and what of it is to be freed after the step. */
  const operands = Effect.fnUntraced(function*(batch: ReadonlyArray<DeviceArray.DeviceArray>) {
    if (before === undefined || begin === undefined) return { given: batch, made: [] }
    const known = new Map([
      ...program.state.map(({ name }, i) => [name, held[i]!] as const),
      ...program.batch.map(({ name }, i) => [name, batch[i]!] as const)
    ])
    const made = yield* begin(known)
    return { given: before.inputs.map((name) => made.get(name) ?? known.get(name)!), made: Array.from(made.values()) }
  })

  const ran = Effect.fnUntraced(function*({ arrays, sent }: DeviceArray.Upload) {
    const given = devices.map((_, place) => [...own(held, place), ...own(arrays, place)])
    const { completed, results } = yield* handles.attempt(() => Executable.execute(client, executable, given))
    const first = replaces ? program.state.length : 0
    const told = results.map((made) => made.slice(first))
    // A batch has arrived when the step is done, and each wait takes a thread.
    const ended = Effect.andThen(
      handles.settled(completed),
      handles.attempt(() => {
        handles.settle(sent)
        return DeviceArray.download(client, told[0]!, program.results)
      })
    )
    const metrics = yield* Effect.onError(ended, () => Effect.sync(() => free(results.flat())))
    free([...told.flat(), ...(replaces ? held : [])])
    if (replaces) held = results.flatMap((made) => made.slice(0, first))
    steps++
    return named(program.results, metrics)
  })

  const taken = Effect.fnUntraced(function*({ arrays, sent }: DeviceArray.Upload) {
    const { given, made } = yield* operands(arrays)
    return yield* Effect.ensuring(ran({ arrays: given, sent }), Effect.sync(() => free(made)))
  })

  /** Returns the error of a step, or `StateLost` if the state is gone. */
  const judged = Effect.fnUntraced(function*(error: PjrtError) {
    const gone = handles.attempt(() => held.some((array) => DeviceArray.isDonated(client, array)))
    if (!(yield* Effect.orElseSucceed(gone, () => true))) return yield* error
    free(held)
    held = []
    lost = new StateLost({ step: steps + 1, reason: error })
    return yield* lost
  })

  const send: Session["send"] = (batch) =>
    Effect.flatMap(
      ordered(program.batch, batch),
      (host) => handles.attempt(() => begun(program.batch, host))
    )

  const take: Session["take"] = (upload) =>
    Effect.andThen(intact, Effect.catch(taken(upload), judged)).pipe(
      Effect.ensuring(Effect.sync(() => DeviceArray.discard(client, upload))),
      Effect.uninterruptible
    )

  const session: Session = {
    load,
    send,
    take,
    step: (batch) => Effect.uninterruptible(Effect.andThen(intact, Effect.flatMap(send(batch), take))),
    read: Effect.flatMap(
      intact,
      (arrays) =>
        handles.attempt(() => named(program.state, DeviceArray.download(client, own(arrays, 0), program.state)))
    ),
    memory: Effect.flatMap(intact, (arrays) =>
      handles.attempt(() => ({
        arrays: arrays.length,
        bytes: arrays.reduce((sum, array) => sum + DeviceArray.size(client, array), 0),
        step: Result.getOrUndefined(Executable.memory(client, executable))
      })))
  }
  return session
})
