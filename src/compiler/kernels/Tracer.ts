/**
 * Represents the tensors of a traced step, in which nothing is computed. A value is one of the graph, or a constant that the
 * graph does not have yet. Its reshapes share it until an operation needs the other shape.
 */
import * as tf from "@tensorflow/tfjs-core"
import { ARRAYS, type DType, size } from "../../shapes/HostTensor.ts"
import type { Shape } from "../../shapes/Shape.ts"
import * as ShapeError from "../../shapes/ShapeError.ts"
import type * as Graph from "../graph/Graph.ts"
import { GraphBuilder } from "../graph/GraphBuilder.ts"
import { sameShape } from "../graph/Types.ts"
import * as Movement from "../operations/Movement.ts"
import type { Operation } from "../operations/Operation.ts"

/** The elements of one or more tensors. */
interface Value extends Graph.Type {
  inGraph?: Graph.Value
  /** All elements of a constant, or one element (`splat`) that fills it. */
  readonly data?: Graph.Data
  readonly splat?: number
  readonly reshaped: Map<string, Graph.Value>
}

/** A step needs values that exist only while a program runs, or uses an operation that has no translation. */
export class NotTraceable extends Error {
  override readonly name = "NotTraceable"
}

const FILL_ABOVE = 4096

/** One trace: the graph and the values of its tensors so far. */
export class Tracer {
  readonly graph = new GraphBuilder()
  readonly inputs: Array<Graph.Value> = []
  readonly boundaries: Array<Graph.Boundary> = []
  /** The source of each transposed array. */
  private readonly origins = new Map<string, { readonly value: Graph.Value; readonly axes: ReadonlyArray<number> }>()
  private readonly transposes = new Map<string, Graph.Value>()
  /** A forbidden read that cannot be thrown at once: a promise of values. It is checked after the step returns. */
  refusal: NotTraceable | undefined = undefined
  private readonly values = new Map<object, Value>()
  /** The number of devices that will run the step together. */
  readonly devices: number

  constructor(devices = 1) {
    this.devices = devices
  }

  valueOf(tensor: tf.TensorInfo): Value {
    const found = this.values.get(tensor.dataId)
    if (found === undefined) {
      throw new NotTraceable(
        `a tensor of shape ${
          ShapeError.show(tensor.shape)
        } was made outside the step; pass it in with the batch or the state`
      )
    }
    return found
  }

  private add(value: Value, shape: Shape = value.shape): tf.TensorInfo {
    const dataId = {}
    this.values.set(dataId, value)
    return { dataId, shape: [...shape], dtype: value.dtype }
  }

  /** Adds a tensor for a value of the graph. */
  private computed(value: Graph.Value): tf.TensorInfo {
    return this.add({ shape: value.shape, dtype: value.dtype, inGraph: value, reshaped: new Map() })
  }

  /** Adds a call of an operation and returns its results. */
  emitAll<A extends Graph.Attributes>(
    operation: Operation<A>,
    operands: ReadonlyArray<tf.TensorInfo>,
    attributes: A
  ): Array<tf.TensorInfo> {
    return this.call(operation, operands.map((operand) => this.value(operand)), attributes).map((value) =>
      this.computed(value)
    )
  }

  /** Adds a call of an operation and returns its only result. */
  emit<A extends Graph.Attributes>(
    operation: Operation<A>,
    operands: ReadonlyArray<tf.TensorInfo>,
    attributes: A
  ): tf.TensorInfo {
    return this.emitAll(operation, operands, attributes)[0]!
  }

  private call<A extends Graph.Attributes>(
    operation: Operation<A>,
    operands: ReadonlyArray<Graph.Value>,
    attributes: A
  ): ReadonlyArray<Graph.Value> {
    const types = operation.types(operands, attributes)
    return this.graph.emit(operation.name, operands, types, attributes, operation.flops?.(operands, attributes) ?? 0)
  }

  /** Returns the same elements under another shape. */
  alias(tensor: tf.TensorInfo, shape: Shape): tf.TensorInfo {
    return this.add(this.valueOf(tensor), shape)
  }

  filled(splat: number, shape: Shape, dtype: tf.DataType): tf.TensorInfo {
    return this.add({ shape, dtype: dtype as DType, splat, reshaped: new Map() })
  }

  constant(values: ArrayLike<number>, shape: Shape, dtype: DType): tf.TensorInfo {
    const data = new ARRAYS[dtype](values)
    const [first] = data
    if (first !== undefined && data.length > 1 && data.every((value) => value === first)) {
      return this.filled(first, shape, dtype)
    }
    return this.add({ shape, dtype, data, reshaped: new Map() })
  }

  input(name: string, shape: Shape, dtype: DType): tf.TensorInfo {
    const value = { name, shape, dtype }
    this.inputs.push(value)
    return this.computed(value)
  }

  /** Returns the number that fills a constant, or else its elements. Returns `undefined` for computed tensors. */
  contents(tensor: tf.TensorInfo): number | Graph.Data | undefined {
    const { data, splat } = this.valueOf(tensor)
    return splat ?? data
  }

  /** Returns the elements of a constant, `undefined` for computed tensors. */
  elements(tensor: tf.TensorInfo): Graph.Data | undefined {
    const { data, dtype, shape, splat } = this.valueOf(tensor)
    return data ?? (splat === undefined ? undefined : new ARRAYS[dtype](size(shape)).fill(splat))
  }

  /** Returns the number that fills a constant, if there is one. */
  splat(tensor: tf.TensorInfo): number | undefined {
    const { data, splat } = this.valueOf(tensor)
    return splat ?? (data?.length === 1 ? data[0] : undefined)
  }

  /** Returns a constant number. */
  scalar(value: number, dtype: tf.DataType): tf.TensorInfo {
    return this.filled(value, [], dtype)
  }

  /** Returns the value of the graph that operations read for a tensor, in the tensor's own shape. */
  value(tensor: tf.TensorInfo): Graph.Value {
    const value = this.valueOf(tensor)
    const { dtype, shape, splat } = value
    value.inGraph ??= splat !== undefined && size(shape) > FILL_ABOVE
      ? this.call(Movement.fill, [], { value: splat, shape, dtype })[0]!
      : this.graph.constant(this.elements(tensor)!, shape, dtype)
    if (sameShape(shape, tensor.shape)) return value.inGraph
    const key = tensor.shape.join()
    const known = value.reshaped.get(key)
    if (known !== undefined) return known
    const [reshaped] = this.call(Movement.reshape, [value.inGraph], { shape: tensor.shape })
    value.reshaped.set(key, reshaped!)
    return reshaped!
  }

  /** Returns a tensor with permuted axes. What is transposed back is the first tensor again. */
  transpose(tensor: tf.TensorInfo, axes: ReadonlyArray<number>): tf.TensorInfo {
    const value = this.value(tensor)
    const origin = this.origins.get(value.name)
    if (origin !== undefined && axes.every((axis, i) => origin.axes[axis] === i)) return this.computed(origin.value)
    const key = `${value.name} ${axes.join()}`
    const known = this.transposes.get(key)
    if (known !== undefined) return this.computed(known)
    const [result] = this.call(Movement.transpose, [value], { axes })
    this.origins.set(result!.name, { value, axes })
    this.transposes.set(key, result!)
    return this.computed(result!)
  }
}
