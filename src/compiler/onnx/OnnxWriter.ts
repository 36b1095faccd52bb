/**
 * Builds an ONNX graph from calls of operations. It keeps which ONNX value holds a value of our graph. Reshapes are emitted only
 * where an operator reads the other shape, and equal reshapes and transposes once.
 */
import { ARRAYS, type DType, size } from "../../shapes/HostTensor.ts"
import type { Shape } from "../../shapes/Shape.ts"
import type { Constant, Data, Value } from "../graph/Graph.ts"
import { sameShape } from "../graph/Types.ts"
import * as OnnxGraph from "./OnnxGraph.ts"

/** An ONNX value and its shape. It may hold a value of our graph under another shape, with the same elements in order. */
export interface Stored {
  readonly name: string
  readonly shape: Shape
}

/** The result of an operation: an ONNX value of its shape, or one of another shape. */
export type Written = string | Stored

const EXPAND_ABOVE = 4096

const SWAPPED = [1, 0] as const

/** The domain of ONNX Runtime's own operators. */
const MICROSOFT = "com.microsoft"

/** Writes one graph. */
export class OnnxWriter {
  readonly graph = OnnxGraph.builder()
  /** True if only operators of ONNX itself may be used. */
  readonly standard: boolean
  private readonly constants: ReadonlyMap<string, Constant>
  private readonly values = new Map<string, Stored>()
  private readonly reshapes = new Map<string, string>()
  /** The sources of transposes, by the name of the transpose. */
  private readonly origins = new Map<string, { readonly name: string; readonly axes: ReadonlyArray<number> }>()
  private readonly transposes = new Map<string, string>()

  constructor(constants: ReadonlyArray<Constant>, standard: boolean) {
    this.constants = new Map(constants.map((constant) => [constant.name, constant]))
    this.standard = standard
  }

  /** Records where a value of our graph is stored. */
  store(value: Value, written: Written): void {
    this.values.set(value.name, typeof written === "string" ? { name: written, shape: value.shape } : written)
  }

  /** Returns the ONNX value that holds a value of our graph, under any shape. */
  stored(value: Value): Stored {
    const { name } = value
    const known = this.values.get(name)
    if (known !== undefined) return known
    const { data, dtype, shape } = this.constants.get(name)!
    const added = { name: this.graph.constant(data, shape, dtype), shape }
    this.values.set(name, added)
    return added
  }

  /** Returns the name of the ONNX value that holds a value of our graph. By default it has its own shape. */
  name(value: Value, shape: Shape = value.shape): string {
    return this.reshape(this.stored(value), shape)
  }

  /** Returns the name of an ONNX value under another shape. */
  reshape(from: Stored, shape: Shape): string {
    if (sameShape(from.shape, shape)) return from.name
    const key = `${from.name} ${shape.join()}`
    const known = this.reshapes.get(key)
    if (known !== undefined) return known
    // Without this, 0 stands for the size that the axis had.
    const options = shape.includes(0) ? { allowzero: 1 } : {}
    const reshaped = this.emit("Reshape", [from.name, this.integers(shape)], options)
    this.reshapes.set(key, reshaped)
    return reshaped
  }

  /** Emits an operator of ONNX with one result and returns its name. */
  emit(operator: string, inputs: ReadonlyArray<string>, attributes: OnnxGraph.Node["attributes"] = {}): string {
    return this.graph.emit(operator, inputs, attributes)
  }

  /** Emits an operator of ONNX Runtime with one result and returns its name. */
  emitMicrosoft(
    operator: string,
    inputs: ReadonlyArray<string>,
    attributes: OnnxGraph.Node["attributes"] = {}
  ): string {
    return this.graph.emit(operator, inputs, attributes, MICROSOFT)
  }

  cast(name: string, to: OnnxGraph.Element): string {
    return this.emit("Cast", [name], { to: OnnxGraph.numberOf(to) })
  }

  /** Returns the name of a list of integers, in the form that operators take for shapes and axes. */
  integers(values: ReadonlyArray<number>): string {
    return this.graph.integers(values)
  }

  scalar(value: number, dtype: DType = "float32"): string {
    return this.graph.constant(ARRAYS[dtype].of(value), [], dtype)
  }

  /** Returns the name of an array that is filled with one number. */
  filled(value: number, shape: Shape, dtype: DType): string {
    if (size(shape) > EXPAND_ABOVE) return this.emit("Expand", [this.scalar(value, dtype), this.integers(shape)])
    const data: Data = new ARRAYS[dtype](size(shape)).fill(value)
    return this.graph.constant(data, shape, dtype)
  }

  /** Returns the name of an array with permuted axes. By default, it transposes a matrix. */
  transpose(name: string, axes: ReadonlyArray<number> = SWAPPED): string {
    const origin = this.origins.get(name)
    if (origin !== undefined && axes.every((axis, i) => origin.axes[axis] === i)) return origin.name
    const key = `${name} ${axes.join()}`
    const known = this.transposes.get(key)
    if (known !== undefined) return known
    const result = this.emit("Transpose", [name], { perm: axes })
    this.origins.set(result, { name, axes })
    this.transposes.set(key, result)
    return result
  }

  /** Returns the matrix whose transpose holds a value, if there is one. */
  beforeTransposing(value: Value): Stored | undefined {
    const { name, shape } = this.stored(value)
    const origin = this.origins.get(name)
    return origin?.axes === SWAPPED ? { name: origin.name, shape: shape.toReversed() } : undefined
  }
}
