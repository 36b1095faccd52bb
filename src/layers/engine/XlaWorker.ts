/** The worker thread of XLA. It holds programs and their states on a device, and takes one call at a time. */
import { Effect, Exit, Result, Scope } from "effect"
import { availableParallelism } from "node:os"
import { deserialize } from "node:v8"
import { workerData } from "node:worker_threads"
import * as Client from "../pjrt/Client.ts"
import * as Plugin from "../pjrt/Plugin.ts"
import * as XlaSession from "../pjrt/XlaSession.ts"
import { StateLost } from "../pjrt/XlaSessionError.ts"
import type { Answer, Arrays, Calls } from "./Protocol.ts"
import { serve } from "./Serve.ts"

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
let handles = 0
let client: Client.Client | undefined

const answer = <A, E>(effect: Effect.Effect<A, E>): A => Result.getOrThrow(Effect.runSync(Effect.result(effect)))

/** Returns a result, and the scope in which it lives. */
const scoped = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>): readonly [result: A, scope: Scope.Closeable] => {
  const scope = Effect.runSync(Scope.make())
  const closing = Effect.tapError(
    Effect.provideService(effect, Scope.Scope, scope),
    () => Scope.close(scope, Exit.void)
  )
  return [answer(closing), scope]
}

const sent = (arrays: Arrays): Answer<"run"> => [
  arrays,
  Object.values(arrays).flatMap(({ data: { buffer } }) => (buffer instanceof ArrayBuffer ? buffer : []))
]

const start = (): Answer<"start"> => {
  // The client lives as long as the thread.
  const [made] = scoped(Effect.flatMap(Plugin.load(file), (plugin) => Client.open(plugin, options)))
  client = made
  const [device] = made.devices
  return [{
    version: `${made.platform} (PJRT ${made.plugin.version}${device === undefined ? "" : `, ${device.kind}`})`,
    threads: made.platform === "cpu" ? availableParallelism() : 1,
    precisions: ["fp32"]
  }]
}

const open = ({ held, model }: Calls["open"]["ask"]): Answer<"open"> => {
  const program: XlaSession.Program = deserialize(model)
  const [session, scope] = scoped(XlaSession.open(client!, program, held))
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
  // The engine itself knows that a failed step loses the state. It needs the reason.
  run: ({ handle, inputs }) =>
    sent(
      answer(Effect.mapError(opened.get(handle)!.session.step(inputs), (error) =>
        error instanceof StateLost ? new Error(error.reason.finding) : error))
    ),
  read: ({ handle }) => sent(answer(opened.get(handle)!.session.read)),
  close,
  memory
})
