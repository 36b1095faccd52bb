/** Messages between an engine and its worker thread. */
import type { AdamWUpdate, Cut, StateUpdate } from "../../compiler/programs/Program.ts"
import type { DType } from "../../shapes/HostTensor.ts"
import type { CollectivesOrigin } from "../ranks/Collectives.ts"
import type { Reason } from "./EngineError.ts"

/** An array in a message. */
export interface Packed {
  readonly shape: ReadonlyArray<number>
  readonly dtype: DType
  readonly data: Float32Array | Int32Array | Uint8Array
}

export type Arrays = Readonly<Record<string, Packed>>

/** Copies arrays for another thread. `buffers` are to be transferred, so that nothing is copied a second time. */
export const packed = (
  entries: Iterable<readonly [string, Packed]>
): { readonly arrays: Arrays; readonly buffers: ReadonlyArray<ArrayBuffer> } => {
  const copies = Array.from(
    entries,
    ([name, { data, dtype, shape }]) => [name, { dtype, shape, data: data.slice() }] as const
  )
  return { arrays: Object.fromEntries(copies), buffers: copies.map(([, { data }]) => data.buffer) }
}

/** Answers with arrays that nobody else holds: they are transferred as they are, if they have a buffer of their own. */
export const sent = (arrays: Arrays): readonly [answer: Arrays, buffers: ReadonlyArray<ArrayBuffer>] => [
  arrays,
  Object.values(arrays).flatMap(({ data: { buffer } }) => (buffer instanceof ArrayBuffer ? buffer : []))
]

/** Options of sessions. */
export interface Options {
  readonly provider: string
  /** Number of threads; all physical cores when absent. */
  readonly threads: number | undefined
  readonly spin: number
  /** The connection to the other ranks; absent for one rank. */
  readonly ranks?: CollectivesOrigin | undefined
  /** The number format in which gradients travel between ranks. */
  readonly wire: "fp32" | "bf16"
}

/** An input or output of a model. A free size is `-1`. */
export interface Port {
  readonly name: string
  readonly shape: ReadonlyArray<number>
  readonly dtype: string
}

/** A file of a model with external data. `path` is its name in the model. */
export interface ModelFile {
  readonly path: string
  readonly data: Uint8Array
}

/** The runtime of an engine. */
export interface About {
  /** Version of the library. */
  readonly version: string
  readonly threads: number
  /** Precisions that it offers for matrix products. */
  readonly precisions: ReadonlyArray<string>
  /** The reason why `layerAuto` chose it; absent if another layer built it. */
  readonly chosen?: string
}

/** The memory that open models hold. */
export interface Memory {
  readonly handles: number
  readonly tensors: number
  readonly bytes: number
  /** The memory of the device by its own figures, if it has them. It also holds what others put there. */
  readonly device?: { readonly inUse: number; readonly peak?: number; readonly limit?: number }
}

/** The calls with their answers. */
export interface Calls {
  /** Starts the runtime and describes it. */
  readonly start: { readonly ask: undefined; readonly answer: About }
  /**
   * Loads a model with its other files. `held` are inputs that stay in the worker. `updates` name those of them that a run
   * replaces. `adamw` names those that the worker itself updates after each run.
   */
  readonly open: {
    readonly ask: {
      readonly model: Uint8Array
      readonly files: ReadonlyArray<ModelFile>
      readonly held: Arrays
      readonly updates: ReadonlyArray<StateUpdate>
      readonly adamw: ReadonlyArray<AdamWUpdate>
      /** What follows the model, if several ranks run the program together. */
      readonly cut?: Cut | undefined
      /** What an earlier answer had as `compiled`. */
      readonly compiled?: Uint8Array
    }
    readonly answer: {
      readonly handle: number
      /** The program in the runtime's own form, if it was compiled now and the runtime can load it again. */
      readonly compiled?: Uint8Array
      /** The reason why the given compiled program was not taken. */
      readonly refused?: string
      readonly inputs: ReadonlyArray<Port>
      readonly outputs: ReadonlyArray<Port>
    }
  }
  /**
   * Runs a model and returns its outputs without the updates. With `after`, only if that many steps have been taken since it was
   * opened.
   */
  readonly run: {
    readonly ask: { readonly handle: number; readonly inputs: Arrays; readonly after?: number }
    readonly answer: Arrays
  }
  /** Returns the present values of the held inputs. */
  readonly read: { readonly ask: { readonly handle: number }; readonly answer: Arrays }
  readonly close: { readonly ask: { readonly handle: number }; readonly answer: undefined }
  readonly memory: { readonly ask: undefined; readonly answer: Memory }
}

export type Name = keyof Calls

/** An answer and the buffers that are transferred with it. */
export type Answer<N extends Name = Name> = readonly [
  answer: Calls[N]["answer"],
  buffers?: ReadonlyArray<ArrayBuffer>
]

/** The functions of a worker, one for each call. */
export type Handlers = { readonly [N in Name]: (ask: Calls[N]["ask"]) => Answer<N> | Promise<Answer<N>> }

export type Request = {
  readonly [N in Name]: { readonly id: number; readonly name: N; readonly ask: Calls[N]["ask"] }
}[Name]

/** The last message to a worker that frees what its thread holds before the thread ends. The answer has the id -1. */
export const END = { id: -1, name: "end" } as const

/** An answer, or the failure: the fields of a typed reason, or the message of any other error. */
export type Response =
  | { readonly id: number; readonly answer: Calls[Name]["answer"] }
  | { readonly id: number; readonly failure: typeof Reason.Encoded | string }
