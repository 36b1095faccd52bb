/** The worker thread of OpenVINO. It holds models and states, and takes one call at a time. */
import { existsSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { workerData } from "node:worker_threads"
import type { StateUpdate } from "../../compiler/programs/Program.ts"
import * as Float16 from "../../domain/values/Float16.ts"
import { type Compiled, type Elements, type Library, load, type Tensor } from "../openvino/OpenVinoLibrary.ts"
import * as AdamWKernel from "./AdamWKernel.ts"
import * as Protocol from "./Protocol.ts"
import type { Answer, Calls, Packed } from "./Protocol.ts"
import { serve } from "./Serve.ts"

/** Options of the thread. */
export interface Options {
  /** Folders in which the library may be. */
  readonly folders: ReadonlyArray<string>
  /** True if the system's own search is tried too. */
  readonly system: boolean
  readonly precision: "fp32" | "bf16"
  readonly threads: number
}

interface Model {
  readonly compiled: Compiled
  readonly held: Map<string, Tensor>
  readonly updates: ReadonlyArray<StateUpdate>
  /** Second buffers of the updates. */
  readonly spare: Map<string, Tensor>
  readonly gradients: ReadonlyMap<string, Tensor>
  readonly calls: AdamWKernel.Layout["calls"]
  /** Outputs that a run returns. `factors` are outputs that the update needs. */
  readonly results: ReadonlyArray<string>
  readonly factors: ReadonlyArray<string>
  /** Inputs of the last run. OpenVINO refers to them until the next. */
  given: ReadonlyArray<Tensor>
}

const { folders, precision, system, threads } = workerData as Options
const FILE = /^(?:lib)?openvino_c(?:\.\d+)*\.(?:so|dylib|dll)(?:\.\d+)*$/
const ANYWHERE: Readonly<Record<string, string>> = { darwin: "libopenvino_c.dylib", win32: "openvino_c.dll" }
const models = new Map<number, Model>()
let opened = 0
let openvino: Library | undefined

const start = async (): Promise<Answer<"start">> => {
  const found = folders.filter((folder) => existsSync(folder)).flatMap((folder) =>
    readdirSync(folder).filter((name) => FILE.test(name)).map((name) => join(folder, name))
  )
  const failures: Array<string> = []
  for (const file of [...found, ...(system ? [ANYWHERE[process.platform] ?? "libopenvino_c.so"] : [])]) {
    // If one does not load, the next is tried.
    openvino ??= await Promise.resolve(file).then(load).catch((cause: unknown) => {
      failures.push(`${file} does not load: ${cause instanceof Error ? cause.message : cause}`)
      return undefined
    })
  }
  if (openvino === undefined) {
    const nowhere = folders.length === 0 ? [] : [`no libopenvino_c in ${folders.join(", ")}`]
    throw new Error([...(found.length === 0 ? nowhere : []), ...failures].join("; "))
  }
  const { capabilities, configure, version } = openvino
  // By default, OpenVINO computes in the fastest precision.
  configure("INFERENCE_PRECISION_HINT", precision === "bf16" ? "bf16" : "f32")
  configure("INFERENCE_NUM_THREADS", String(threads))
  return [{ version, threads, precisions: ["fp32", ...(capabilities.includes("BF16") ? ["bf16"] : [])] }]
}

const tensors = (arrays: Iterable<readonly [string, Elements]>): Map<string, Tensor> =>
  new Map(Array.from(arrays, ([name, elements]) => [name, openvino!.tensor(elements)]))

const packed = ({ data, dtype, shape }: Elements): Packed =>
  data instanceof BigInt64Array
    ? { shape, dtype: "int32", data: Int32Array.from(data, Number) }
    : data instanceof Float64Array
    ? { shape, dtype: "float32", data: Float32Array.from(data) }
    : data instanceof Uint16Array
    ? { shape, dtype: "float32", data: Float16.decode(data) }
    : { shape, dtype: dtype as Packed["dtype"], data }

const open = ({ adamw, files, held: arrays, model, updates }: Calls["open"]["ask"]): Answer<"open"> => {
  if (files.length > 0) {
    throw new Error(
      "OpenVINO takes a model in one file, and this one keeps numbers in others; save it in one file, or use ONNX Runtime"
    )
  }
  const compiled = openvino!.compile(model)
  const { inputs, outputs } = compiled
  const layout = AdamWKernel.layout(adamw, arrays)
  const held = tensors(Object.entries(arrays).map(([name, array]) => [name, layout.held.get(name) ?? array]))
  const gradients = tensors(layout.gradients)
  const replaced = new Set(updates.map((update) => update.output))
  const factors = new Set(adamw.flatMap((update) => Object.values(update.factors)))
  const made = outputs.map(({ name }) => name).filter((name) => !replaced.has(name) && !gradients.has(name))
  for (const { name } of inputs) if (held.has(name)) compiled.bind(name, held.get(name)!)
  for (const [name, tensor] of gradients) compiled.bind(name, tensor)
  const handle = opened++
  models.set(handle, {
    compiled,
    held,
    updates,
    spare: tensors(updates.map(({ input }) => [input, { ...arrays[input]!, data: arrays[input]!.data.slice() }])),
    gradients,
    calls: layout.calls,
    results: made.filter((name) => !factors.has(name)),
    factors: made.filter((name) => factors.has(name)),
    given: []
  })
  return [{ handle, inputs, outputs }]
}

const run = ({ handle, inputs }: Calls["run"]["ask"]): Answer<"run"> => {
  const model = models.get(handle)!
  const { calls, compiled, factors, held, results, spare, updates } = model
  const given = tensors(
    compiled.inputs.filter(({ name }) => !held.has(name)).map(({ dtype, name }) => {
      const { data, ...array } = inputs[name]!
      // Models of other tools have 64-bit indices, and numbers of 16 or 64 bits.
      if (dtype === "int64") return [name, { ...array, dtype, data: BigInt64Array.from(data, BigInt) }]
      if (dtype === "float64") return [name, { ...array, dtype, data: Float64Array.from(data) }]
      if (dtype === "float16") return [name, { ...array, dtype, data: Float16.encode(Float32Array.from(data)) }]
      return [name, { ...array, data }]
    })
  )
  for (const [name, tensor] of given) compiled.bind(name, tensor)
  for (const { input, output } of updates) compiled.bind(output, spare.get(input)!)
  for (const tensor of model.given) openvino!.free(tensor)
  model.given = [...given.values()]
  compiled.run()
  const { arrays, buffers } = Protocol.packed(results.map((name) => [name, packed(compiled.result(name))]))
  const made = new Map(factors.map((name) => [name, Number(compiled.result(name).data[0])]))
  for (const { input } of updates) {
    const [present, next] = [held.get(input)!, spare.get(input)!]
    held.set(input, next)
    spare.set(input, present)
    compiled.bind(input, next)
  }
  AdamWKernel.update(calls, (name) => made.get(name)!)
  return [arrays, buffers]
}

const read = ({ handle }: Calls["read"]["ask"]): Answer<"read"> => {
  const { arrays, buffers } = Protocol.packed(
    Array.from(models.get(handle)!.held, ([name, { elements }]) => [name, packed(elements)])
  )
  return [arrays, buffers]
}

const owned = ({ gradients, held, spare }: Model): ReadonlyArray<Tensor> =>
  [held, spare, gradients].flatMap((map) => Array.from(map.values()))

const close = ({ handle }: Calls["close"]["ask"]): Answer<"close"> => {
  const model = models.get(handle)!
  models.delete(handle)
  model.compiled.close()
  for (const tensor of [...owned(model), ...model.given]) openvino!.free(tensor)
  return [undefined]
}

const memory = (): Answer<"memory"> => {
  const all = Array.from(models.values()).flatMap(owned)
  const bytes = all.reduce((sum, { elements }) => sum + elements.data.byteLength, 0)
  return [{ handles: models.size, tensors: all.length, bytes }]
}

serve({ start, open, run, read, close, memory })
