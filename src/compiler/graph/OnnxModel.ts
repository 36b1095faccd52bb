/**
 * ONNX models as bytes. The messages are those of onnx.proto that a traced program uses, and in which a tensor may be, with
 * its field numbers.
 */
import protobuf from "protobufjs"
import * as Graph from "./Graph.ts"

const field = (id: number, type: string, rule?: "repeated") => (rule === undefined ? { id, type } : { id, type, rule })

const schema = protobuf.Root.fromJSON({
  nested: {
    Attribute: {
      fields: {
        name: field(1, "string"),
        f: field(2, "float"),
        i: field(3, "int64"),
        s: field(4, "bytes"),
        t: field(5, "Tensor"),
        g: field(6, "Graph"),
        ints: field(8, "int64", "repeated"),
        tensors: field(10, "Tensor", "repeated"),
        graphs: field(11, "Graph", "repeated"),
        type: field(20, "int32"),
        sparseTensor: field(22, "SparseTensor"),
        sparseTensors: field(23, "SparseTensor", "repeated")
      }
    },
    Node: {
      fields: {
        input: field(1, "string", "repeated"),
        output: field(2, "string", "repeated"),
        name: field(3, "string"),
        opType: field(4, "string"),
        attribute: field(5, "Attribute", "repeated"),
        domain: field(7, "string")
      }
    },
    Tensor: {
      fields: {
        dims: field(1, "int64", "repeated"),
        dataType: field(2, "int32"),
        name: field(8, "string"),
        rawData: field(9, "bytes"),
        externalData: field(13, "Entry", "repeated"),
        dataLocation: field(14, "int32")
      }
    },
    SparseTensor: { fields: { values: field(1, "Tensor"), indices: field(2, "Tensor") } },
    Dimension: { fields: { dimValue: field(1, "int64"), dimParam: field(2, "string") } },
    Shape: { fields: { dim: field(1, "Dimension", "repeated") } },
    TensorType: { fields: { elemType: field(1, "int32"), shape: field(2, "Shape") } },
    Type: { fields: { tensorType: field(1, "TensorType") } },
    ValueInfo: { fields: { name: field(1, "string"), type: field(2, "Type") } },
    Graph: {
      fields: {
        node: field(1, "Node", "repeated"),
        name: field(2, "string"),
        initializer: field(5, "Tensor", "repeated"),
        input: field(11, "ValueInfo", "repeated"),
        output: field(12, "ValueInfo", "repeated"),
        sparseInitializer: field(15, "SparseTensor", "repeated")
      }
    },
    Function: { fields: { node: field(7, "Node", "repeated") } },
    TrainingInfo: { fields: { initialization: field(1, "Graph"), algorithm: field(2, "Graph") } },
    Entry: { fields: { key: field(1, "string"), value: field(2, "string") } },
    Opset: { fields: { domain: field(1, "string"), version: field(2, "int64") } },
    Model: {
      fields: {
        irVersion: field(1, "int64"),
        producerName: field(2, "string"),
        graph: field(7, "Graph"),
        opsetImport: field(8, "Opset", "repeated"),
        metadataProps: field(14, "Entry", "repeated"),
        trainingInfo: field(20, "TrainingInfo", "repeated"),
        functions: field(25, "Function", "repeated")
      }
    }
  }
})

const ATTRIBUTE = { float: 1, int: 2, string: 3, ints: 7 } as const

const attribute = (name: string, value: Graph.Attribute) => {
  if (typeof value === "number") return { name, i: value, type: ATTRIBUTE.int }
  if (typeof value === "string") return { name, s: new TextEncoder().encode(value), type: ATTRIBUTE.string }
  if ("float" in value) return { name, f: value.float, type: ATTRIBUTE.float }
  return { name, ints: [...value], type: ATTRIBUTE.ints }
}

const valueInfo = ({ dtype, name, shape }: Graph.Value) => ({
  name,
  type: {
    tensorType: {
      elemType: Graph.numberOf(dtype),
      shape: { dim: shape.map((dim) => (dim === Graph.FREE ? { dimParam: "batch" } : { dimValue: dim })) }
    }
  }
})

/**
 * The bytes of a graph as a model that ONNX Runtime loads, with what its `metadata` says about it. Equal graphs give equal
 * bytes.
 */
export const encode = (graph: Graph.Graph, metadata: Readonly<Record<string, string>> = {}): Uint8Array => {
  const model = schema.lookupType("Model")
  return model.encode(model.create({
    irVersion: 8,
    producerName: "patchword",
    opsetImport: [{ domain: "", version: 17 }, { domain: "com.microsoft", version: 1 }],
    metadataProps: Object.entries(metadata).map(([key, value]) => ({ key, value })),
    graph: {
      name: graph.name,
      node: graph.nodes.map((node, index) => ({
        input: node.inputs,
        output: node.outputs,
        name: `${node.operation}_${index}`,
        opType: node.operation,
        attribute: Object.entries(node.attributes).map(([name, value]) => attribute(name, value)),
        domain: node.domain
      })),
      initializer: graph.constants.map(({ data, dtype, name, shape }) => ({
        dims: shape,
        dataType: Graph.numberOf(dtype),
        name,
        rawData: new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
      })),
      input: graph.inputs.map(valueInfo),
      output: graph.outputs.map(valueInfo)
    }
  })).finish()
}

