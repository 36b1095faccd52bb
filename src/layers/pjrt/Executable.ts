/** Programs that are compiled for a client's devices. */
import { Result } from "effect"
import type { Client } from "./Client.ts"
import * as CompileOptions from "./CompileOptions.ts"
import type { DeviceArray } from "./DeviceArray.ts"
import * as ElementType from "./ElementType.ts"
import type { Handle } from "./Handles.ts"
import type { PjrtError } from "./PjrtError.ts"
import * as Struct from "./Struct.ts"

/** The type of a result, by the names of `HostTensor` where it has one. */
export interface ResultType {
  readonly dtype: string
  readonly shape: ReadonlyArray<number>
}

/** A compiled program. */
export interface Executable {
  /** The program on the devices, and its description. */
  readonly loaded: Handle<"loaded">
  readonly about: Handle<"executable">
  readonly results: ReadonlyArray<ResultType>
}

/** The memory that one call takes on one device, in bytes. */
export interface Memory {
  readonly arguments: number
  readonly results: number
  /** The part of the results that lies in donated arguments. */
  readonly donated: number
  readonly temporary: number
  readonly code: number
}

/** A call that may not have ended. The results may be used at once. */
export interface Execution {
  /** The results on each device. */
  readonly results: ReadonlyArray<ReadonlyArray<DeviceArray>>
  readonly completed: ReadonlyArray<Handle<"event">>
}

/** A compiled program, also one that no device holds. */
type Described = Pick<Executable, "about">

/** The part of a client that descriptions need. */
type Owner = Pick<Client, "plugin" | "handles">

const PROGRAM = ["code", "length", "format", "formatLength"] as const

const EXECUTION = [
  "sendCallbacks",
  "receiveCallbacks",
  "sendCount",
  "receiveCount",
  "launch",
  "notDonated",
  "notDonatedCount",
  "context",
  "location",
  "taskCount",
  "tasks",
  "incarnations"
] as const

const integers = (pointer: bigint, count: bigint): ReadonlyArray<number> =>
  Array.from(new Int32Array(Struct.bytes(pointer, 4n * count)))

const resultsOf = ({ handles, plugin }: Client, about: Handle<"executable">): ReadonlyArray<ResultType> => {
  const executable = handles.pointer(about)
  const elements = plugin.call("PJRT_Executable_OutputElementTypes", { executable })
  const dtypes = integers(elements.types, elements.count).map(ElementType.nameOf)
  const sizes = plugin.call("PJRT_Executable_OutputDimensions", { executable })
  const ranks = Struct.words(sizes.ranks, sizes.count)
  const dims = Struct.words(sizes.dims, ranks.reduce((sum, rank) => sum + rank, 0n)).map(Number)
  let next = 0
  return ranks.map((rank, place) => ({ dtype: dtypes[place]!, shape: dims.slice(next, next += Number(rank)) }))
}

const owned = (client: Client, executable: bigint): Executable => {
  const { handles, plugin } = client
  const loaded = handles.own("loaded", executable)
  const described = plugin.call("PJRT_LoadedExecutable_GetExecutable", { loaded: executable })
  const about = handles.own("executable", described.executable)
  return { loaded, about, results: resultsOf(client, about) }
}

/** Returns what a compilation is given: the text of a StableHLO module, and options. */
export const source = (text: string, given: CompileOptions.CompileOptions) => {
  // MLIR's parser reads one byte beyond the text, and ends only at a zero.
  const code = Buffer.from(`${text}\0`)
  const [format, options] = [Buffer.from("mlir"), CompileOptions.encode(given)]
  const program = Struct.write(PROGRAM, { code, length: code.length - 1, format, formatLength: format.length })
  return { program, options, optionsLength: options.length }
}

/** Compiles the text of a StableHLO module. Its arguments with `tf.aliasing_output` are donated in each call. Throws `PjrtError`. */
export const compile = (client: Client, text: string, options: CompileOptions.CompileOptions = {}): Executable => {
  const given = { client: client.pointer, ...source(text, options) }
  return owned(client, client.plugin.call("PJRT_Client_Compile", given).executable)
}

/** Returns a compiled program as bytes, which `deserialize` reads with the same plugin and device. Throws `PjrtError`. */
export const serialize = ({ handles, plugin }: Client, { about }: Executable): Uint8Array => {
  const { bytes, destroy, length, serialized } = plugin.call("PJRT_Executable_Serialize", {
    executable: handles.pointer(about)
  })
  const copy = new Uint8Array(Struct.bytes(bytes, length))
  plugin.release(destroy, serialized)
  return copy
}

/** Loads a program that `serialize` returned. Throws `PjrtError`. */
export const deserialize = (client: Client, bytes: Uint8Array): Executable =>
  owned(
    client,
    client.plugin.call("PJRT_Executable_DeserializeAndLoad", { client: client.pointer, bytes, length: bytes.length })
      .executable
  )

/**
 * Begins a call on as many devices as there are lists of arguments. Donated arguments are gone after it, but not freed. Throws
 * `PjrtError`.
 */
export const execute = (
  { handles, plugin }: Client,
  { loaded, results }: Executable,
  lists: ReadonlyArray<ReadonlyArray<DeviceArray>>
): Execution => {
  const made = lists.map(() => new BigInt64Array(results.length))
  const completed = new BigInt64Array(lists.length)
  plugin.call("PJRT_LoadedExecutable_Execute", {
    executable: handles.pointer(loaded),
    options: Struct.write(EXECUTION, {}),
    argumentLists: Struct.pointers(lists.map((list) => Struct.pointers(list.map((one) => handles.pointer(one))))),
    deviceCount: lists.length,
    argumentCount: lists[0]!.length,
    resultLists: Struct.pointers(made),
    completed
  })
  return {
    results: made.map((list) => Array.from(list, (buffer) => handles.own("buffer", BigInt.asUintN(64, buffer)))),
    completed: Array.from(completed).flatMap((event) => handles.event(BigInt.asUintN(64, event)))
  }
}

/** Returns the program that the compiler made, as the message `HloModuleProtoWithConfig`. Throws `PjrtError`. */
export const optimised = ({ handles, plugin }: Owner, { about }: Described): Uint8Array => {
  const executable = handles.pointer(about)
  const sizes = Struct.write(PROGRAM, {})
  plugin.call("PJRT_Executable_OptimizedProgram", { executable, program: sizes })
  const code = new Uint8Array(Number(Struct.read(PROGRAM, sizes).length))
  plugin.call("PJRT_Executable_OptimizedProgram", {
    executable,
    program: Struct.write(PROGRAM, { code, length: code.length })
  })
  return code
}

/** Returns the memory that a call takes. */
export const memory = ({ handles, plugin }: Owner, { about }: Described): Result.Result<Memory, PjrtError> =>
  Result.map(
    plugin.ask("PJRT_Executable_GetCompiledMemoryStats", { executable: handles.pointer(about) }),
    ({ arguments: given, code, donated, results, temporary }) => ({
      arguments: Number(given),
      results: Number(results),
      donated: Number(donated),
      temporary: Number(temporary),
      code: Number(code)
    })
  )

/** Frees a program. */
export const free = ({ handles }: Client, { about, loaded }: Executable): void => {
  handles.free(about)
  handles.free(loaded)
}
