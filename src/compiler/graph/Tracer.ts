/**
 * Represents the tensors of a traced step, in which nothing is computed. A value is a name in the graph, or a constant that has
 * no name yet. Its reshapes share the name until an operator needs the other shape.
 */
import * as tf from "@tensorflow/tfjs-core"
import { type DType, size } from "../../shapes/HostTensor.ts"
import type { Shape } from "../../shapes/Shape.ts"
import * as ShapeError from "../../shapes/ShapeError.ts"
import * as Graph from "./Graph.ts"

/** Elements of a constant. */
export type Data = Float32Array | Int32Array | Uint8Array

/** The value of one or more tensors with equal elements. */
interface Value {
  readonly shape: Shape
  readonly dtype: DType
  name?: string
  /** All elements of a constant, or one element (`splat`) that fills it. */
  readonly data?: Data
  readonly splat?: number
  readonly reshaped: Map<string, string>
}

const arrays = { float32: Float32Array, int32: Int32Array, bool: Uint8Array }

export const sameShape = (a: Shape, b: Shape): boolean =>
  a.length === b.length && a.every((dim, axis) => dim === b[axis])

/** A step needs values that exist only while a program runs, or uses an operation that has no translation. */
export class NotTraceable extends Error {
  override readonly name = "NotTraceable"
}

const EXPAND_ABOVE = 4096

const SWAPPED = [1, 0] as const

/** A kernel that is no part of the graph. The engine calls it after the graph. */
export interface ExternalKernel {
  readonly inputs: Readonly<Record<string, Graph.Value>>
  /** The names of its results, in the kernel's order. */
  readonly outputs: ReadonlyArray<string>
}

/** A point at which a network can be cut: a value and its gradient. */
export interface Boundary {
  readonly value: string
  readonly gradient: string
  readonly rank: number
}

/** One trace: the graph and the values of its tensors so far. */
export class Tracer {
  readonly graph = Graph.builder()
  readonly inputs: Array<Graph.Value> = []
  readonly external: Array<ExternalKernel> = []
  readonly boundaries: Array<Boundary> = []
  /** The source of each transposed array. */
  private readonly origins = new Map<string, { readonly name: string; readonly axes: ReadonlyArray<number> }>()
  private readonly transposes = new Map<string, string>()
  /** A forbidden read that cannot be thrown at once: a promise of values. It is checked after the step returns. */
  refusal: NotTraceable | undefined = undefined
  private readonly values = new Map<object, { value: Value; references: number }>()

  valueOf(tensor: tf.TensorInfo): Value {
    const found = this.values.get(tensor.dataId)
    if (found === undefined) {
      throw new NotTraceable(
        `a tensor of shape ${
          ShapeError.show(tensor.shape)
        } was made outside the step; pass it in with the batch or the state`
      )
    }
    return found.value
  }

  private add(value: Value, shape: Shape = value.shape): tf.TensorInfo {
    const dataId = {}
    this.values.set(dataId, { value, references: 1 })
    return { dataId, shape: [...shape], dtype: value.dtype }
  }

  /** Adds a tensor that an operator computes. */
  computed(name: string, shape: Shape, dtype: tf.DataType): tf.TensorInfo {
    return this.add({ shape, dtype: dtype as DType, name, reshaped: new Map() })
  }

  /** Returns the same elements under another shape. */
  alias(tensor: tf.TensorInfo, shape: Shape): tf.TensorInfo {
    return this.add(this.valueOf(tensor), shape)
  }

  filled(splat: number, shape: Shape, dtype: tf.DataType): tf.TensorInfo {
    return this.add({ shape, dtype: dtype as DType, splat, reshaped: new Map() })
  }

  constant(values: ArrayLike<number>, shape: Shape, dtype: DType): tf.TensorInfo {
    const data = new arrays[dtype](values)
    const [first] = data
    if (first !== undefined && data.length > 1 && data.every((value) => value === first)) {
      return this.filled(first, shape, dtype)
    }
    return this.add({ shape, dtype, data, reshaped: new Map() })
  }

  input(name: string, shape: Shape, dtype: DType): tf.TensorInfo {
    this.inputs.push({ name, shape, dtype })
    return this.computed(name, shape, dtype)
  }

