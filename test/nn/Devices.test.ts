import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as XlaProgram from "../../src/compiler/programs/XlaProgram.ts"
import * as Engine from "../../src/layers/engine/Engine.ts"
import * as Executable from "../../src/layers/pjrt/Executable.ts"
import * as XlaSession from "../../src/layers/pjrt/XlaSession.ts"
import * as Kmeans from "../../src/nn/tokenizer/Kmeans.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import { l2Normalize } from "../../src/shapes/Normalization.ts"
import type { HostOf, TrainStep } from "../../src/shapes/Step.ts"
import type { Tensor } from "../../src/shapes/Tensor.ts"
import * as Tree from "../../src/shapes/Tree.ts"
import { type CpuPlugin, NOTHING, onNewest } from "../layers/pjrt/cpuPlugin.ts"
import { casesOf } from "./steps.ts"

const STEPS = Array.from({ length: 10 }, (_, i) => i)
const RELATIVE = 2e-5

interface Case<S, B, M> {
  readonly step: TrainStep<S, B, M>
  readonly state: (seed: number) => HostOf<S>
  readonly batch: (seed: number) => HostOf<B>
}

const named = (group: string, tree: object): XlaSession.Arrays =>
  Object.fromEntries(Tree.leaves<HostTensor.Any>(tree).map(([path, leaf]) => [`${group}.${path}`, leaf]))

const compile: XlaSession.Compile = (client, { devices, text }) =>
  Effect.acquireRelease(
    client.handles.attempt(() =>
      Executable.compile(client, text, { replicas: devices, flags: { xla_backend_optimization_level: 0n } })
    ),
    (made) => Effect.sync(() => Executable.free(client, made))
  )

type Arrays = ReadonlyMap<string, HostTensor.Any>

const listed = (steps: ReadonlyArray<XlaSession.Arrays>): Arrays =>
  new Map(steps.flatMap((arrays, i) => Object.entries(arrays).map(([name, array]) => [`${i} ${name}`, array])))

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

const compare = (found: Arrays, expected: Arrays) => {
  for (const [name, { data }] of expected) {
    const largest = Math.max(1e-6, ...Array.from(data, Math.abs))
    data.forEach((x, at) => assert.closeTo(found.get(name)!.data[at]!, x, RELATIVE * largest, name))
  }
}

const agrees = <S, B, M>(plugin: CpuPlugin, name: string, of: Case<S, B, M>, devices = 4) =>
  it.effect(`${name}, on ${devices} devices`, () =>
    Effect.gen(function*() {
      compare(yield* together(plugin, of, devices), yield* Effect.provide(alone(of), Engine.layerOnnx()))
    }), 180_000)

interface Vectors {
  readonly vectors: Tensor<[8, 2]>
  readonly start: Tensor<[3], "int32">
}

const clusters: Case<{ readonly means: Tensor<[3, 2]> }, Vectors, { readonly counts: Tensor<[3]> }> = {
  step: {
    name: "clusters",
    state: { means: { shape: [3, 2], dtype: "float32" } },
    batch: {
      vectors: { shape: [8, 2], dtype: "float32", split: "rows" },
      start: { shape: [3], dtype: "int32" }
    },
    run: (_, { start, vectors }) => {
      const { counts, means } = Kmeans.kmeans(l2Normalize(vectors), start, 3)
      return { metrics: { counts }, state: { means } }
    }
  },
  state: () => ({ means: HostTensor.zeros([3, 2], "float32") }),
  batch: (seed) => ({
    vectors: HostTensor.make([8, 2], "float32", Float32Array.from({ length: 16 }, (_, i) => Math.sin(seed + 7 * i))),
    start: HostTensor.make([3], "int32", Int32Array.of(7, 0, 1 + seed % 6))
  })
}

const { decoder, finetune, pretrain, segment, tokenizer } = casesOf({ image: 16, batch: 4, small: true })

onNewest("ten steps are those of one device", (plugin) => {
  agrees(plugin, "tokenizer", tokenizer)
  agrees(plugin, "k-means", clusters, 2)
  agrees(plugin, "pretraining", pretrain)
  agrees(plugin, "fine-tuning", finetune)
  agrees(plugin, "segmentation", segment)
  agrees(plugin, "a pixel decoder", decoder)
})
