/** The messages of saved_model.proto that a written program uses, with their field numbers. */
import protobuf from "protobufjs"

const field = (id: number, type: string, rule?: "repeated") => (rule === undefined ? { id, type } : { id, type, rule })

const byName = (id: number, type: string) => ({ id, type, keyType: "string" })

const root = protobuf.Root.fromJSON({
  nested: {
    Dimension: { fields: { size: field(1, "int64") } },
    Shape: { fields: { dim: field(2, "Dimension", "repeated") } },
    Tensor: {
      fields: { dtype: field(1, "int32"), tensorShape: field(2, "Shape"), tensorContent: field(4, "bytes") }
    },
    List: { fields: { type: field(6, "int32", "repeated") } },
    NamedAttributes: { fields: { name: field(1, "string") } },
    Attribute: {
      fields: {
        list: field(1, "List"),
        s: field(2, "bytes"),
        i: field(3, "int64"),
        f: field(4, "float"),
        b: field(5, "bool"),
        type: field(6, "int32"),
        shape: field(7, "Shape"),
        tensor: field(8, "Tensor"),
        func: field(10, "NamedAttributes")
      },
      // Members of a choice are written even if they are 0 or false.
      oneofs: { value: { oneof: ["list", "s", "i", "f", "b", "type", "shape", "tensor", "func"] } }
    },
    Node: {
      fields: {
        name: field(1, "string"),
        op: field(2, "string"),
        input: field(3, "string", "repeated"),
        attr: byName(5, "Attribute")
      }
    },
    Argument: { fields: { name: field(1, "string"), type: field(3, "int32") } },
    FunctionSignature: {
      fields: {
        name: field(1, "string"),
        inputArg: field(2, "Argument", "repeated"),
        outputArg: field(3, "Argument", "repeated"),
        isStateful: field(17, "bool")
      }
    },
    Function: {
      fields: {
        signature: field(1, "FunctionSignature"),
        nodeDef: field(3, "Node", "repeated"),
        ret: byName(4, "string")
      }
    },
    Library: { fields: { function: field(1, "Function", "repeated") } },
    Versions: { fields: { producer: field(1, "int32") } },
    Graph: {
      fields: { node: field(1, "Node", "repeated"), library: field(2, "Library"), versions: field(4, "Versions") }
    },
    TensorInfo: { fields: { name: field(1, "string"), dtype: field(2, "int32"), tensorShape: field(3, "Shape") } },
    Signature: {
      fields: {
        inputs: byName(1, "TensorInfo"),
        outputs: byName(2, "TensorInfo"),
        methodName: field(3, "string")
      }
    },
    MetaInfo: { fields: { tags: field(4, "string", "repeated") } },
    MetaGraph: {
      fields: {
        metaInfoDef: field(1, "MetaInfo"),
        graphDef: field(2, "Graph"),
        signatureDef: byName(5, "Signature")
      }
    },
    SavedModel: {
      fields: { savedModelSchemaVersion: field(1, "int64"), metaGraphs: field(2, "MetaGraph", "repeated") }
    }
  }
})

/** The message type of `saved_model.pb`. */
export const Model = root.lookupType("SavedModel")
