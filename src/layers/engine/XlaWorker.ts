/**
 * The worker thread of XLA. It holds programs and their states on devices, and takes one call at a time. The batch of the next step
 * goes to the devices while a step runs.
 */
import { Effect, Exit, Option, Result, Scope } from "effect"
import { availableParallelism } from "node:os"
import { deserialize } from "node:v8"
import { workerData } from "node:worker_threads"
import * as Split from "../../compiler/trace/Split.ts"
import * as Files from "../files/Files.ts"
import * as Client from "../pjrt/Client.ts"
import type { CompileOptions } from "../pjrt/CompileOptions.ts"
import * as DeviceArray from "../pjrt/DeviceArray.ts"
import * as DeviceMemory from "../pjrt/DeviceMemory.ts"
import * as Executable from "../pjrt/Executable.ts"
import * as KeyValueStore from "../pjrt/KeyValueStore.ts"
import { PjrtError } from "../pjrt/PjrtError.ts"
import * as Plugin from "../pjrt/Plugin.ts"
import * as XlaSession from "../pjrt/XlaSession.ts"
import { StateLost, TooLarge } from "../pjrt/XlaSessionError.ts"
import type { Collectives, CollectivesOrigin, MpiOrigin } from "../ranks/Collectives.ts"
import * as Connection from "../ranks/Connection.ts"
import { CollectivesUnavailable, FINITE, NotTaken, OutOfMemory, StateCorrupted } from "./EngineError.ts"
import * as Protocol from "./Protocol.ts"
import type { Answer, Arrays, Calls, Request } from "./Protocol.ts"
import { serve } from "./Serve.ts"
import * as TensorFloat32 from "./TensorFloat32.ts"

/** Options of the thread: the plugin's file, the number of devices that train together, and the options of its client and its compiler. */
export interface Options {
  readonly file: string
  readonly devices: number
  readonly options: Client.Options
  readonly compiler: CompileOptions
  /** The connection to the other ranks; absent for one rank. */
  readonly ranks: CollectivesOrigin | undefined
  /** What ranks need whose devices run programs together; absent if their sums are taken on the host. */
  readonly inside: Inside | undefined
}

/** The connection of a client to those of the other ranks, and the number of its keys and values among those of this process. */
interface Inside {
  readonly ranks: MpiOrigin
  readonly store: number
}

interface Open {
  readonly session: XlaSession.Session
  readonly scope: Scope.Closeable
  /** The number of steps that were taken, without those that changed nothing. */
  taken: number
  isLost: boolean
}

const { compiler, devices, file, inside, options, ranks } = workerData as Options
const opened = new Map<number, Open>()
const compiled = new Map<string, Executable.Executable>()
let handles = 0
let client: Client.Client | undefined
let freed: Effect.Effect<void> = Effect.void
let collectives: Collectives | undefined
let assignment: ReadonlyArray<number> | undefined

const held = (): Protocol.Memory => {
  const all = client!.handles.alive("buffer")
  const device = Client.memory(client!, client!.devices[0]!)
  return {
    handles: opened.size,
    tensors: all.length,
    bytes: all.reduce((sum, array) => sum + DeviceArray.size(client!, array), 0),
    ...(device && { device })
  }
}

/** Names what is alive on the device. */
const alive = (): string => {
  const { bytes, device, tensors } = held()
  const own = `${tensors} arrays with ${megabytes(bytes)} were alive`
  return device === undefined
    ? own
    : `${own}, and of the device's ${megabytes(device.limit ?? NaN)} ${megabytes(device.inUse)} were in use`
}

const megabytes = (bytes: number): string => `${Math.round(bytes / 1e6)} MB`

const failureOf = (error: { readonly finding: string }): Error => {
  if (error instanceof CollectivesUnavailable) return error
  if (error instanceof StateLost) return new StateCorrupted({ step: error.step, detail: error.reason.finding })
  return error instanceof TooLarge || (error instanceof PjrtError && error.code === "RESOURCE_EXHAUSTED")
    ? new OutOfMemory({ detail: `${error.finding}; ${alive()}` })
    : new Error(error.finding)
}

