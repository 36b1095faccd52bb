/** A graph of ONNX operators: nodes in the order of emission, constants, and the names that connect them. */
import type { Shape } from "../../shapes/Shape.ts"

/** The element types of a program's values. Only shapes and indices of operators are int64. */
export type Element = "float32" | "bfloat16" | "int32" | "bool" | "int64"

const NUMBERS = { float32: 1, int32: 6, int64: 7, bool: 9, bfloat16: 16 } as const

/** Returns the number of an element type in ONNX. */
export const numberOf = (element: Element): number => NUMBERS[element]

/** Returns the element type of an ONNX number. */
export const elementOf = (number: number): Element | undefined =>
  (Object.keys(NUMBERS) as Array<Element>).find((element) => NUMBERS[element] === number)

/** The length of an axis that is known only when a model runs: the number of images. */
export const FREE = -1

/** A named input or output. */
export interface Value {
  readonly name: string
  readonly shape: Shape
  readonly dtype: Element
}

/** A constant of the program. */
export interface Constant extends Value {
  readonly data: Float32Array | Int32Array | Uint8Array | BigInt64Array
}

/** The attribute of a node: an integer, a list of integers, a real number, or a string. */
export type Attribute = number | ReadonlyArray<number> | { readonly float: number } | string

/** One operator call. */
export interface Node {
  readonly operation: string
  /** The name of the operator set. It is empty for ONNX's own operators. */
  readonly domain: string
  readonly inputs: ReadonlyArray<string>
  readonly outputs: ReadonlyArray<string>
  readonly attributes: Readonly<Record<string, Attribute>>
}

/** A whole program. */
export interface Graph {
  readonly name: string
  readonly nodes: ReadonlyArray<Node>
  readonly constants: ReadonlyArray<Constant>
  readonly inputs: ReadonlyArray<Value>
  readonly outputs: ReadonlyArray<Value>
}

const SHARED_UP_TO = 16

/** A graph under construction. */
export interface Builder {
  readonly nodes: Array<Node>
  readonly constants: Array<Constant>
  /** Emits an operator with `count` results and returns their names. */
  readonly emitMany: (
    operation: string,
    inputs: ReadonlyArray<string>,
    count: number,
    attributes?: Readonly<Record<string, Attribute>>,
    domain?: string
  ) => ReadonlyArray<string>
  /** Emits an operator with one result and returns its name. */
  readonly emit: (
    operation: string,
    inputs: ReadonlyArray<string>,
    attributes?: Readonly<Record<string, Attribute>>,
    domain?: string
  ) => string
  /** Emits a copy of a value under a given name. */
  readonly copy: (value: string, name: string) => void
  /** Adds a constant and returns its name. Small constants of equal contents share one name. */
  readonly constant: (data: Constant["data"], shape: Shape, dtype: Element) => string
  /** Adds a list of integers, in the form that operators take for shapes and axes, and returns its name. */
  readonly integers: (values: ReadonlyArray<number>) => string
}

/** Creates an empty graph under construction. */
export const builder = (): Builder => {
  const nodes: Array<Node> = []
  const constants: Array<Constant> = []
  const small = new Map<string, string>()
  let count = 0
  const fresh = () => `v${count++}`
  const emitMany: Builder["emitMany"] = (operation, inputs, results, attributes = {}, domain = "") => {
    const outputs = Array.from({ length: results }, fresh)
    nodes.push({ operation, domain, inputs, outputs, attributes })
    return outputs
  }
  const constant: Builder["constant"] = (data, shape, dtype) => {
    const key = data.length <= SHARED_UP_TO ? `${dtype}|${shape.join()}|${data.join()}` : undefined
    const known = key === undefined ? undefined : small.get(key)
    if (known !== undefined) return known
    const name = fresh()
    constants.push({ name, shape, dtype, data })
    if (key !== undefined) small.set(key, name)
    return name
  }
  return {
    nodes,
    constants,
    emitMany,
    emit: (operation, inputs, ...rest) => emitMany(operation, inputs, 1, ...rest)[0]!,
    copy: (value, name) => {
      nodes.push({ operation: "Identity", domain: "", inputs: [value], outputs: [name], attributes: {} })
    },
    constant,
    integers: (values) => constant(BigInt64Array.from(values, BigInt), [values.length], "int64")
  }
}
