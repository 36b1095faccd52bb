/** Writes operators and constants as the nodes of a TensorFlow graph. */
import { ARRAYS, type DType } from "../../shapes/HostTensor.ts"
import type { Shape } from "../../shapes/Shape.ts"
import * as ResultNames from "./ResultNames.ts"
import type { Attributes, Constant, Element, Node } from "./SavedModel.ts"

/** The name of a node's result: `MatMul_12:0`. As an input, `^MatMul_12` says only that the node must have run before. */
export type Id = string

/** Nodes under construction. */
export interface NodeWriter {
  readonly nodes: ReadonlyArray<Node>
  /** Emits an operator with `count` results and returns their names. */
  readonly emitMany: (
    operation: string,
    inputs: ReadonlyArray<Id>,
    count: number,
    attributes?: Attributes
  ) => ReadonlyArray<Id>
  /** Emits an operator with one result and returns its name. */
  readonly emit: (operation: string, inputs: ReadonlyArray<Id>, attributes?: Attributes) => Id
  /** Emits an operator that only has an effect, and returns the input by which others wait for it. */
  readonly act: (operation: string, inputs: ReadonlyArray<Id>, attributes?: Attributes) => Id
  /** Converts the elements of a value. Returns the value itself if its type does not change. */
  readonly cast: (id: Id, from: Element, to: Element) => Id
  /** Adds a constant of the program. Small constants of equal contents share one node. */
  readonly constant: (data: Float32Array | Int32Array | Uint8Array, shape: Shape, dtype: DType) => Id
  /** Adds a number of the program. By default it is float32. */
  readonly scalar: (value: number, dtype?: DType) => Id
  /** Adds a bool. */
  readonly bool: (value: boolean) => Id
  /** Adds int32 numbers, in the form that operators take for shapes and axes. By default they are a list. */
  readonly integers: (values: ReadonlyArray<number>, shape?: Shape) => Id
  /** Adds an int32 number, in the form that operators take for an axis or a size. */
  readonly integer: (value: number) => Id
}

// In bytes.
const SHARED_UP_TO = 64

/**
 * Returns the element type that a value of the program has in the graph. TensorFlow computes int32 on the host, whatever the
 * device, and int64 on the device.
 */
export const inside = (dtype: DType | "bfloat16"): Element => (dtype === "int32" ? "int64" : dtype)

/** Returns the attribute for the element type of an operator's operands. */
export const typed = (dtype: DType): Attributes => ({ T: { type: inside(dtype) } })

/** Returns the input by which a node waits for the node of a result. */
export const after = (id: Id): Id => `^${id.split(":")[0]}`

/** Creates an empty list of nodes. */
export const make = (): NodeWriter => {
  const nodes: Array<Node> = []
  const small = new Map<string, Id>()

  const emitMany: NodeWriter["emitMany"] = (operation, inputs, count, attributes = {}) => {
    // Only functions need the names of results. They are asked for here, so that an operator without them is found at once.
    Array.from({ length: count }, (_, result) => ResultNames.of(operation, result))
    const name = `${operation}_${nodes.length}`
    nodes.push({ name, operation, inputs, attributes })
    return Array.from({ length: count }, (_, result) => `${name}:${result}`)
  }

  const emit: NodeWriter["emit"] = (operation, inputs, attributes) => emitMany(operation, inputs, 1, attributes)[0]!

  const add = (constant: Constant): Id => {
    const { data, dtype, shape } = constant
    const key = data.byteLength <= SHARED_UP_TO
      ? `${dtype}|${shape.join()}|${new Uint8Array(data.buffer, data.byteOffset, data.byteLength).join()}`
      : undefined
    const known = key === undefined ? undefined : small.get(key)
    if (known !== undefined) return known
    const id = emit("Const", [], { dtype: { type: dtype }, value: { tensor: constant } })
    if (key !== undefined) small.set(key, id)
    return id
  }

  const constant: NodeWriter["constant"] = (data, shape, dtype) =>
    add({ shape, dtype: inside(dtype), data: dtype === "int32" ? BigInt64Array.from(data, BigInt) : data })

  return {
    nodes,
    emitMany,
    emit,
    act: (operation, inputs, attributes) => {
      const name = `${operation}_${nodes.length}`
      emitMany(operation, inputs, 0, attributes)
      return `^${name}`
    },
    cast: (id, from, to) => from === to ? id : emit("Cast", [id], { SrcT: { type: from }, DstT: { type: to } }),
    constant,
    scalar: (value, dtype = "float32") => constant(ARRAYS[dtype].of(value), [], dtype),
    bool: (value) => add({ shape: [], dtype: "bool", data: Uint8Array.of(value ? 1 : 0) }),
    integers: (values, shape = [values.length]) => add({ shape, dtype: "int32", data: Int32Array.from(values) }),
    integer: (value) => add({ shape: [], dtype: "int32", data: Int32Array.of(value) })
  }
}
