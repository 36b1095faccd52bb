import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as OnnxProgram from "../../src/compiler/programs/OnnxProgram.ts"
import * as Engine from "../../src/layers/engine/Engine.ts"
import type * as HostTensor from "../../src/shapes/HostTensor.ts"
import type { HostOf, TrainStep } from "../../src/shapes/Step.ts"
import * as Tree from "../../src/shapes/Tree.ts"
import { type Candidate, onnx, openvino, present } from "../layers/engine/engines.ts"
import { cases, casesOf } from "./steps.ts"

interface Case<S, B, M> {
  readonly step: TrainStep<S, B, M>
  readonly state: (seed: number) => HostOf<S>
  readonly batch: (seed: number) => HostOf<B>
}

const RELATIVE = 1e-5

const engines = [["onnx", Engine.layerOnnx()], ["reference", Engine.layerReference]] as const

const leaves = (tree: object) => Tree.leaves<HostTensor.Any>(tree)

const trained = <S extends object, B, M extends object>({ batch, state, step }: Case<S, B, M>) =>
  Effect.gen(function*() {
    const engine = yield* Engine.Engine
    const handle = yield* engine.train(step, state(0))
    const metrics = yield* Effect.forEach([1, 2, 3, 4, 5], (seed) => handle.run(batch(seed)))
    return { metrics, state: (yield* handle.snapshot).state }
  }).pipe(Effect.scoped)

const agree = <S extends object, B, M extends object>(given: Case<S, B, M>, name: string) => {
  it.effect(name, () =>
    Effect.gen(function*() {
      const compiled = yield* Effect.provide(trained(given), Engine.layerOnnx())
      const eager = new Map(leaves(yield* Effect.provide(trained(given), Engine.layerReference)))
      for (const [path, { data }] of leaves(compiled)) {
        const expected = eager.get(path)!.data
        const size = Math.max(...Array.from(expected, Math.abs))
        data.forEach((x, at) => assert.closeTo(x, expected[at]!, RELATIVE * size, path))
      }
    }))
}

const poison = (tree: object, at: string): object =>
  Tree.map<object>(tree, (leaf, path) => {
    const { data, ...rest } = leaf as HostTensor.Any
    return { ...rest, data: path === at ? data.map(() => Number.NaN) : data }
  })

const paths = (tree: object, wanted: RegExp) =>
  leaves(tree).filter(([path, { dtype }]) => dtype === "float32" && wanted.test(path)).map(([path]) => path)

const refusesNaN = <S extends object, B extends object, M extends object>(
  { batch, state, step }: Case<S, B, M>,
  { layer, name }: Candidate,
  parameters: RegExp
) => {
  it.effect(`refuses a step in which any parameter or input is NaN, ${name}`, () =>
    Effect.gen(function*() {
      const engine = yield* Engine.Engine
      const refuses = Effect.fnUntraced(function*(path: string, handle: Engine.TrainHandle<S, B, M>, given: HostOf<B>) {
        const { reason } = yield* Effect.flip(handle.run(given))
        assert.strictEqual(reason._tag, "NonFinite", path)
      })
      for (const path of paths(state(0), parameters)) {
        const before = poison(state(0), path) as HostOf<S>
        yield* Effect.scoped(Effect.flatMap(engine.train(step, before), (handle) => refuses(path, handle, batch(1))))
      }
      const handle = yield* engine.train(step, state(0))
      for (const path of paths(batch(1), /^(?!hyper)/)) {
        yield* refuses(path, handle, poison(batch(1), path) as HostOf<B>)
      }
    }).pipe(Effect.provide(layer)), 120_000)
}

interface Overflow {
  readonly metric: "loss" | "gradientNorm"
  readonly values: Readonly<Record<string, number>>
}

const keeps = <S extends object, B, M extends object>(
  { batch, state, step }: Case<S, B, M>,
  { metric, values }: Overflow
) => {
  it.effect.each(engines)(`keeps its state when its ${metric} overflows, %s`, ([, layer]) =>
    Effect.gen(function*() {
      const before = Tree.map<HostOf<S>>(state(0), (leaf, path) => {
        const { data, dtype, shape } = leaf as HostTensor.Any
        const value = values[path.replace(/^parameters\./, "")]
        return value === undefined
          ? leaf
          : { shape, dtype, data: data.map((_, at) => (at % 2 === 0 ? value : 0 - value)) }
      })
      const handle = yield* (yield* Engine.Engine).train(step, before)
      const { message, reason } = yield* Effect.flip(handle.run(batch(1)))
      assert.instanceOf(reason, Engine.NonFinite)
      assert.strictEqual(reason.metric, metric)
      assert.match(message, /the (?:loss|norm of the gradients) of step 1 is (?:Infinity|NaN); lower the learning rate/)
      const kept = new Map(leaves((yield* handle.snapshot).state))
      for (const [path, { data }] of leaves(before)) assert.deepStrictEqual(kept.get(path)!.data, data, path)
    }).pipe(Effect.scoped, Effect.provide(layer)))
}

