/** OpenVINO's C interface, called through koffi. Every function throws the library's error message. */
import koffi from "koffi"
import { Model } from "../../compiler/onnx/OnnxSchema.ts"

type Pointer = bigint

/** An input or output of a model. A free size is `-1`. */
export interface Port {
  readonly name: string
  readonly shape: ReadonlyArray<number>
  readonly dtype: string
}

/** An array of a type that programs use. */
export interface Elements {
  readonly shape: ReadonlyArray<number>
  readonly dtype: string
  readonly data: Float32Array | Float64Array | Int32Array | Uint8Array | Uint16Array | BigInt64Array
}

/** OpenVINO's view of an array. It reads and writes the array's own memory. */
export interface Tensor {
  readonly elements: Elements
  readonly pointer: Pointer
}

/** A compiled model. */
export interface Compiled {
  readonly inputs: ReadonlyArray<Port>
  readonly outputs: ReadonlyArray<Port>
  /** Binds an input or output to an array. The array has to stay until the next call. */
  readonly bind: (name: string, tensor: Tensor) => void
  readonly run: () => void
  /** Returns a copy of an output. */
  readonly result: (name: string) => Elements
  readonly close: () => void
}

/** OpenVINO's library. */
export interface Library {
  readonly version: string
  /** Data types and features that the library supports on this processor: `FP32`, `BF16`, `INT8`. */
  readonly capabilities: ReadonlyArray<string>
  readonly configure: (key: string, value: string) => void
  readonly compile: (model: Uint8Array) => Compiled
  readonly tensor: (elements: Elements) => Tensor
  readonly free: (tensor: Tensor) => void
}

const DEVICE = "CPU"

/** Data types by their numbers in `ov_element_type_e`. */
const TYPES: Readonly<Record<number, string>> = {
  1: "bool",
  3: "float16",
  4: "float32",
  5: "float64",
  9: "int32",
  10: "int64",
  16: "uint8"
}

const arrayOf = (dtype: string, buffer: ArrayBuffer): Elements["data"] => {
  if (dtype === "float32") return new Float32Array(buffer)
  if (dtype === "float16") return new Uint16Array(buffer)
  if (dtype === "float64") return new Float64Array(buffer)
  if (dtype === "int32") return new Int32Array(buffer)
  if (dtype === "int64") return new BigInt64Array(buffer)
  if (dtype === "bool") return new Uint8Array(buffer)
  throw new Error(
    `the program returns an array of ${dtype}, but only float32, float16, float64, int32, int64 and bool can be read`
  )
}

interface Shape {
  readonly rank: number
  readonly dims: Pointer
}

const shapeType = koffi.struct({ rank: "int64", dims: "void *" })
const partialShapeType = koffi.struct({ rank: "int64", most: "int64", dims: "void *" })
const versionType = koffi.struct({ number: "const char *", description: "const char *" })

// Names of the model, not of ports, because outputs of the same value share a port's name.
const outputNames = (bytes: Uint8Array): ReadonlyArray<string> => {
  const model: object & { readonly graph?: { readonly output?: ReadonlyArray<{ readonly name: string }> } } = Model
    .decode(bytes)
  return (model.graph?.output ?? []).map(({ name }) => name)
}

// The omitted lines are places in OpenVINO's sources.
const paragraph = (said: string): string =>
  said.split("\n").filter((line) => !/^\s*(?:Exception from |$)/.test(line)).map((line) => line.trim()).join(" ")

