/** Writes our graphs as ONNX models, and reads the descriptions of any ONNX models. */
import * as InParts from "../graph/InParts.ts"
import * as OnnxGraph from "./OnnxGraph.ts"
import { Graph, Model } from "./OnnxSchema.ts"

const ATTRIBUTE = { float: 1, int: 2, string: 3, ints: 7 } as const

const attribute = (name: string, value: OnnxGraph.Attribute) => {
  if (typeof value === "number") return { name, i: value, type: ATTRIBUTE.int }
  if (typeof value === "string") return { name, s: new TextEncoder().encode(value), type: ATTRIBUTE.string }
  if ("float" in value) return { name, f: value.float, type: ATTRIBUTE.float }
  return { name, ints: [...value], type: ATTRIBUTE.ints }
}

/** The version of each set of operators. */
const VERSIONS = { "": 17, "com.microsoft": 1 }

const valueInfo = ({ dtype, name, shape }: OnnxGraph.Value) => ({
  name,
  type: {
    tensorType: {
      elemType: OnnxGraph.numberOf(dtype),
      shape: { dim: shape.map((dim) => (dim === OnnxGraph.FREE ? { dimParam: "batch" } : { dimValue: dim })) }
    }
  }
})

/** The field of a model that holds its graph, before the length of the graph. */
const GRAPH = Model.fields["graph"]!.id << 3 | 2

/** Encodes a graph and its `metadata` as an ONNX model. Equal graphs give equal bytes. */
export const encode = (graph: OnnxGraph.Graph, metadata: Readonly<Record<string, string>> = {}): Uint8Array =>
  InParts.whole(encoding(graph, metadata))

/** Computes {@link encode} in parts. */
export function* encoding(
  graph: OnnxGraph.Graph,
  metadata: Readonly<Record<string, string>> = {}
): InParts.InParts<Uint8Array> {
  const { constants, inputs, name, nodes, outputs } = graph
  const writer = Model.encode({ irVersion: 8, producerName: "patchword" }).uint32(GRAPH).fork()
  for (let first = 0; first < nodes.length; first += InParts.AT_ONCE) {
    const node = nodes.slice(first, first + InParts.AT_ONCE).map((
      { attributes, domain, inputs, operation, outputs },
      index
    ) => ({
      input: inputs,
      output: outputs,
      name: `${operation}_${first + index}`,
      opType: operation,
      attribute: Object.entries(attributes).map(([name, value]) => attribute(name, value)),
      domain
    }))
    Graph.encode({ node }, writer)
    yield
  }
  const initializer = constants.map(({ data, dtype, name, shape }) => ({
    dims: shape,
    dataType: OnnxGraph.numberOf(dtype),
    name,
    rawData: new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  }))
  Graph.encode({ name, initializer, input: inputs.map(valueInfo), output: outputs.map(valueInfo) }, writer)
  yield
  return Model.encode({
    opsetImport: Object.entries(VERSIONS).flatMap(([domain, version]) =>
      domain === "" || nodes.some((node) => node.domain === domain) ? { domain, version } : []
    ),
    metadataProps: Object.entries(metadata).map(([key, value]) => ({ key, value }))
  }, writer.ldelim()).finish()
}

/** An input or output of any ONNX model. Free axes appear by their names, or as `?` if they have none. */
export interface Port {
  readonly name: string
  readonly shape: ReadonlyArray<number | string>
}

/** The description of a model. */
export interface Description {
  readonly producer: string
  readonly inputs: ReadonlyArray<Port>
  readonly outputs: ReadonlyArray<Port>
  /** The names of the outputs that hold whole numbers, such as labels and codes. */
  readonly integers: ReadonlyArray<string>
  readonly nodes: number
  /** The number of elements in its constants. */
  readonly parameters: number
  readonly metadata: Readonly<Record<string, string>>
}

/** An input or output as the file stores it. */
interface Info {
  readonly name: string
  readonly type?: {
    readonly tensorType?: {
      readonly elemType?: number
      readonly shape?: { readonly dim?: ReadonlyArray<{ readonly dimValue?: string; readonly dimParam?: string }> }
    }
  }
}

/** The parts of a model that are read. */
interface Decoded {
  readonly producerName?: string
  readonly metadataProps?: ReadonlyArray<{ readonly key: string; readonly value: string }>
  readonly graph?: {
    readonly node?: ReadonlyArray<unknown>
    readonly input?: ReadonlyArray<Info>
    readonly output?: ReadonlyArray<Info>
    readonly initializer?: ReadonlyArray<{ readonly name: string; readonly dims?: ReadonlyArray<string> }>
  }
}

/** The numbers of the integer types and of booleans in `TensorProto.DataType` of `onnx.proto`. */
const WHOLE: ReadonlySet<number> = new Set([2, 3, 4, 5, 6, 7, 9, 12, 13])

/**
 * Describes any ONNX model.
 *
 * @throws Error when the bytes are no model.
 */
export const describe = (bytes: Uint8Array): Description => {
  const { graph, metadataProps = [], producerName = "" }: Decoded = Model.toObject(Model.decode(bytes), {
    longs: String
  })
  if (graph === undefined) throw new Error("it holds no graph")
  const { initializer = [], input = [], node = [], output = [] } = graph
  const sizeOf = (dim: string): number => {
    const size = Number(dim)
    if (!Number.isSafeInteger(size) || size < 0) throw new RangeError(`an axis has the size ${dim}`)
    return size
  }
  const constants = new Set(initializer.map(({ name }) => name))
  const port = ({ name, type: of }: Info): Port => ({
    name,
    shape: (of?.tensorType?.shape?.dim ?? []).map(({ dimParam, dimValue }) =>
      dimValue === undefined ? dimParam ?? "?" : sizeOf(dimValue)
    )
  })
  const parameters = initializer.reduce(
    (sum, { dims = [] }) => sum + dims.reduce((size, dim) => size * sizeOf(dim), 1),
    0
  )
  if (!Number.isSafeInteger(parameters)) throw new RangeError(`its constants have ${parameters} elements`)
  return {
    producer: producerName,
    inputs: input.filter(({ name }) => !constants.has(name)).map(port),
    outputs: output.map(port),
    integers: output.filter(({ type: of }) => WHOLE.has(of?.tensorType?.elemType ?? 0)).map(({ name }) => name),
    nodes: node.length,
    parameters,
    metadata: Object.fromEntries(metadataProps.map(({ key, value }) => [key, value]))
  }
}
