/** The thread in which ONNX Runtime lives: it holds models and states, and takes one call at a time. */
import { InferenceSession, Tensor } from "onnxruntime-node"
import { parentPort, workerData } from "node:worker_threads"
import type { Arrays, Calls, Memory, Name, Options, Packed, Port, Request, Response, Update } from "./protocol.ts"

interface Model {
  readonly session: InferenceSession
  readonly held: Map<string, Tensor>
  readonly updates: ReadonlyArray<Update>
  /** Second buffers of the updates that may not be made in place. */
  readonly spare: Map<string, Tensor>
  readonly results: ReadonlyArray<string>
}

const options = workerData as Options
const models = new Map<number, Model>()
let opened = 0

const tensor = ({ data, dtype, shape }: Packed): Tensor => new Tensor(dtype, data, [...shape])

const empty = (like: Tensor): Tensor => {
  const { constructor } = like.data as Float32Array
  return new Tensor(like.type, new (constructor as Float32ArrayConstructor)(like.size) as never, [...like.dims])
}

const packed = ({ data, dims, type }: Tensor): Packed => {
  // Indices of models made elsewhere are 64-bit.
  if (data instanceof BigInt64Array) return { shape: dims, dtype: "int32", data: Int32Array.from(data, Number) }
  return { shape: dims, dtype: type as Packed["dtype"], data: data as Float32Array }
}

const ports = (metadata: InferenceSession["inputMetadata"]): ReadonlyArray<Port> =>
  metadata.map((value) => ({
    name: value.name,
    shape: value.isTensor ? value.shape.map((dim) => (typeof dim === "number" ? dim : -1)) : [],
    dtype: value.isTensor ? value.type : "unknown"
  }))

const open = async ({ held, model, updates }: Calls["open"]["ask"]): Promise<Calls["open"]["answer"]> => {
  const session = await InferenceSession.create(model, {
    executionProviders: [options.provider],
    intraOpNumThreads: options.threads,
    interOpNumThreads: 1,
    executionMode: "sequential",
    graphOptimizationLevel: "all"
  })
  const tensors = new Map(Object.entries(held).map(([name, array]) => [name, tensor(array)]))
  const replaced = new Set(updates.map((update) => update.output))
  const handle = opened++
  models.set(handle, {
    session,
    held: tensors,
    updates,
    spare: new Map(updates.filter((update) => !update.inPlace).map(({ input }) => [input, empty(tensors.get(input)!)])),
    results: session.outputNames.filter((name) => !replaced.has(name))
  })
  return { handle, inputs: ports(session.inputMetadata), outputs: ports(session.outputMetadata) }
}

const run = async ({ handle, inputs }: Calls["run"]["ask"]): Promise<Arrays> => {
  const { held, results, session, spare, updates } = models.get(handle)!
  const wanted = new Set(session.inputNames)
  const given = [...held, ...Object.entries(inputs).map(([name, array]) => [name, tensor(array)] as const)]
  const feeds = Object.fromEntries(given.filter(([name]) => wanted.has(name)))
  const fetches: Record<string, Tensor | null> = Object.fromEntries(results.map((name) => [name, null]))
  for (const { inPlace, input, output } of updates) fetches[output] = inPlace ? held.get(input)! : spare.get(input)!
  const found = await session.run(feeds, fetches)
  for (const { inPlace, input } of updates) {
    if (inPlace) continue
    const [present, next] = [held.get(input)!, spare.get(input)!]
    held.set(input, next)
    spare.set(input, present)
  }
  return Object.fromEntries(results.map((name) => [name, packed(found[name] as Tensor)]))
}

const read = ({ handle }: Calls["read"]["ask"]): Arrays =>
  Object.fromEntries(Array.from(models.get(handle)!.held, ([name, value]) => [name, packed(value)]))

const close = async ({ handle }: Calls["close"]["ask"]): Promise<undefined> => {
  const model = models.get(handle)
  models.delete(handle)
  await model?.session.release()
}

const bytes = (tensors: Iterable<Tensor>): number =>
  Array.from(tensors, ({ data }) => (data as Float32Array).byteLength).reduce((sum, n) => sum + n, 0)

const memory = (): Memory => {
  const tensors = Array.from(models.values()).flatMap(({ held, spare }) => [...held.values(), ...spare.values()])
  return { handles: models.size, tensors: tensors.length, bytes: bytes(tensors) }
}

const answer = (request: Request): Calls[Name]["answer"] | Promise<Calls[Name]["answer"]> => {
  switch (request.name) {
    case "open":
      return open(request.ask)
    case "run":
      return run(request.ask)
    case "read":
      return read(request.ask)
    case "close":
      return close(request.ask)
    case "memory":
      return memory()
  }
}

const port = parentPort!
let last: Promise<void> = Promise.resolve()
port.on("message", (request: Request) => {
  last = last.then(() => answer(request)).then(
    (found) => port.postMessage({ id: request.id, answer: found } satisfies Response),
    (cause: unknown) =>
      port.postMessage({
        id: request.id,
        failure: cause instanceof Error ? cause.message : String(cause)
      } satisfies Response)
  )
})
