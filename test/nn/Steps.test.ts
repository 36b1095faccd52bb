import { assert, describe, layer, type Vitest } from "@effect/vitest"
import { Effect } from "effect"
import * as OnnxProgram from "../../src/compiler/programs/OnnxProgram.ts"
import * as Engine from "../../src/layers/engine/Engine.ts"
import * as Elementwise from "../../src/shapes/Elementwise.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import type { HostOf, SpecOf, TrainStep } from "../../src/shapes/Step.ts"
import type * as Tensor from "../../src/shapes/Tensor.ts"
import * as Tree from "../../src/shapes/Tree.ts"
import { on, openvino } from "../layers/engine/engines.ts"
import { cases, casesOf } from "./steps.ts"

interface Case<S, B, M> {
  readonly step: TrainStep<S, B, M>
  readonly state: (seed: number) => HostOf<S>
  readonly batch: (seed: number) => HostOf<B>
}

const RELATIVE = 1e-5

type It = Vitest.MethodsNonLive<Engine.Engine>

const leaves = (tree: object) => Tree.leaves<HostTensor.Any>(tree)

const trained = <S extends object, B, M extends object>({ batch, state, step }: Case<S, B, M>) =>
  Effect.gen(function*() {
    const engine = yield* Engine.Engine
    const handle = yield* engine.train(step, state(0))
    const metrics = yield* Effect.forEach([1, 2, 3, 4, 5], (seed) => handle.run(batch(seed)))
    return { metrics, state: (yield* handle.snapshot).state }
  }).pipe(Effect.scoped)

const agree = <S extends object, B, M extends object>(it: It, given: Case<S, B, M>, name: string) => {
  it.effect(name, () =>
    Effect.gen(function*() {
      const compiled = yield* trained(given)
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

interface Shifted<B> {
  readonly given: B
  readonly shift: object
}

/** Measures the step with a number added to each parameter, so that one handle takes NaN in any of them. */
const shifted = <S extends object, B extends object, M extends object>(
  { batch, state, step }: Case<S, B, M>
): Case<S, Shifted<B>, M> => {
  const { parameters } = step.state as { readonly parameters: object }
  const shift = { parameters }
  const none = Tree.map<object>(shift, ({ shape }) => HostTensor.zeros(shape, "float32"))
  return {
    step: {
      name: step.name,
      state: step.state,
      batch: { given: step.batch, shift } as SpecOf<Shifted<B>>,
      run: (now, { given, shift }) => {
        const added = new Map(Tree.leaves<Tensor.Tensor<[number]>>(shift))
        const sum = (leaf: Tree.Leaf, path: string) =>
          added.has(path) ? Elementwise.add(leaf as Tensor.Tensor<[number]>, added.get(path)!) : leaf
        return { metrics: step.run(Tree.map<S>(now, sum), given).metrics, state: now }
      }
    },
    state,
    batch: (seed) => ({ given: batch(seed), shift: none }) as HostOf<Shifted<B>>
  }
}

const refusesNaN = <S extends object, B extends object, M extends object>(
  it: It,
  given: Case<S, B, M>,
  parameters: RegExp
) => {
  it.effect("refuses a step in which any parameter or input is NaN", () =>
    Effect.gen(function*() {
      const { batch, state, step } = shifted(given)
      const handle = yield* (yield* Engine.Engine).train(step, state(0))
      for (const path of paths(batch(1), new RegExp(`^given\\.(?!hyper)|^shift\\.${parameters.source}`))) {
        const { reason } = yield* Effect.flip(handle.run(poison(batch(1), path) as HostOf<Shifted<B>>))
        assert.strictEqual(reason._tag, "NonFinite", path)
      }
      yield* handle.run(batch(1))
    }).pipe(Effect.scoped), 120_000)
}

interface Overflow {
  readonly metric: "loss" | "gradientNorm"
  readonly values: Readonly<Record<string, number>>
}

const keeps = <S extends object, B, M extends object>(
  it: It,
  { batch, state, step }: Case<S, B, M>,
  { metric, values }: Overflow
) => {
  const keeping = Effect.gen(function*() {
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
  }).pipe(Effect.scoped)
  it.effect(`keeps its state when its ${metric} overflows`, () => keeping)
  it.effect(`keeps its state when its ${metric} overflows, on the reference`, () =>
    Effect.provide(keeping, Engine.layerReference))
}

const check = <S extends object, B extends object, M extends object>(it: It, given: Case<S, B, M>) => {
  agree(it, given, "does the same compiled and step by step")
  refusesNaN(it, given, /parameters\.(?!.*blocks\.[1-9])/)

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
    }).pipe(Effect.scoped))

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

for (const candidate of [openvino]) {
  on(candidate, (it) => refusesNaN(it, cases.plain, /parameters\.(?:patch_embed|.*0\.attn\.qkv)/))
}

layer(Engine.layerOnnx({ threads: 1 }))((it) => {
  describe("tokenizer", () => {
    check(it, cases.tokenizer)
    keeps(it, cases.tokenizer, toHead("encoder.fc_norm", "encode_task_layer.0"))
  })

  describe("pretrain", () => {
    check(it, cases.pretrain)
    keeps(it, cases.pretrain, toHead("norm", "lm_head"))
    keeps(it, cases.pretrain, ofLogits("lm_head"))
  })

  describe("pretrain without aggregation", () => {
    check(it, cases.plain)
    keeps(it, cases.plain, toHead("norm", "lm_head"))
    keeps(it, cases.plain, ofLogits("lm_head"))
  })

  describe("finetune", () => {
    check(it, cases.finetune)
    keeps(it, cases.finetune, toHead("fc_norm", "head"))
    keeps(it, cases.finetune, ofLogits("head"))
  })

  describe("segment", () => {
    check(it, cases.segment)
    keeps(it, cases.segment, ofLogits("decode_head.conv_seg"))
  })

  describe("decoder", () => {
    check(it, cases.decoder)
    keeps(it, cases.decoder, { metric: "loss", values: { "head.bias": 1e25 } })
  })

  describe.each([
    ["a batch of one", { image: 16, batch: 1 }],
    ["a grid of one patch", { image: 8, batch: 3 }]
  ])("%s does the same compiled and step by step", (_, sizes) => {
    const { finetune, plain, pretrain, tokenizer } = casesOf(sizes)
    agree(it, tokenizer, "as a tokenizer")
    agree(it, pretrain, "in pretraining")
    agree(it, plain, "in pretraining without aggregation")
    agree(it, finetune, "in fine-tuning")
  })
})
