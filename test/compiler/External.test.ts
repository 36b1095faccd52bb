import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { InferenceSession, Tensor as OnnxTensor } from "onnxruntime-node"
import { accumulating, pretraining, small, tokenizing } from "../../benchmarks/steps.ts"
import { assembled } from "../../scripts/kernels.ts"
import * as OnnxProgram from "../../src/compiler/programs/OnnxProgram.ts"
import * as Presets from "../../src/domain/config/presets/Presets.ts"
import * as Steps from "../../src/laws/EngineSteps.ts"
import * as Engine from "../../src/layers/engine/Engine.ts"
import * as AdamW from "../../src/nn/optimizer/AdamW.ts"
import type * as HostTensor from "../../src/shapes/HostTensor.ts"
import * as Reduction from "../../src/shapes/Reduction.ts"
import type { HostOf, TrainStep } from "../../src/shapes/Step.ts"
import * as Tree from "../../src/shapes/Tree.ts"

const STEPS = 3

type BatchOf<B> = (step: number) => HostOf<B>

const named = (group: string, record: object) =>
  Tree.leaves<HostTensor.Any>(record).map(([path, { data, dtype, shape }]) =>
    [`${group}.${path}`, new OnnxTensor(dtype, data, [...shape])] as const
  )

const inGraph = async <S, B, M>(step: TrainStep<S, B, M>, state: HostOf<S>, batchOf: BatchOf<B>) => {
  const { bytes, graph: { inputs } } = OnnxProgram.trainStep(step)
  const session = await InferenceSession.create(bytes, { intraOpNumThreads: 1, logSeverityLevel: 4 })
  const given = new Map<string, OnnxTensor>(named("state", state as object))
  for (let i = 0; i < STEPS; i++) {
    for (const [name, value] of named("batch", batchOf(i) as object)) given.set(name, value)
    const results = await session.run(Object.fromEntries(inputs.map(({ name }) => [name, given.get(name)!])))
    for (const [path] of Tree.leaves(state as object)) given.set(`state.${path}`, results[`next.${path}`] as OnnxTensor)
  }
  return Tree.map<HostOf<S>>(state as object, (_, path) => given.get(`state.${path}`)!.data)
}

const onEngine = <S, B, M>(step: TrainStep<S, B, M>, state: HostOf<S>, batchOf: BatchOf<B>) =>
  Effect.gen(function*() {
    const handle = yield* (yield* Engine.Engine).train(step, state)
    for (let i = 0; i < STEPS; i++) yield* handle.run(batchOf(i))
    return Tree.map<object>((yield* handle.snapshot).state as object, (leaf) => (leaf as HostTensor.Any).data)
  }).pipe(Effect.scoped, Effect.provide(Engine.layerOnnx({ threads: 1 })))

const equal = Effect.fnUntraced(function*<S, B, M>(step: TrainStep<S, B, M>, state: HostOf<S>, batchOf: BatchOf<B>) {
  const expected = yield* Effect.promise(() => inGraph(step, state, batchOf))
  assert.deepStrictEqual(yield* onEngine(step, state, batchOf), expected)
})

const reading = (of: "parameters" | "first" | "second"): typeof Steps.regression => ({
  ...Steps.regression,
  run: (state, batch) => {
    const { metrics, state: next } = Steps.regression.run(state, batch)
    return { metrics: { ...metrics, norms: [Reduction.globalNorm(next[of])] }, state: next }
  }
})

