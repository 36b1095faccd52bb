/** Runs programs on any build of ONNX Runtime. It holds models and states, and takes one call at a time. */
import type { InferenceSession, Tensor } from "onnxruntime-node"
import * as OnnxModel from "../../compiler/onnx/OnnxModel.ts"
import type { StateUpdate } from "../../compiler/programs/Program.ts"
import * as Float16 from "../../domain/values/Float16.ts"
import * as Handed from "../ranks/Handed.ts"
import * as AdamWKernel from "./AdamWKernel.ts"
import * as Protocol from "./Protocol.ts"
import type { Calls, Handlers, Packed, Port } from "./Protocol.ts"

/** A build of ONNX Runtime. */
export interface Runtime {
  readonly started: Calls["start"]["answer"]
  readonly Tensor: new(type: Tensor.Type, data: Tensor.DataType, dims: ReadonlyArray<number>) => Tensor
  readonly create: (model: Uint8Array, options: InferenceSession.SessionOptions) => Promise<InferenceSession>
  /**
   * Place of a state between runs. `bound`: in arrays on the host that programs write into. `made`: in arrays on the host
   * that each run allocates. `device`: on the device, where each run allocates it.
   */
  readonly state: "bound" | "made" | "device"
  /**
   * Sums an array over all ranks, in place, either of gradients or of other values. Absent for one rank. Programs that are cut need it, and
   * states that are `bound`.
   */
  readonly sum?: ((values: Float32Array, of: "gradients" | "values") => void) | undefined
  /** True if products may be rounded to tf32. Then the start measures it, and does not offer fp32 if they are. */
  readonly mayRound?: boolean
}

/** An array that is summed over all ranks. */
type Summed = readonly [values: Float32Array, of: "gradients" | "values"]

/** A model of a program, and the sums over all ranks before it. */
interface Part {
  readonly sums: ReadonlyArray<Summed>
  readonly session: InferenceSession
  /** Inputs that the model reads. These can be fewer than the inputs that the program is given. */
  readonly inputs: ReadonlyArray<Port>
}

interface Model {
  /** The models of the program, which run one after another. */
  readonly parts: ReadonlyArray<Part>
  /** The sums over all ranks after the last model. */
  readonly last: ReadonlyArray<Summed>
  readonly held: Map<string, Tensor>
  /** The session that moved `held` to the device. The memory lasts as long as this session. */
  readonly mover: InferenceSession | undefined
  readonly updates: ReadonlyArray<StateUpdate>
  /** Second buffers of the updates that must not be made in place. */
  readonly spare: Map<string, Tensor>
  readonly gradients: ReadonlyMap<string, Tensor>
  /** Outputs that a model hands on to another. */
  readonly handed: ReadonlyMap<string, Tensor>
  readonly calls: AdamWKernel.Layout["calls"]
  /** Outputs that a run returns. `factors` are outputs that the update needs. */
  readonly results: ReadonlyArray<string>
  readonly factors: ReadonlyArray<string>
}

const array = ({ data, dims, type }: Tensor): Packed => {
  if (data instanceof BigInt64Array) return { shape: dims, dtype: "int32", data: Int32Array.from(data, Number) }
  if (data instanceof Float64Array) return { shape: dims, dtype: "float32", data: Float32Array.from(data) }
  if (type === "float16") return { shape: dims, dtype: "float32", data: fromHalves(data as Halves) }
  return { shape: dims, dtype: type as Packed["dtype"], data: data as Float32Array }
}

/** Bit patterns of 16-bit numbers. Older versions of the language have no array type for them. */
type Halves = Uint16Array | { readonly buffer: ArrayBufferLike; readonly byteOffset: number; readonly length: number }

const fromHalves = ({ buffer, byteOffset, length }: Halves): Float32Array =>
  Float16.decode(new Uint16Array(buffer, byteOffset, length))

const ports = (metadata: InferenceSession["inputMetadata"]): ReadonlyArray<Port> =>
  metadata.map((value) => ({
    name: value.name,
    shape: value.isTensor ? value.shape.map((dim) => (typeof dim === "number" ? dim : -1)) : [],
    dtype: value.isTensor ? value.type : "unknown"
  }))

const bytes = ({ size, type }: Tensor): number => (type === "bool" ? size : 4 * size)

/** Encodes a program that returns its inputs unchanged. */
const handOn = (given: ReadonlyMap<string, Tensor>): Uint8Array => {
  const values = Array.from(given, ([name, { dims, type }]) => ({ name, dtype: type as Packed["dtype"], shape: dims }))
  return OnnxModel.encode({
    name: "hand on",
    nodes: values.map(({ name }) => ({
      operation: "Identity",
      domain: "",
      inputs: [name],
      outputs: [`same.${name}`],
      attributes: {},
      flops: 0
    })),
    constants: [],
    inputs: values,
    outputs: values.map((value) => ({ ...value, name: `same.${value.name}` }))
  })
}