  /** Returns the number that fills a constant, or else its elements. Returns `undefined` for computed tensors. */
  contents(tensor: tf.TensorInfo): number | Data | undefined {
    const { data, splat } = this.valueOf(tensor)
    return splat ?? data
  }

  /** Returns the elements of a constant, `undefined` for computed tensors. */
  elements(tensor: tf.TensorInfo): Data | undefined {
    const { data, dtype, shape, splat } = this.valueOf(tensor)
    return data ?? (splat === undefined ? undefined : new arrays[dtype](size(shape)).fill(splat))
  }

  /** Returns the number that fills a constant, if there is one. */
  splat(tensor: tf.TensorInfo): number | undefined {
    const { data, splat } = this.valueOf(tensor)
    return splat ?? (data?.length === 1 ? data[0] : undefined)
  }

  scalar(value: number, dtype: tf.DataType): string {
    return this.graph.constant(arrays[dtype as DType].of(value), [], dtype as DType)
  }

  /** Returns the name under which operators read a tensor in its own shape. */
  name(tensor: tf.TensorInfo): string {
    const value = this.valueOf(tensor)
    value.name ??= value.splat !== undefined && size(value.shape) > EXPAND_ABOVE
      ? this.graph.emit("Expand", [this.scalar(value.splat, value.dtype), this.graph.integers(value.shape)])
      : this.graph.constant(this.elements(tensor)!, value.shape, value.dtype)
    if (sameShape(value.shape, tensor.shape)) return value.name
    const key = tensor.shape.join()
    const known = value.reshaped.get(key)
    if (known !== undefined) return known
    // Without this, 0 stands for the size that the axis had.
    const options = tensor.shape.includes(0) ? { allowzero: 1 } : {}
    const reshaped = this.graph.emit("Reshape", [value.name, this.graph.integers(tensor.shape)], options)
    value.reshaped.set(key, reshaped)
    return reshaped
  }

  /** Returns the name of an array with permuted axes. By default, it transposes a matrix. */
  transpose(name: string, axes: ReadonlyArray<number> = SWAPPED): string {
    const origin = this.origins.get(name)
    if (origin !== undefined && axes.every((axis, i) => origin.axes[axis] === i)) return origin.name
    const key = `${name} ${axes.join()}`
    const known = this.transposes.get(key)
    if (known !== undefined) return known
    const result = this.graph.emit("Transpose", [name], { perm: axes })
    this.origins.set(result, { name, axes })
    this.transposes.set(key, result)
    return result
  }

  /** Returns the name of the matrix whose transpose has this name, if there is one. */
  beforeTransposing(name: string): string | undefined {
    const origin = this.origins.get(name)
    return origin?.axes === SWAPPED ? origin.name : undefined
  }

  /** Returns the matrix whose transpose is this tensor, if there is one. */
  transposedBack(tensor: tf.TensorInfo): tf.TensorInfo | undefined {
    const { dtype, name, shape } = this.valueOf(tensor)
    const before = name === undefined ? undefined : this.beforeTransposing(name)
    return before === undefined ? undefined : this.computed(before, shape.toReversed(), dtype)
  }

  /** Adds a kernel outside of the graph and returns its results. They have the shapes of the inputs in `like`. */
  addExternal(inputs: Readonly<Record<string, tf.TensorInfo>>, like: ReadonlyArray<string>): Array<tf.TensorInfo> {
    const values = Object.entries(inputs).map(([key, info]) =>
      [key, { name: this.name(info), shape: info.shape, dtype: info.dtype as DType }] as const
    )
    const outputs = like.map((key) => `external.${this.external.length}.${key}`)
    this.external.push({ inputs: Object.fromEntries(values), outputs })
    return like.map((key, i) => this.computed(outputs[i]!, inputs[key]!.shape, inputs[key]!.dtype))
  }

  retain(dataId: object): void {
    const found = this.values.get(dataId)
    if (found !== undefined) found.references++
  }

  release(dataId: object, force: boolean): boolean {
    const found = this.values.get(dataId)
    if (found === undefined) return true
    found.references--
    if (!force && found.references > 0) return false
    this.values.delete(dataId)
    return true
  }

  references(dataId: object): number {
    return this.values.get(dataId)?.references ?? 0
  }

  get held(): number {
    return this.values.size
  }
}