const check = <S extends object, B extends object, M extends object>(given: Case<S, B, M>) => {
  agree(given, "does the same compiled and step by step")
  refusesNaN(given, onnx, /^parameters\.(?!.*blocks\.[1-9])/)

  it.effect("keeps its compiled state when a gradient is not finite", () =>
    Effect.gen(function*() {
      const engine = yield* Engine.Engine
      const before = given.state(0)
      const handle = yield* engine.train(given.step, before)
      const poisoned = Tree.map<HostOf<B>>(given.batch(1) as object, (leaf, path) =>
        path === "images" ? { ...leaf, data: Float32Array.from((leaf as HostTensor.Any).data).with(5, NaN) } : leaf)
      const error = yield* Effect.flip(handle.run(poisoned))
      assert.strictEqual(error.reason._tag, "NonFinite")
      const kept = new Map(leaves((yield* handle.snapshot).state))
      for (const [path, { data }] of leaves(before)) {
        assert.deepStrictEqual(kept.get(path)!.data, data, path)
      }
      yield* handle.run(given.batch(2))
      const unharmed = yield* engine.train(given.step, before)
      yield* unharmed.run(given.batch(2))
      assert.deepStrictEqual((yield* handle.snapshot).state, (yield* unharmed.snapshot).state)
    }).pipe(Effect.scoped, Effect.provide(Engine.layerOnnx())))

  it("replaces parameters and moments in place", () => {
    const { updates } = OnnxProgram.trainStep(given.step)
    const elsewhere = updates.filter(({ inPlace }) => !inPlace).map(({ output }) => output)
    assert.deepStrictEqual(elsewhere.filter((output) => /^next\.(parameters|first|second)\./.test(output)), [])
  })
}

const toHead = (norm: string, head: string): Overflow => ({
  metric: "gradientNorm",
  values: { [`${norm}.bias`]: 1e25, [`${head}.weight`]: 0 }
})

const ofLogits = (head: string): Overflow => ({ metric: "loss", values: { [`${head}.bias`]: 3e38 } })

describe.each(present([openvino]))("an engine whose operators lose NaN, $name", (engine) => {
  refusesNaN(cases.plain, engine, /^parameters\.(?:patch_embed|.*0\.attn\.qkv)/)
})

describe("tokenizer", () => {
  check(cases.tokenizer)
  keeps(cases.tokenizer, toHead("encoder.fc_norm", "encode_task_layer.0"))
})

describe("pretrain", () => {
  check(cases.pretrain)
  keeps(cases.pretrain, toHead("norm", "lm_head"))
  keeps(cases.pretrain, ofLogits("lm_head"))
})

describe("pretrain without aggregation", () => {
  check(cases.plain)
  keeps(cases.plain, toHead("norm", "lm_head"))
  keeps(cases.plain, ofLogits("lm_head"))
})

describe("finetune", () => {
  check(cases.finetune)
  keeps(cases.finetune, toHead("fc_norm", "head"))
  keeps(cases.finetune, ofLogits("head"))
})

describe("segment", () => {
  check(cases.segment)
  keeps(cases.segment, ofLogits("decode_head.conv_seg"))
})

describe("decoder", () => {
  check(cases.decoder)
  keeps(cases.decoder, { metric: "loss", values: { "head.bias": 1e25 } })
})

describe.each([
  ["a batch of one", { image: 16, batch: 1 }],
  ["a grid of one patch", { image: 8, batch: 3 }]
])("%s does the same compiled and step by step", (_, sizes) => {
  const { finetune, plain, pretrain, tokenizer } = casesOf(sizes)
  agree(tokenizer, "as a tokenizer")
  agree(pretrain, "in pretraining")
  agree(plain, "in pretraining without aggregation")
  agree(finetune, "in fine-tuning")
})