const SIDE = 1024
/** Needs 12 bits of the fraction; tf32 has 10. */
const EXACT = 1 + 2 ** -12

/** Encodes the product of two square matrices. */
const product = (): Uint8Array => {
  const square = (name: string) => ({ name, dtype: "float32", shape: [SIDE, SIDE] }) as const
  return OnnxModel.encode({
    name: "product",
    nodes: [{ operation: "MatMul", domain: "", inputs: ["a", "b"], outputs: ["c"], attributes: {} }],
    constants: [],
    inputs: [square("a"), square("b")],
    outputs: [square("c")]
  })
}

/** Handles calls with sessions on a build of ONNX Runtime. Sessions are created with `options`. */
export const handlers = (
  { Tensor, create, mayRound = false, started, state, sum: sumOverRanks }: Runtime,
  options: InferenceSession.SessionOptions
): Handlers => {
  const models = new Map<number, Model>()
  let handles = 0
  // A provider is loaded with its first session, and WebGPU's device is freed with its last. So one session stays open.
  const lasting: Array<InferenceSession> = []

  const tensor = ({ data, dtype, shape }: Packed): Tensor => new Tensor(dtype, data, [...shape])

  const empty = (like: Tensor): Tensor =>
    new Tensor(like.type, (like.data as Float32Array).slice().fill(0), [...like.dims])

  // Models of other tools have 64-bit indices, and 16-bit or 64-bit numbers.
  const own = (dtype: string, given: Packed): Tensor => {
    const { data, shape } = given
    if (dtype === "int64") return new Tensor(dtype, BigInt64Array.from(data, (value) => BigInt(value)), [...shape])
    if (dtype === "float64") return new Tensor(dtype, Float64Array.from(data), [...shape])
    if (dtype === "float16") return new Tensor(dtype, Float16.encode(Float32Array.from(data)), [...shape])
    return tensor(given)
  }

  const tensors = (arrays: Iterable<readonly [string, Packed]>): Map<string, Tensor> =>
    new Map(Array.from(arrays, ([name, value]) => [name, tensor(value)]))

  const session = (
    model: Uint8Array,
    onDevice: ReadonlyArray<string>,
    files: ReadonlyArray<Protocol.ModelFile> = []
  ): Promise<InferenceSession> =>
    create(model, {
      ...options,
      ...(files.length > 0 ? { externalData: files } : {}),
      ...(state === "device" && onDevice.length > 0
        ? { preferredOutputLocation: Object.fromEntries(onDevice.map((output) => [output, "gpu-buffer"])) }
        : {})
    })

  // In every build, only the outputs of a program can move data to a device and back.
  const moved = async (values: ReadonlyMap<string, Tensor>, to: "device" | "host") => {
    const names = Array.from(values.keys())
    const mover = await session(handOn(values), to === "device" ? names.map((name) => `same.${name}`) : [])
    const found = await mover.run(Object.fromEntries(values))
    return { mover, values: new Map(names.map((name) => [name, found[`same.${name}`]!])) }
  }

  /** Multiplies by the unit matrix, and tests whether the product is another. */
  const isRounding = async (): Promise<boolean> => {
    const matrix = (value: (place: number) => number) =>
      new Tensor("float32", Float32Array.from({ length: SIDE * SIDE }, (_, place) => value(place)), [SIDE, SIDE])
    const opened = await session(product(), [])
    const { c } = await opened.run({ a: matrix(() => EXACT), b: matrix((place) => place % (SIDE + 1) === 0 ? 1 : 0) })
    await opened.release()
    return (c!.data as Float32Array)[0] !== EXACT
  }

  return {
    start: async () => {
      lasting.push((await moved(new Map([["x", new Tensor("float32", new Float32Array(1), [1])]]), "host")).mover)
      const holds = !mayRound || !await isRounding()
      return [holds ? started : { ...started, precisions: [] }]
    },
    open: async ({ adamw, cut, files, held: given, model, updates }) => {
      const onDevice = updates.map(({ output }) => output)
      const first = await session(model, onDevice, files)
      const rest = await Promise.all((cut?.parts ?? []).map(async ({ bytes, sums }) => ({
        sums,
        session: bytes && await session(bytes, onDevice)
      })))
      const sessions = [first, ...rest.flatMap((part) => part.session ?? [])]
      const made = new Map(sessions.flatMap((one) => ports(one.outputMetadata)).map((port) => [port.name, port]))
      const layout = AdamWKernel.layout(adamw, given, cut !== undefined)
      const host = tensors(Object.entries(given).map(([name, value]) => [name, layout.held.get(name) ?? value]))
      const device = state === "device" && host.size > 0 ? await moved(host, "device") : undefined
      const held = device?.values ?? host
      const spare = updates.filter(({ inPlace }) => state === "bound" && !inPlace)
      const gradients = tensors(layout.gradients)
      const summed = new Set(rest.flatMap(({ sums }) => sums))
      const read = sessions.slice(1).flatMap(({ inputNames }) => inputNames)
      const between = new Set([...summed, ...read].filter((name) => made.has(name) && !gradients.has(name)))
      const typeOf = (name: string) => made.get(name)! as Port & Pick<Packed, "dtype">
      // What is summed together lies together.
      const arrays = new Map([
        ...rest.flatMap(({ sums }) => [...Handed.arrays(sums.filter((name) => between.has(name)).map(typeOf))]),
        ...Handed.arrays([...between].filter((name) => !summed.has(name)).map(typeOf))
      ])
      const spansOf = (names: ReadonlyArray<string>): ReadonlyArray<Summed> =>
        ([[arrays, "values"], [layout.gradients, "gradients"]] as const).flatMap(([all, of]) =>
          Handed.joined(names.flatMap((name) => (all.get(name)?.data as Float32Array | undefined) ?? []))
            .map((values) => [values, of] as const)
        )
      const replaced = new Set(updates.map((update) => update.output))
      const factors = new Set(adamw.flatMap((call) => Object.values(call.factors)))
      const inside = new Set([...cut?.handed ?? [], ...replaced, ...gradients.keys()])
      const wanted = Array.from(made.keys()).filter((name) => !inside.has(name))
      const handle = handles++
      const part = (sums: ReadonlyArray<string>, one: InferenceSession): Part => ({
        sums: spansOf(sums),
        session: one,
        inputs: ports(one.inputMetadata)
      })
      const parts = [part([], first), ...rest.flatMap(({ session: one, sums }) => one ? [part(sums, one)] : [])]
      models.set(handle, {
        parts,
        last: rest.flatMap(({ session: one, sums }) => one ? [] : spansOf(sums)),
        mover: device?.mover,
        held,
        updates,
        spare: new Map(spare.map(({ input }) => [input, empty(held.get(input)!)])),
        gradients,
        handed: tensors(arrays),
        calls: layout.calls,
        results: wanted.filter((name) => !factors.has(name)),
        factors: wanted.filter((name) => factors.has(name))
      })
      return [{ handle, inputs: parts[0]!.inputs, outputs: ports(first.outputMetadata) }]
    },
    run: async ({ handle, inputs: given }) => {
      const { calls, factors, gradients, handed, held, last, parts, results, spare, updates } = models.get(handle)!
      const fetches: Record<string, Tensor | null> = Object.fromEntries(
        [...results, ...factors, ...gradients.keys(), ...updates.map(({ output }) => output)].map((
          name
        ) => [name, null])
      )
      if (state === "bound") {
        Object.assign(fetches, Object.fromEntries(gradients))
        for (const { inPlace, input, output } of updates) {
          fetches[output] = inPlace ? held.get(input)! : spare.get(input)!
        }
      }
      Object.assign(fetches, Object.fromEntries(handed))
      const found: Record<string, Tensor> = {}
      for (const { inputs, session: opened, sums } of parts) {
        for (const [values, of] of sums) sumOverRanks!(values, of)
        const feeds = Object.fromEntries(inputs.map(({ dtype, name }) => {
          const value = held.get(name) ?? handed.get(name) ?? gradients.get(name)
          return [name, value ?? own(dtype, given[name]!)]
        }))
        const outputs = Object.fromEntries(opened.outputNames.map((name) => [name, fetches[name]!]))
        Object.assign(found, await opened.run(feeds, outputs, { logSeverityLevel: 4 }))
      }
      for (const [values, of] of last) sumOverRanks!(values, of)
      for (const { inPlace, input, output } of updates) {
        if (inPlace) continue
        const present = held.get(input)!
        held.set(input, found[output]!)
        if (state === "bound") spare.set(input, present)
        else present.dispose()
      }
      if (state !== "bound") {
        for (const [name, { data }] of gradients) (data as Float32Array).set(found[name]!.data as Float32Array)
      }
      AdamWKernel.update(calls, (name) => Number((found[name]!.data as Float32Array)[0]))
      const { arrays, buffers } = Protocol.packed(results.map((name) => [name, array(found[name]!)]))
      return [arrays, buffers]
    },
    read: async ({ handle }) => {
      const { held } = models.get(handle)!
      const back = state === "device" && held.size > 0 ? await moved(held, "host") : undefined
      const host = back?.values ?? held
      const { arrays, buffers } = Protocol.packed(Array.from(host, ([name, value]) => [name, array(value)]))
      await back?.mover.release()
      return [arrays, buffers]
    },
    close: async ({ handle }) => {
      const model = models.get(handle)
      models.delete(handle)
      for (const value of model?.held.values() ?? []) value.dispose()
      for (const { session: opened } of model?.parts ?? []) await opened.release()
      await model?.mover?.release()
      return [undefined]
    },
    memory: () => {
      const all = Array.from(models.values()).flatMap((
        { gradients, handed, held, spare }
      ) => [held, spare, gradients, handed])
        .flatMap((map) => Array.from(map.values()))
      return [{ handles: models.size, tensors: all.length, bytes: all.reduce((sum, value) => sum + bytes(value), 0) }]
    }
  }
}