const told = <A, E extends { readonly finding: string }>(result: Result.Result<A, E>): A =>
  Result.getOrThrowWith(result, failureOf)

const answer = <A, E extends { readonly finding: string }>(effect: Effect.Effect<A, E>): A =>
  told(Effect.runSync(Effect.result(effect)))

/** Returns a result, and the scope in which it lives. */
const scoped = <A, E extends { readonly finding: string }>(
  effect: Effect.Effect<A, E, Scope.Scope>
): readonly [result: A, scope: Scope.Closeable] => {
  const scope = Effect.runSync(Scope.make())
  const closing = Effect.tapError(
    Effect.provideService(effect, Scope.Scope, scope),
    () => Scope.close(scope, Exit.void)
  )
  return [answer(closing), scope]
}

/** Opens the client. Inside of the programs of several ranks, it has the first device of this process alone. */
const opening = Effect.gen(function*() {
  const plugin = yield* Plugin.load(file)
  if (inside === undefined) return yield* Client.open(plugin, options)
  const { ranks: { rank, size }, store } = inside
  const functions = yield* KeyValueStore.open(inside.ranks, store)
  const together: Client.Options = { ...options, node_id: BigInt(rank), num_nodes: BigInt(size) }
  const made = yield* Effect.mapError(
    Client.open(plugin, together, functions),
    (error) =>
      error.detail.includes("Unexpected option name") ? new CollectivesUnavailable({ problem: error.finding }) : error
  )
  const firsts = Client.firsts(made)
  if (firsts.length !== size) {
    return yield* new CollectivesUnavailable({ problem: `the plugin finds ${firsts.length} of ${size} processes` })
  }
  assignment = firsts.map(({ id }) => id)
  return { ...made, devices: made.devices.filter(({ id }) => id === firsts[rank]!.id) }
})

const start = async (): Promise<Answer<"start">> => {
  // The client lives until the thread ends.
  const scope = Effect.runSync(Scope.make())
  freed = Scope.close(scope, Exit.void)
  const opened = await Effect.runPromise(Effect.result(Effect.provideService(opening, Scope.Scope, scope)))
  const made = told(opened)
  client = made
  if (ranks !== undefined) collectives = Connection.open(ranks)
  const found = made.devices.length
  if (found < devices) throw new Error(`the plugin has ${found} of the ${devices} devices`)
  const [device] = made.devices
  return [{
    version: `${made.platform} (PJRT ${made.plugin.version}${device === undefined ? "" : `, ${device.kind}`})`,
    threads: made.platform === "cpu" ? availableParallelism() : 1,
    precisions: ["fp32", ...(made.platform === "cuda" && TensorFloat32.isOffered() ? ["tf32"] : []), "bf16"]
  }]
}

interface Compiled {
  readonly executable: Executable.Executable
  /** The text or the digests of the bytes that it is known by. */
  readonly keys: ReadonlyArray<string>
  /** The executable as bytes, if it was compiled now. */
  readonly bytes?: Uint8Array
  readonly refused?: string
}

/** Loads a compiled program from bytes, or compiles its text. */
const made = Effect.fnUntraced(function*(
  given: Client.Client,
  { devices, replicas, text }: Pick<XlaSession.Program, "text" | "devices" | "replicas">,
  stored: Uint8Array | undefined
) {
  if (replicas !== undefined) {
    // All ranks compile at the same time and try kernels together. They would wait for one that loads, and another program would hang the step.
    const together = { ...compiler, replicas, ...(assignment && { assignment }) }
    const executable = yield* given.handles.attempt(() => Executable.compile(given, text, together))
    return { executable, keys: [text] } satisfies Compiled as Compiled
  }
  const loaded = stored && (yield* Effect.result(given.handles.attempt(() => Executable.deserialize(given, stored))))
  if (loaded !== undefined && Result.isSuccess(loaded)) {
    return { executable: loaded.success, keys: [Files.sha256(stored!)] } satisfies Compiled
  }
  const executable = yield* given.handles.attempt(() =>
    Executable.compile(given, text, { ...compiler, replicas: devices })
  )
  // A plugin that cannot say its programs as bytes compiles them each time.
  const bytes = Option.getOrUndefined(
    yield* Effect.option(given.handles.attempt(() => Executable.serialize(given, executable)))
  )
  const compiled: Compiled = {
    executable,
    keys: bytes === undefined ? [text] : [text, Files.sha256(bytes)],
    ...(bytes && { bytes }),
    ...(loaded && { refused: loaded.failure.finding })
  }
  return compiled
})