/** Loads the library from a file, or by its name in the system's search. */
export const load = (file: string): Library => {
  const library = koffi.load(file)
  const info = library.func("const char *ov_get_error_info(int status)")
  const last = library.func("const char *ov_get_last_err_msg()")
  const check = (status: number) => {
    if (status === 0) return
    const [code, said]: ReadonlyArray<string | null> = [info(status), last()]
    throw new Error(paragraph(said ?? "") || `OpenVINO reports ${code}`)
  }
  const act = (definition: string) => {
    const call = library.func(`int ${definition}`)
    return (...given: ReadonlyArray<unknown>): void => check(call(...given))
  }
  const get = (definition: string) => {
    const call = act(definition)
    return (...given: ReadonlyArray<unknown>): Pointer => {
      const found: [Pointer] = [0n]
      call(...given, found)
      return found[0]
    }
  }
  const release = (name: string) => library.func(`void ${name}(void *pointer)`)

  const freeText = release("ov_free")
  const owned = (pointer: Pointer): string => {
    const found = koffi.decode.string(pointer)
    freeText(pointer)
    return found
  }

  const describeTensor = library.func("ov_tensor_get_shape", "int", ["void *", koffi.out(koffi.pointer(shapeType))])
  const freeShape = library.func("ov_shape_free", "int", [koffi.pointer(shapeType)])
  const describePort = library.func("ov_port_get_partial_shape", "int", [
    "void *",
    koffi.out(koffi.pointer(partialShapeType))
  ])
  const freePartialShape = library.func("ov_partial_shape_free", "void", [koffi.pointer(partialShapeType)])
  const wrap = library.func("ov_tensor_create_from_host_ptr", "int", [
    "int",
    shapeType,
    "void *",
    koffi.out(koffi.pointer("void *"))
  ])
  const integers = (pointer: Pointer, count: number): ReadonlyArray<number> =>
    count === 0 ? [] : Array.from(koffi.decode(pointer, "int64", count) as BigInt64Array, Number)

  const nameOf = get("ov_port_get_any_name(void *port, _Out_ void **name)")
  const typeOf = act("ov_port_get_element_type(void *port, _Out_ int *type)")
  const freePort = release("ov_output_const_port_free")
  const port = (pointer: Pointer): Port => {
    const type: [number] = [0]
    typeOf(pointer, type)
    const shape: Shape & { readonly most: number } = { rank: 0, most: 0, dims: 0n }
    check(describePort(pointer, shape))
    // Each dimension has a least and a greatest size.
    const limits = integers(shape.dims, 2 * shape.rank)
    freePartialShape(shape)
    const name = owned(nameOf(pointer))
    freePort(pointer)
    const sizes = Array.from({ length: shape.rank }, (_, axis) => {
      const [least, most] = limits.slice(2 * axis)
      return least === most ? least! : -1
    })
    return { name, shape: sizes, dtype: TYPES[type[0]] ?? `element type ${type[0]}` }
  }
  const ports = (kind: "input" | "output") => {
    const count = act(`ov_compiled_model_${kind}s_size(void *model, _Out_ size_t *count)`)
    const at = get(`ov_compiled_model_${kind}_by_index(void *model, size_t index, _Out_ void **port)`)
    return (model: Pointer): ReadonlyArray<Port> => {
      const size: [number] = [0]
      count(model, size)
      return Array.from({ length: size[0] }, (_, index) => port(at(model, index)))
    }
  }
  const [inputs, outputs] = [ports("input"), ports("output")]

  const set = act("ov_core_set_property(void *core, str device, ...)")
  const property = get("ov_core_get_property(void *core, str device, str key, _Out_ void **value)")
  const read = get(
    "ov_core_read_model_from_memory_buffer(void *core, const void *text, size_t length, void *weights, _Out_ void **model)"
  )
  const prepare = library.func(
    "int ov_core_compile_model(void *core, void *model, str device, size_t settings, _Out_ void **compiled, ...)"
  )
  const freeModel = release("ov_model_free")
  const freeCompiled = release("ov_compiled_model_free")
  const request = get("ov_compiled_model_create_infer_request(void *model, _Out_ void **request)")
  const freeRequest = release("ov_infer_request_free")
  const bindInput = act("ov_infer_request_set_tensor(void *request, str name, void *tensor)")
  const bindOutput = act("ov_infer_request_set_output_tensor_by_index(void *request, size_t index, void *tensor)")
  const find = get("ov_infer_request_get_output_tensor_by_index(void *request, size_t index, _Out_ void **tensor)")
  const infer = act("ov_infer_request_infer(void *request)")
  const address = get("ov_tensor_data(void *tensor, _Out_ void **data)")
  const size = act("ov_tensor_get_byte_size(void *tensor, _Out_ size_t *bytes)")
  const freeTensor = release("ov_tensor_free")

  const shapeOf = (pointer: Pointer): ReadonlyArray<number> => {
    const shape: Shape = { rank: 0, dims: 0n }
    check(describeTensor(pointer, shape))
    const sizes = integers(shape.dims, shape.rank)
    freeShape(shape)
    return sizes
  }
  const copied = (pointer: Pointer, { dtype, shape }: Port): Elements => {
    // OpenVINO 2026.4 does not report the shape of a scalar.
    const sizes = shape.includes(-1) ? shapeOf(pointer) : shape
    const bytes: [number] = [0]
    size(pointer, bytes)
    const buffer = bytes[0] === 0 ? new ArrayBuffer(0) : koffi.view(address(pointer), bytes[0]).slice(0)
    freeTensor(pointer)
    return { shape: sizes, dtype, data: arrayOf(dtype, buffer) }
  }

  const build: { number: string } = { number: "" }
  check(library.func("ov_get_openvino_version", "int", [koffi.out(koffi.pointer(versionType))])(build))
  const core = get("ov_core_create(_Out_ void **core)")()

  return {
    version: build.number.split("-")[0]!,
    capabilities: owned(property(core, DEVICE, "OPTIMIZATION_CAPABILITIES")).split(" "),
    configure: (key, value) => set(core, DEVICE, "str", key, "str", value),
    compile: (bytes) => {
      const model = read(core, bytes, bytes.length, null)
      const slot: [Pointer] = [0n]
      const status: number = prepare(core, model, DEVICE, 0, slot)
      freeModel(model)
      check(status)
      const [compiled] = slot
      const running = request(compiled)
      const names = outputNames(bytes)
      const declared = outputs(compiled).map((output, index) => ({ ...output, name: names[index]! }))
      const places = new Map(names.map((name, index) => [name, index]))
      return {
        inputs: inputs(compiled),
        outputs: declared,
        bind: (name, { pointer }) => {
          const place = places.get(name)
          if (place === undefined) bindInput(running, name, pointer)
          else bindOutput(running, place, pointer)
        },
        run: () => infer(running),
        result: (name) => copied(find(running, places.get(name)!), declared[places.get(name)!]!),
        close: () => {
          freeRequest(running)
          freeCompiled(compiled)
        }
      }
    },
    tensor: (elements) => {
      const { data, dtype, shape } = elements
      // Even a scalar's dimensions must not be a null pointer.
      const dims = BigInt64Array.from([...shape, 0], BigInt)
      const type = Number(Object.keys(TYPES).find((number) => TYPES[Number(number)] === dtype))
      const slot: [Pointer] = [0n]
      check(wrap(type, { rank: shape.length, dims: koffi.address(dims) }, koffi.address(data), slot))
      return { elements, pointer: slot[0] }
    },
    free: ({ pointer }) => freeTensor(pointer)
  }
}