describe("updates that a program leaves to the engine", () => {
  it("are those of all parameters", () => {
    const { adamw, updates } = OnnxProgram.trainStep(Steps.regression, { external: true })
    assert.deepStrictEqual(
      adamw.map(({ first, gradient, parameter, second }) => [parameter, first, second, gradient]),
      [
        ["state.parameters.weight", "state.first.weight", "state.second.weight", "gradient.parameters.weight"],
        ["state.parameters.bias", "state.first.bias", "state.second.bias", "gradient.parameters.bias"]
      ]
    )
    assert.deepStrictEqual(updates, [])
  })

  it.effect("give the bits that the graph would", () => equal(Steps.regression, Steps.initial(), Steps.batch))

  it("take gradients as transposes where a weight has more rows than columns", () => {
    const { adamw, graph: { outputs } } = OnnxProgram.trainStep(pretraining(Presets.tiny, 4).step, { external: true })
    const [block] = pretraining(Presets.tiny, 4).step.state.parameters.blocks
    const [rows, columns] = block!.attn.qkv.weight.shape
    const own = adamw.filter(({ parameter }) => parameter.startsWith("state.parameters.blocks.0"))
    assert.deepStrictEqual(own.filter(({ transposed }) => transposed).map(({ parameter }) => parameter), [
      "state.parameters.blocks.0.attn.qkv.weight",
      "state.parameters.blocks.0.mlp.fc1.weight"
    ])
    assert.deepStrictEqual(outputs.find(({ name }) => name === "gradient.parameters.blocks.0.attn.qkv.weight")?.shape, [
      columns,
      rows
    ])
  })

  it("take the gradient of a weight that is used twice as one transpose", () => {
    const { adamw } = OnnxProgram.trainStep(pretraining(small, 2).step, { external: true })
    assert.isTrue(adamw.find(({ parameter }) => parameter === "state.parameters.lm_head.weight")?.transposed)
  })

  it.effect("of several steps give the bits that the graph would", () => {
    const { batch, state, step } = pretraining(accumulating(Presets.tiny, 2), 4)
    const { adamw, updates } = OnnxProgram.trainStep(step, { external: true })
    assert.deepStrictEqual(
      adamw.map(({ mean }) => mean),
      Tree.leaves(step.state.mean!).map(([path]) => `state.mean.${path}`)
    )
    assert.deepStrictEqual(updates, [])
    const { optimizer } = Presets.tiny.pretrain
    return equal(step, state(), (i) => ({ ...batch, hyper: AdamW.hyper(i, 1e-3, { ...optimizer, accumulate: 2 }) }))
  })

  it.effect("of pretraining give the bits that the graph would", () => {
    const { batch, state, step } = pretraining(Presets.tiny, 4)
    return equal(step, state(), () => batch)
  })

  it.effect("of a tokenizer give the bits that the graph would, beside those that stay", () => {
    const { batch, state, step } = tokenizing(Presets.tiny, 4)
    const { updates } = OnnxProgram.trainStep(step, { external: true })
    assert.deepStrictEqual(updates.map(({ input }) => input), [
      "state.quantize.embedding.weight",
      "state.quantize.cluster_size"
    ])
    return equal(step, state(), () => batch)
  })

  for (const  of of["parameters", "first", "second"] as const) {
    it.effect(`are none where the graph reads what they make: ${of}`, () => {
      assert.deepStrictEqual(OnnxProgram.trainStep(reading(of), { external: true }).adamw, [])
      return equal(reading(of), Steps.initial(), Steps.batch)
    })
  }

  it.effect("are none where states change places", () => {
    const swapped: typeof Steps.regression = {
      ...Steps.regression,
      run: (state, batch) => {
        const { metrics, state: { first, parameters, second } } = Steps.regression.run(state, batch)
        return { metrics, state: { parameters: first, first: parameters, second } }
      }
    }
    assert.deepStrictEqual(OnnxProgram.trainStep(swapped, { external: true }).adamw, [])
    return equal(swapped, Steps.initial(), Steps.batch)
  })

  it("run on the kernel that its source says", async () => {
    const file = new URL("../../src/layers/engine/wasm/AdamWKernelWasm.ts", import.meta.url)
    assert.strictEqual(readFileSync(file, "utf8"), await assembled("layers/engine/wasm/AdamWKernel"))
  })
})
