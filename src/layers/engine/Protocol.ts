/** What an engine and its worker thread say to each other. */
import type { AdamWUpdate, StateUpdate } from "../../compiler/trace/Program.ts"
import type { DType } from "../../shapes/HostTensor.ts"

/** An array as it crosses threads. */
export interface Packed {
  readonly shape: ReadonlyArray<number>
  readonly dtype: DType
  readonly data: Float32Array | Int32Array | Uint8Array
}

export type Arrays = Readonly<Record<string, Packed>>

/** A copy of arrays for another thread, and the buffers to hand over: nothing is copied a second time. */
export const packed = (
  entries: Iterable<readonly [string, Packed]>
): { readonly arrays: Arrays; readonly buffers: ReadonlyArray<ArrayBuffer> } => {
  const copies = Array.from(
    entries,
    ([name, { data, dtype, shape }]) => [name, { dtype, shape, data: data.slice() }] as const
  )
  return { arrays: Object.fromEntries(copies), buffers: copies.map(([, { data }]) => data.buffer) }
}

/** How sessions are made. */
export interface Options {
  readonly provider: string
  /** All physical cores when absent. */
  readonly threads: number | undefined
  readonly spin: number
}

/** An input or output of a model, `-1` where its size is free. */
export interface Port {
  readonly name: string
  readonly shape: ReadonlyArray<number>
  readonly dtype: string
}

/** A file of a model beside its own, under the name that the model gives it. */
export interface ModelFile {
  readonly path: string
  readonly data: Uint8Array
}

/** What runs programs. */
export interface About {
  /** Of the library. */
  readonly version: string
  readonly threads: number
  /** What it can compute matrix products in. */
  readonly precisions: ReadonlyArray<string>
  /** Why it was taken and no other, where `layerAuto` took it. */
  readonly chosen?: string
}

/** What is held by open models. */
export interface Memory {
  readonly handles: number
  readonly tensors: number
  readonly bytes: number
}

/** Each call with its answer. */
export interface Calls {
  /** What the worker runs on. */
  readonly start: { readonly ask: undefined; readonly answer: About }
  /**
   * Loads a model with its other files. `held` are inputs that stay in the worker, `updates` those of them that runs replace, and `adamw` those
   * that the worker itself replaces after each.
   */
  readonly open: {
    readonly ask: {
      readonly model: Uint8Array
      readonly files: ReadonlyArray<ModelFile>
      readonly held: Arrays
      readonly updates: ReadonlyArray<StateUpdate>
      readonly adamw: ReadonlyArray<AdamWUpdate>
    }
    readonly answer: {
      readonly handle: number
      readonly inputs: ReadonlyArray<Port>
      readonly outputs: ReadonlyArray<Port>
    }
  }
  /** Runs a model and answers with its outputs, but for the updates. */
  readonly run: { readonly ask: { readonly handle: number; readonly inputs: Arrays }; readonly answer: Arrays }
  /** The present values of what is held. */
  readonly read: { readonly ask: { readonly handle: number }; readonly answer: Arrays }
  readonly close: { readonly ask: { readonly handle: number }; readonly answer: undefined }
  readonly memory: { readonly ask: undefined; readonly answer: Memory }
}

export type Name = keyof Calls

/** An answer and the buffers that go with it. */
export type Answer<N extends Name = Name> = readonly [
  answer: Calls[N]["answer"],
  buffers?: ReadonlyArray<ArrayBuffer>
]

/** What a worker does on each call. */
export type Handlers = { readonly [N in Name]: (ask: Calls[N]["ask"]) => Answer<N> | Promise<Answer<N>> }

export type Request = {
  readonly [N in Name]: { readonly id: number; readonly name: N; readonly ask: Calls[N]["ask"] }
}[Name]

export type Response =
  | { readonly id: number; readonly answer: Calls[Name]["answer"] }
  | { readonly id: number; readonly failure: string }
