/** The worker thread of TensorFlow. It holds tapes and states, and takes one call at a time. */
import * as tf from "@tensorflow/tfjs-core"
import koffi from "koffi"
import { availableParallelism } from "node:os"
import util from "node:util"
import { deserialize } from "node:v8"
import { workerData } from "node:worker_threads"
import type { StateUpdate } from "../../compiler/programs/Program.ts"
import type { Call, Constant, Tape } from "../../compiler/trace/Tape.ts"
import { roundsToBf16 } from "./Processor.ts"
import * as Protocol from "./Protocol.ts"
import type { Answer, Arrays, Calls, Packed } from "./Protocol.ts"
import { serve } from "./Serve.ts"

/** The properties that the packages' backend has. */
interface Backend {
  readonly binding: { readonly TF_Version: string }
  readonly isUsingGpuDevice: boolean
}

interface Model {
  readonly tape: Tape
  readonly held: Map<string, tf.Tensor>
  readonly updates: ReadonlyArray<StateUpdate>
}

const { packages, precision } = workerData as {
  readonly packages: ReadonlyArray<string>
  readonly precision: "fp32" | "bf16"
}
const models = new Map<number, Model>()
let opened = 0

const why = (name: string, cause: unknown): string => {
  if (!(cause instanceof Error)) return `${name}: ${cause}`
  const missing = "code" in cause && cause.code === "ERR_MODULE_NOT_FOUND"
  return missing ? `${name} is not installed` : `${name} does not load: ${cause.message.split("\n")[0]!.trim()}`
}

/** Tests whether matrix products are computed in bf16. bf16 cannot represent all digits of `exact`. */
const isRounding = (): boolean => {
  const side = 256
  const exact = 1 + 2 ** -10
  const product = scoped(() => tf.matMul(tf.fill([side, side], exact), tf.eye(side)).dataSync())
  return product[0] !== exact
}

const start = async (): Promise<Answer<"start">> => {
  // TensorFlow.js would print an advertisement.
  tf.env().set("PROD", true)
  // The packages call functions that Node 23 removed and Node 22 warns about.
  Object.assign(util, {
    isArray: Array.isArray,
    isNullOrUndefined: (value: unknown) => value === null || value === undefined
  })
  // Node keeps a copy of the environment for each worker; the library reads the process's own.
  if (process.platform === "linux") {
    const set = koffi.load(null).func("int setenv(str name, str value, int overwrite)")
    set("TF_SET_ONEDNN_FPMATH_MODE", precision === "bf16" ? "BF16" : "", 1)
    // TensorFlow's lines about the processor are unwanted, unless the user has set the variable.
    set("TF_CPP_MIN_LOG_LEVEL", "2", 0)
    if (precision === "bf16") set("TF_ENABLE_ONEDNN_OPTS", "1", 1)
  }
  const failures: Array<string> = []
  for (const name of packages) {
    if (tf.getBackend() === "tensorflow") break
    // If one does not load, the next is tried.
    await import(name).catch((cause: unknown) => failures.push(why(name, cause)))
  }
  if (tf.getBackend() !== "tensorflow") throw new Error(failures.join("; "))
  const backend: object = tf.backend()
  const { binding, isUsingGpuDevice } = backend as Backend
  return [{
    version: `${binding.TF_Version} ${isUsingGpuDevice ? "gpu" : "cpu"}`,
    threads: availableParallelism(),
    // bf16 can be tested only if it was requested. Otherwise the processor's features decide.
    precisions: (precision === "bf16" ? isRounding() : !isUsingGpuDevice && roundsToBf16())
      ? ["fp32", "bf16"]
      : ["fp32"]
  }]
}

const upload = ({ data, dtype, shape }: Packed): tf.Tensor => tf.tensor(data, [...shape], dtype)

const download = (tensor: tf.Tensor): Packed => ({
  shape: tensor.shape,
  dtype: tensor.dtype as Packed["dtype"],
  data: tensor.dataSync<"float32">()
})