const open = ({ compiled: stored, held: given, model }: Calls["open"]["ask"]): Answer<"open"> => {
  const program: XlaSession.Program = deserialize(model)
  let fresh: Compiled | undefined
  // Evaluations open the same program again and again. Compiled programs live as long as the thread.
  const compile: XlaSession.Compile = (given, one) => {
    // What runs before the last module of a step is compiled each time.
    const isLast = one.text === program.text
    const bytes = isLast ? stored : undefined
    const known = compiled.get(bytes === undefined ? one.text : Files.sha256(bytes))
    if (known !== undefined) return Effect.as(DeviceMemory.holdsCall(given, known), known)
    return Effect.flatMap(made(given, one, bytes), (one) => {
      if (isLast) fresh = one
      for (const key of one.keys) compiled.set(key, one.executable)
      return Effect.as(DeviceMemory.holdsCall(given, one.executable), one.executable)
    })
  }
  const { batch, devices, results, state } = program
  const fits = Effect.andThen(
    DeviceMemory.holdsArrays(client!, [...state, ...Split.specs(batch, devices), ...results]),
    DeviceMemory.canCount(client!, program.text)
  )
  const sum: XlaSession.Sum = (values) => collectives!.sum(values)
  const [session, scope] = scoped(Effect.andThen(fits, XlaSession.open(client!, program, given, compile, sum)))
  const handle = handles++
  opened.set(handle, { session, scope, taken: 0, isLost: false })
  const { bytes, refused } = fresh ?? {}
  return [{
    handle,
    inputs: [],
    outputs: [],
    ...(bytes && { compiled: bytes }),
    ...(refused !== undefined && { refused })
  }]
}

const sent = new Map<Arrays, DeviceArray.Upload>()

// A second batch is brought to the device while a step runs. Further ones could take all of its memory.
const arrived = (request: Request): void => {
  if (request.name !== "run" || sent.size > 0) return
  const { handle, inputs } = request.ask
  const upload = Effect.runSync(Effect.option(opened.get(handle)!.session.send(inputs)))
  // What fails here is tried again in its turn.
  if (Option.isSome(upload)) sent.set(inputs, upload.value)
}

const isFinite = (results: Arrays): boolean =>
  FINITE.every((name) => Number.isFinite(results[`metrics.${name}`]?.data[0] ?? 0))

const run = async ({ after, handle, inputs }: Calls["run"]["ask"]): Promise<Answer<"run">> => {
  const found = opened.get(handle)!
  const upload = sent.get(inputs)
  sent.delete(inputs)
  if (after !== undefined && after !== found.taken) {
    if (upload !== undefined) DeviceArray.discard(client!, upload)
    throw new NotTaken()
  }
  const result = await Effect.runPromise(
    Effect.result(upload === undefined ? found.session.step(inputs) : found.session.take(upload))
  )
  if (Result.isFailure(result) && result.failure instanceof StateLost && !found.isLost) {
    found.isLost = true
    throw failureOf(result.failure.reason)
  }
  const results = told(result)
  if (isFinite(results)) found.taken++
  return Protocol.sent(results)
}

const close = ({ handle }: Calls["close"]["ask"]): Answer<"close"> => {
  const found = opened.get(handle)
  opened.delete(handle)
  if (found !== undefined) Effect.runSync(Scope.close(found.scope, Exit.void))
  return [undefined]
}

serve(
  {
    start,
    open,
    run,
    read: ({ handle }) => Protocol.sent(answer(opened.get(handle)!.session.read)),
    close,
    memory: () => [held()]
  },
  arrived,
  () => Effect.runPromise(freed)
)
