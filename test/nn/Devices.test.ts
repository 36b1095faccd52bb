import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as XlaProgram from "../../src/compiler/programs/XlaProgram.ts"
import * as Engine from "../../src/layers/engine/Engine.ts"
import * as Executable from "../../src/layers/pjrt/Executable.ts"
import * as XlaSession from "../../src/layers/pjrt/XlaSession.ts"
import { type CpuPlugin, NOTHING, onNewest } from "../layers/pjrt/cpuPlugin.ts"
import { clusters } from "./clusters.ts"
import { type Case, close, listed, named } from "./compared.ts"
import { casesOf } from "./steps.ts"

const STEPS = Array.from({ length: 10 }, (_, i) => i)

const compile: XlaSession.Compile = (client, { devices, text }) =>
  Effect.acquireRelease(
    client.handles.attempt(() =>
      Executable.compile(client, text, { replicas: devices, flags: { xla_backend_optimization_level: 0n } })
    ),
    (made) => Effect.sync(() => Executable.free(client, made))
  )

const together = Effect.fnUntraced(function*<S, B, M>({ opened }: CpuPlugin, of: Case<S, B, M>, devices: number) {
  const client = yield* opened({ cpu_device_count: BigInt(devices) })
  const found = yield* Effect.scoped(Effect.gen(function*() {
    const program = XlaProgram.trainStep(of.step, { devices })
    const session = yield* XlaSession.open(client, program, named("state", of.state(0) as object), compile)
    const metrics = yield* Effect.forEach(STEPS, (seed) => session.step(named("batch", of.batch(seed) as object)))
    return listed([...metrics, yield* session.read])
  }))
  assert.deepStrictEqual(client.handles.counts, NOTHING)
  return found
}, Effect.scoped)

const alone = Effect.fnUntraced(function*<S, B, M>({ batch, state, step }: Case<S, B, M>) {
  const handle = yield* (yield* Engine.Engine).train(step, state(0))
  const metrics = yield* Effect.forEach(STEPS, (seed) => handle.run(batch(seed)))
  const after = (yield* handle.snapshot).state
  return listed([...metrics.map((one) => named("metrics", one as object)), named("state", after as object)])
}, Effect.scoped)

const agrees = <S, B, M>(plugin: CpuPlugin, name: string, of: Case<S, B, M>, devices = 4) =>
  it.effect(`${name}, on ${devices} devices`, () =>
    Effect.gen(function*() {
      close(yield* together(plugin, of, devices), yield* Effect.provide(alone(of), Engine.layerOnnx()))
    }), 180_000)

const { decoder, finetune, pretrain, segment, tokenizer } = casesOf({ image: 16, batch: 4, small: true })

onNewest("ten steps are those of one device", (plugin) => {
  agrees(plugin, "tokenizer", tokenizer)
  agrees(plugin, "k-means", clusters, 2)
  agrees(plugin, "pretraining", pretrain)
  agrees(plugin, "fine-tuning", finetune)
  agrees(plugin, "segmentation", segment)
  agrees(plugin, "a pixel decoder", decoder)
})
