/** The messages of onnx.proto that a traced program uses and those that can contain a tensor, with their field numbers. */
import protobuf from "protobufjs"

const field = (id: number, type: string, rule?: "repeated") => (rule === undefined ? { id, type } : { id, type, rule })

const root = protobuf.Root.fromJSON({
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

/** The message type of an ONNX file. */
export const Model = root.lookupType("Model")

/** The message type of a model's graph. */
export const Graph = root.lookupType("Graph")
