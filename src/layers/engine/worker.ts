/** The thread in which ONNX Runtime lives: it holds models and states, and takes one call at a time. */
import { workerData } from "node:worker_threads"
import { InferenceSession, listSupportedBackends, Tensor } from "onnxruntime-node"
import type { Update } from "../../compiler/Trace.ts"
import * as Adamw from "./adamw.ts"
import { physicalCores } from "./processor.ts"
import * as Protocol from "./protocol.ts"
import type { Calls, Memory, Options, Packed, Port } from "./protocol.ts"
import { type Answer, serve } from "./serve.ts"

interface Model {
  readonly session: InferenceSession
  /** What the program reads; it may need less than it is given. */
  readonly inputs: ReadonlyArray<Port>
  readonly held: Map<string, Tensor>
  readonly updates: ReadonlyArray<Update>
  /** Second buffers of the updates that may not be made in place. */
  readonly spare: Map<string, Tensor>
  readonly gradients: ReadonlyMap<string, Tensor>
  readonly calls: Adamw.Layout["calls"]
  /** What runs answer with, and what they make for the update. */
  readonly results: ReadonlyArray<string>
  readonly factors: ReadonlyArray<string>
}

const options = workerData as Options
const models = new Map<number, Model>()
let opened = 0

const threads = options.threads ?? physicalCores()

const tensor = ({ data, dtype, shape }: Packed): Tensor => new Tensor(dtype, data, [...shape])

const empty = (like: Tensor): Tensor =>
  new Tensor(like.type, (like.data as Float32Array).slice().fill(0), [...like.dims])

// Indices of models made elsewhere are 64-bit, on the way in and on the way out.
const widened = ({ data, shape }: Packed): Tensor =>
  new Tensor("int64", BigInt64Array.from(data, (value) => BigInt(value)), [...shape])

const array = ({ data, dims, type }: Tensor): Packed =>
  data instanceof BigInt64Array
    ? { shape: dims, dtype: "int32", data: Int32Array.from(data, Number) }
    : { shape: dims, dtype: type as Packed["dtype"], data: data as Float32Array }

const ports = (metadata: InferenceSession["inputMetadata"]): ReadonlyArray<Port> =>
  metadata.map((value) => ({
    name: value.name,
    shape: value.isTensor ? value.shape.map((dim) => (typeof dim === "number" ? dim : -1)) : [],
    dtype: value.isTensor ? value.type : "unknown"
  }))

const open = async ({ adamw, held, model, updates }: Calls["open"]["ask"]): Promise<Answer<"open">> => {
  const session = await InferenceSession.create(model, {
    executionProviders: [options.provider],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    extra: {
      session: { intra_op: { allow_spinning: options.spin > 0 ? "1" : "0", spin_duration_us: String(options.spin) } }
    },
    executionMode: "sequential",
    enableMemPattern: false,
    graphOptimizationLevel: "all",
    // What goes wrong is thrown; it need not be printed as well.
    logSeverityLevel: 4
  })
  const apart = Adamw.layout(adamw, held)
  const tensors = new Map(Object.entries(held).map(([name, value]) => [name, tensor(apart.held.get(name) ?? value)]))
  const gradients = new Map(Array.from(apart.gradients, ([name, value]) => [name, tensor(value)]))
  const replaced = new Set(updates.map((update) => update.output))
  const factors = new Set(adamw.flatMap((call) => Object.values(call.factors)))
  const given = session.outputNames.filter((name) => !replaced.has(name) && !gradients.has(name))
  const handle = opened++
  const inputs = ports(session.inputMetadata)
  models.set(handle, {
    session,
    inputs,
    held: tensors,
    updates,
    spare: new Map(updates.filter((update) => !update.inPlace).map(({ input }) => [input, empty(tensors.get(input)!)])),
    gradients,
    calls: apart.calls,
    results: given.filter((name) => !factors.has(name)),
    factors: given.filter((name) => factors.has(name))
  })
  return [{ handle, inputs, outputs: ports(session.outputMetadata) }]
}

const run = async ({ handle, inputs: given }: Calls["run"]["ask"]): Promise<Answer<"run">> => {
  const { calls, factors, gradients, held, inputs, results, session, spare, updates } = models.get(handle)!
  const feeds = Object.fromEntries(inputs.map(({ dtype, name }) => {
    const value = held.get(name)
    return [name, value ?? (dtype === "int64" ? widened(given[name]!) : tensor(given[name]!))]
  }))
  const fetches: Record<string, Tensor | null> = Object.fromEntries([
    ...[...results, ...factors].map((name) => [name, null] as const),
    ...gradients
  ])
  for (const { inPlace, input, output } of updates) fetches[output] = inPlace ? held.get(input)! : spare.get(input)!
  const found = await session.run(feeds, fetches)
  for (const { inPlace, input } of updates) {
    if (inPlace) continue
    const [present, next] = [held.get(input)!, spare.get(input)!]
    held.set(input, next)
    spare.set(input, present)
  }
  Adamw.update(calls, (name) => Number((found[name]!.data as Float32Array)[0]))
  const { arrays, buffers } = Protocol.packed(results.map((name) => [name, array(found[name] as Tensor)]))
  return [arrays, buffers]
}

const read = ({ handle }: Calls["read"]["ask"]): Answer<"read"> => {
  const { arrays, buffers } = Protocol.packed(
    Array.from(models.get(handle)!.held, ([name, value]) => [name, array(value)])
  )
  return [arrays, buffers]
}

const close = async ({ handle }: Calls["close"]["ask"]): Promise<Answer<"close">> => {
  const model = models.get(handle)
  models.delete(handle)
  await model?.session.release()
  return [undefined]
}

const memory = (): Memory => {
  const tensors = Array.from(models.values()).flatMap(({ gradients, held, spare }) => [held, spare, gradients]).flatMap(
    (map) => Array.from(map.values())
  )
  const bytes = tensors.reduce((sum, { data }) => sum + (data as Float32Array).byteLength, 0)
  return { handles: models.size, tensors: tensors.length, bytes }
}

serve({
  start: () => [{ threads, providers: listSupportedBackends().map(({ name }) => name), precisions: ["fp32"] }],
  open,
  run,
  read,
  close,
  memory: () => [memory()]
})
