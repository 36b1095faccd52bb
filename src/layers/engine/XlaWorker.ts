/** The worker thread of XLA. It holds programs and their states on a device, and takes one call at a time. */
import { Effect, Exit, Result, Scope } from "effect"
import { availableParallelism } from "node:os"
import { deserialize } from "node:v8"
import { workerData } from "node:worker_threads"
import * as Client from "../pjrt/Client.ts"
import * as Executable from "../pjrt/Executable.ts"
import * as Plugin from "../pjrt/Plugin.ts"
import * as XlaSession from "../pjrt/XlaSession.ts"
import { StateLost } from "../pjrt/XlaSessionError.ts"
import * as Protocol from "./Protocol.ts"
import type { Answer, Calls } from "./Protocol.ts"
import { serve } from "./Serve.ts"
import * as TensorFloat32 from "./TensorFloat32.ts"

/** Options of the thread: the plugin's file, and the options of its client. */
export interface Options {
  readonly file: string
  readonly options: Client.Options
}

interface Open {
  readonly session: XlaSession.Session
  readonly scope: Scope.Closeable
}

const { file, options } = workerData as Options
const opened = new Map<number, Open>()
const compiled = new Map<string, Executable.Executable>()
let handles = 0
let client: Client.Client | undefined

// The engine itself knows that a failed step loses the state. It needs the reason.
const finding = (error: { readonly finding: string }): string =>
  error instanceof StateLost ? error.reason.finding : error.finding

const answer = <A, E extends { readonly finding: string }>(effect: Effect.Effect<A, E>): A =>
  Result.getOrThrowWith(Effect.runSync(Effect.result(effect)), (error) => new Error(finding(error)))

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

const start = (): Answer<"start"> => {
  // The client lives as long as the thread.
  const [made] = scoped(Effect.flatMap(Plugin.load(file), (plugin) => Client.open(plugin, options)))
  client = made
  const [device] = made.devices
  return [{
    version: `${made.platform} (PJRT ${made.plugin.version}${device === undefined ? "" : `, ${device.kind}`})`,
    threads: made.platform === "cpu" ? availableParallelism() : 1,
    precisions: ["fp32", ...(made.platform === "cuda" && TensorFloat32.isOffered() ? ["tf32"] : []), "bf16"]
  }]
}

// Evaluations open the same program again and again. Compiled programs live as long as the thread.
const compile: XlaSession.Compile = (given, text) => {
  const known = compiled.get(text)
  if (known !== undefined) return Effect.succeed(known)
  return Effect.map(given.handles.attempt(() => Executable.compile(given, text)), (made) => {
    compiled.set(text, made)
    return made
  })
}

const open = ({ held, model }: Calls["open"]["ask"]): Answer<"open"> => {
  const program: XlaSession.Program = deserialize(model)
  const [session, scope] = scoped(XlaSession.open(client!, program, held, compile))
  const handle = handles++
  opened.set(handle, { session, scope })
  return [{ handle, inputs: [], outputs: [] }]
}

const close = ({ handle }: Calls["close"]["ask"]): Answer<"close"> => {
  const found = opened.get(handle)
  opened.delete(handle)
  if (found !== undefined) Effect.runSync(Scope.close(found.scope, Exit.void))
  return [undefined]
}

const memory = (): Answer<"memory"> => {
  // A lost state takes no memory.
  const nothing = () => ({ arrays: 0, bytes: 0 })
  const all = Array.from(opened.values(), ({ session }) => answer(Effect.orElseSucceed(session.memory, nothing)))
  return [{
    handles: all.length,
    tensors: all.reduce((sum, { arrays }) => sum + arrays, 0),
    bytes: all.reduce((sum, { bytes }) => sum + bytes, 0)
  }]
}

serve({
  start,
  open,
  run: ({ handle, inputs }) => Protocol.sent(answer(opened.get(handle)!.session.step(inputs))),
  read: ({ handle }) => Protocol.sent(answer(opened.get(handle)!.session.read)),
  close,
  memory
})