/** An input or an output of a model from anywhere: `free` axes by their names, where they have one. */
export interface Port {
  readonly name: string
  readonly shape: ReadonlyArray<number | string>
}

/** What a model says of itself. */
export interface Description {
  readonly producer: string
  readonly inputs: ReadonlyArray<Port>
  readonly outputs: ReadonlyArray<Port>
  readonly nodes: number
  /** Numbers in its constants. */
  readonly parameters: number
  readonly metadata: Readonly<Record<string, string>>
}

interface Info {
  readonly name: string
  readonly type?: {
    readonly tensorType?: {
      readonly shape?: { readonly dim?: ReadonlyArray<{ readonly dimValue?: string; readonly dimParam?: string }> }
    }
  }
}

interface Model {
  readonly producerName?: string
  readonly metadataProps?: ReadonlyArray<{ readonly key: string; readonly value: string }>
  readonly graph?: {
    readonly node?: ReadonlyArray<unknown>
    readonly input?: ReadonlyArray<Info>
    readonly output?: ReadonlyArray<Info>
    readonly initializer?: ReadonlyArray<{ readonly name: string; readonly dims?: ReadonlyArray<string> }>
  }
}

/**
 * What a model of any maker says of itself.
 *
 * @throws Error when the bytes are no model.
 */
export const describe = (bytes: Uint8Array): Description => {
  const type = schema.lookupType("Model")
  const { graph, metadataProps = [], producerName = "" }: Model = type.toObject(type.decode(bytes), { longs: String })
  if (graph === undefined) throw new Error("it holds no graph")
  const { initializer = [], input = [], node = [], output = [] } = graph
  const constants = new Set(initializer.map(({ name }) => name))
  const port = ({ name, type: of }: Info): Port => ({
    name,
    shape: (of?.tensorType?.shape?.dim ?? []).map(({ dimParam, dimValue }) =>
      dimValue === undefined ? dimParam ?? "?" : Number(dimValue)
    )
  })
  return {
    producer: producerName,
    inputs: input.filter(({ name }) => !constants.has(name)).map(port),
    outputs: output.map(port),
    nodes: node.length,
    parameters: initializer.reduce((sum, { dims = [] }) => sum + dims.reduce((size, dim) => size * Number(dim), 1), 0),
    metadata: Object.fromEntries(metadataProps.map(({ key, value }) => [key, value]))
  }
}

interface Elsewhere {
  readonly name?: string
  readonly dataLocation?: number
  readonly externalData?: ReadonlyArray<{ readonly key: string; readonly value: string }>
}

/** Where a model keeps tensors outside of itself. */
export interface ExternalData {
  /** The files, as the model names them: relative to itself. Of its constants, which engines can be given. */
  readonly files: ReadonlyArray<string>
  /** Tensors within nodes, functions and inner graphs that are in other files. */
  readonly inner: ReadonlyArray<string>
}

/** `data_location` of a tensor whose numbers are in another file. */
const EXTERNAL = 1

const isElsewhere = (value: object): value is Elsewhere => "dataLocation" in value && value.dataLocation === EXTERNAL

// Every message below one, but for numbers and bytes.
const below = (value: object): ReadonlyArray<object> =>
  Object.values(value).flatMap((part: unknown) =>
    Array.isArray(part)
      ? part.filter((one) => typeof one === "object" && one !== null)
      : typeof part === "object" && part !== null && !ArrayBuffer.isView(part)
      ? [part]
      : []
  )

const elsewhere = (value: object): ReadonlyArray<Elsewhere> =>
  isElsewhere(value) ? [value] : below(value).flatMap(elsewhere)

/**
 * What a model of any maker keeps in other files.
 *
 * @throws Error when the bytes are no model.
 */
export const externalData = (bytes: Uint8Array): ExternalData => {
  const model: object & { readonly graph?: { readonly initializer?: ReadonlyArray<object> } } = schema
    .lookupType("Model").decode(bytes)
  const constants = new Set(model.graph?.initializer)
  const found = elsewhere(model)
  const location = ({ externalData = [] }: Elsewhere) => externalData.find(({ key }) => key === "location")?.value ?? ""
  return {
    files: [...new Set(found.filter((tensor) => constants.has(tensor)).map(location))].toSorted(),
    inner: found.filter((tensor) => !constants.has(tensor)).map(({ name = "" }) => name)
  }
}
