/** Writes TensorFlow graphs with signatures and functions as the bytes of a `saved_model.pb`. */
import type { Shape } from "../../shapes/Shape.ts"
import { Model } from "./SavedModelSchema.ts"

const NUMBERS = { float32: 1, int32: 3, int64: 9, bool: 10, bfloat16: 14, resource: 20 } as const

/** The element types of TensorFlow's values. A `resource` is the handle of a variable. */
export type Element = keyof typeof NUMBERS

/** A constant. int64 elements are a `BigInt64Array`. */
export interface Constant {
  readonly shape: Shape
  readonly dtype: Element
  readonly data: Float32Array | Int32Array | Uint8Array | BigInt64Array
}

/** The attribute of a node. Numbers say their kind, because TensorFlow does not convert one into the other. */
export type Attribute =
  | boolean
  | string
  | { readonly int: number }
  | { readonly float: number }
  | { readonly type: Element }
  | { readonly types: ReadonlyArray<Element> }
  | { readonly shape: Shape }
  | { readonly tensor: Constant }
  | { readonly function: string }

export type Attributes = Readonly<Record<string, Attribute>>

/** One operator call. */
export interface Node {
  /** The name, by which results are called `name:0`, `name:1`, and so on. */
  readonly name: string
  readonly operation: string
  /** Results of other nodes, then nodes that must have run before, each as `^name`. */
  readonly inputs: ReadonlyArray<string>
  readonly attributes: Attributes
}

/** A value that a program is given or gives back. */
export interface Port {
  /** The name in the program: `state.encoder.weight`, `batch.images`, `metrics.loss`. */
  readonly name: string
  /** The name of the node's result in the graph: `s0:0`. */
  readonly port: string
  readonly shape: Shape
  readonly dtype: Exclude<Element, "resource">
}

/** A way to call the graph. */
export interface Signature {
  readonly inputs: ReadonlyArray<Port>
  readonly outputs: ReadonlyArray<Port>
}

/** The name and type of a function's argument. */
export interface Argument {
  readonly name: string
  readonly dtype: Element
}

/**
 * A function that nodes can call. In its nodes, an argument is called by its name alone, and a result by the name that its
 * operator gives it: `MatMul_7:product:0`.
 */
export interface Function {
  readonly name: string
  readonly arguments: ReadonlyArray<Argument>
  readonly nodes: ReadonlyArray<Node>
  readonly results: ReadonlyArray<Argument & { readonly value: string }>
}

/** A whole model. */
export interface SavedModel {
  readonly nodes: ReadonlyArray<Node>
  readonly functions: ReadonlyArray<Function>
  readonly signatures: Readonly<Record<string, Signature>>
}

/** The tag by which loaders find the graph in the file. */
export const TAG = "serve"

/** The name that the file must have in its folder. */
export const FILE = "saved_model.pb"

// The version of graphs that TensorFlow 2.9 wrote, the oldest library that the packages come with.
const PRODUCER = 1087

const shapeOf = (shape: Shape) => ({ dim: shape.map((size) => ({ size })) })

const tensor = ({ data, dtype, shape }: Constant) => ({
  dtype: NUMBERS[dtype],
  tensorShape: shapeOf(shape),
  tensorContent: new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
})

const attribute = (value: Attribute) => {
  if (typeof value === "boolean") return { b: value }
  if (typeof value === "string") return { s: new TextEncoder().encode(value) }
  if ("int" in value) return { i: value.int }
  if ("float" in value) return { f: value.float }
  if ("type" in value) return { type: NUMBERS[value.type] }
  if ("types" in value) return { list: { type: value.types.map((type) => NUMBERS[type]) } }
  if ("shape" in value) return { shape: shapeOf(value.shape) }
  if ("tensor" in value) return { tensor: tensor(value.tensor) }
  return { func: { name: value.function } }
}

const mapped = <A, B>(record: Readonly<Record<string, A>>, change: (value: A) => B): Record<string, B> =>
  Object.fromEntries(Object.entries(record).map(([name, value]) => [name, change(value)]))

const node = ({ attributes, inputs, name, operation }: Node) => ({
  name,
  op: operation,
  input: inputs,
  attr: mapped(attributes, attribute)
})

const argument = ({ dtype, name }: Argument) => ({ name, type: NUMBERS[dtype] })

const functionDef = ({ arguments: given, name, nodes, results }: Function) => ({
  signature: { name, inputArg: given.map(argument), outputArg: results.map(argument), isStateful: true },
  nodeDef: nodes.map(node),
  ret: Object.fromEntries(results.map((result) => [result.name, result.value]))
})

const ports = (all: ReadonlyArray<Port>) =>
  Object.fromEntries(
    all.map(({ dtype, name, port, shape }) => [
      name,
      { name: port, dtype: NUMBERS[dtype], tensorShape: shapeOf(shape) }
    ])
  )

/** Encodes a model. Equal models give equal bytes. */
export const encode = (model: SavedModel): Uint8Array =>
  Model.encode(Model.create({
    savedModelSchemaVersion: 1,
    metaGraphs: [{
      metaInfoDef: { tags: [TAG] },
      graphDef: {
        node: model.nodes.map(node),
        library: { function: model.functions.map(functionDef) },
        versions: { producer: PRODUCER }
      },
      signatureDef: mapped(model.signatures, ({ inputs, outputs }) => ({
        inputs: ports(inputs),
        outputs: ports(outputs),
        methodName: "patchword"
      }))
    }]
  })).finish()