/** Runs `body`. Frees every tensor that it made but did not keep, also if it throws. */
const scoped = <A>(body: () => A): A => {
  const results: Array<A> = []
  // `tf.tidy` would search a returned value for tensors, element by element.
  tf.tidy(() => {
    results.push(body())
  })
  return results[0]!
}

const made = ({ contents, dtype, shape }: Constant): tf.Tensor =>
  typeof contents === "number" ? tf.fill([...shape], contents, dtype) : upload({ shape, dtype, data: contents })

/** Calls the kernels of a tape. Held tensors stay. Every other tensor is freed after its last use. */
const play = ({ held, tape }: Model, given: Arrays): ReadonlyMap<string, tf.Tensor> => {
  const tensors = new Map<number, tf.Tensor>()
  const constants = new Map(tape.constants.map((constant) => [constant.tensor, constant]))
  const lent = new Set<number>()
  for (const { name, tensor } of tape.inputs) {
    const present = held.get(name)
    if (present !== undefined) lent.add(tensor)
    tensors.set(tensor, present ?? upload(given[name]!))
  }
  const found = (tensor: number): tf.Tensor => {
    const known = tensors.get(tensor)
    if (known !== undefined) return known
    const constant = made(constants.get(tensor)!)
    tensors.set(tensor, constant)
    return constant
  }
  const take = ({ attributes, inputs, kernel, last, listed, outputs }: Call): void => {
    const named = inputs.map(([key, tensor]) => [key, found(tensor)] as const)
    const read = listed ? named.map(([, tensor]) => tensor) : Object.fromEntries(named)
    // In the types of TensorFlow.js, a list of tensors is a record of tensors.
    const results = [tf.engine().runKernel(kernel, read as tf.NamedTensorMap, attributes)].flat() as Array<tf.Tensor>
    outputs.forEach((tensor, i) => tensors.set(tensor, results[i]!))
    for (const tensor of last) {
      if (!lent.has(tensor)) tensors.get(tensor)!.dispose()
      tensors.delete(tensor)
    }
  }
  for (const call of tape.calls) take(call)
  return new Map(tape.outputs.map(({ name, tensor }) => [name, found(tensor)]))
}

const open = ({ held, model, updates }: Calls["open"]["ask"]): Answer<"open"> => {
  const tensors = scoped(() =>
    new Map(Object.entries(held).map(([name, value]) => [name, tf.keep(upload(value))] as const))
  )
  const handle = opened++
  models.set(handle, { tape: deserialize(model) as Tape, held: tensors, updates })
  return [{ handle, inputs: [], outputs: [] }]
}

const run = ({ handle, inputs }: Calls["run"]["ask"]): Answer<"run"> => {
  const model = models.get(handle)!
  const replaced = new Set(model.updates.map(({ output }) => output))
  const { arrays, buffers } = scoped(() => {
    const outputs = play(model, inputs)
    const results = Array.from(outputs).filter(([name]) => !replaced.has(name))
    const packed = Protocol.packed(results.map(([name, tensor]) => [name, download(tensor)]))
    // A clone shares its elements with the output, which may also be an input, a constant or a metric.
    const next = model.updates.map(({ input, output }) => [input, outputs.get(output)!.clone()] as const)
    for (const [input, tensor] of next) {
      model.held.get(input)!.dispose()
      model.held.set(input, tf.keep(tensor))
    }
    return packed
  })
  return [arrays, buffers]
}

const read = ({ handle }: Calls["read"]["ask"]): Answer<"read"> => {
  const { arrays, buffers } = Protocol.packed(
    Array.from(models.get(handle)!.held, ([name, tensor]) => [name, download(tensor)] as const)
  )
  return [arrays, buffers]
}

const close = ({ handle }: Calls["close"]["ask"]): Answer<"close"> => {
  for (const tensor of models.get(handle)?.held.values() ?? []) tensor.dispose()
  models.delete(handle)
  return [undefined]
}

const memory = (): Answer<"memory"> => {
  const { numBytes, numTensors } = tf.memory()
  return [{ handles: models.size, tensors: numTensors, bytes: numBytes }]
}

serve({ start, open, run, read, close, memory })
