/**
 * The functions that an engine runs: pure synchronous functions of records of typed tensors, with the shapes of their
 * arguments.
 *
 * A step reads no values on the host, does not branch on a tensor and draws no random numbers. Everything that changes from
 * call to call (masks, learning rates, drop-path factors) is part of the batch. So one definition can run eagerly, as one ONNX
 * program, or on another machine.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Elementwise, type Step, Tensor } from "patchword/shapes"
 *
 * interface Row {
 *   readonly x: Tensor.Tensor<[3]>
 * }
 * const double: Step.Inference<{}, Row, Row> = {
 *   name: "double",
 *   weights: {},
 *   batch: { x: { shape: [3], dtype: "float32" } },
 *   run: (_, { x }) => ({ x: Elementwise.scale(x, 2) })
 * }
 * assert.deepStrictEqual(double.run({}, { x: Tensor.fill([3], 1) }).x.shape, [3])
 * ```
 */
import * as tf from "@tensorflow/tfjs-core"
import type { DType, HostTensor } from "./HostTensor.ts"
import type { Shape } from "./Shape.ts"
import type { Any } from "./Tensor.ts"

/**
 * How several devices share an array of a batch. `rows` cuts the first axis into equal parts, in order. `placesOf` does so too, with an
 * array of places among that many rows of the whole batch: a device gets the places of its own rows, counted from the first of them.
 */
export type Split = "rows" | { readonly placesOf: number }

/** The shape and element type of one argument. */
export interface TensorSpec<in out S extends Shape = Shape, out D extends DType = DType> {
  readonly shape: S
  readonly dtype: D
  /** How several devices share an array of a batch. By default each gets all of it. */
  readonly split?: Split | undefined
}

/** The type of a record of tensors or host arrays with a specification in place of every leaf. */
export type SpecOf<T> = T extends Any ? TensorSpec<T["shape"], T["dtype"]>
  : T extends HostTensor<infer S, infer D> ? TensorSpec<S, D>
  : SpecsOf<T>
type SpecsOf<T> = { readonly [K in keyof T]: SpecOf<T[K]> }

/** The type of a record of tensors with a host array in place of every tensor. */
export type HostOf<T> = T extends Any ? HostTensor<T["shape"], T["dtype"]> : HostsOf<T>
type HostsOf<T> = { readonly [K in keyof T]: HostOf<T[K]> }

/** A function of weights and a batch. It computes features, codes or logits, for example. */
export interface Inference<in out W, in out B, in out O> {
  readonly name: string
  readonly weights: SpecOf<W>
  readonly batch: SpecOf<B>
  /** Computes outputs from weights and a batch. Pure and synchronous. */
  readonly run: (weights: W, batch: B) => O
}

/** A training step. It maps a state (parameters, optimizer moments, buffers) and a batch to metrics and the next state. */
export interface TrainStep<in out S, in out B, in out M> {
  readonly name: string
  readonly state: SpecOf<S>
  readonly batch: SpecOf<B>
  /** Computes the metrics and the next state. Pure and synchronous. */
  readonly run: (state: S, batch: B) => { readonly metrics: M; readonly state: S }
}

/** A backend that records a step. */
interface Recorder extends tf.KernelBackend {
  readonly recording?: {
    readonly part: <A>(compute: () => A) => A
    readonly map: <A, B>(values: ReadonlyArray<A>, of: (value: A) => B) => ReadonlyArray<B>
  }
}

const recording = () => (tf.backend() as Recorder).recording

/**
 * Computes a part of a step. After a pause, a compiler calls the step again from its beginning, and gets the parts that are done from its
 * record. A step without parts has the same program, and its compiler repeats more of it. `compute` is pure, as the step is.
 */
export const part = <A>(compute: () => A): A => {
  const known = recording()
  return known === undefined ? compute() : known.part(compute)
}

/** Computes a part of a step for each value. */
export const each = <A, B>(values: ReadonlyArray<A>, of: (value: A) => B): ReadonlyArray<B> => {
  const known = recording()
  return known === undefined ? values.map((value) => of(value)) : known.map(values, of)
}
