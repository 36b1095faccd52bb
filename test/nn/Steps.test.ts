import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Trace from "../../src/compiler/Trace.ts"
import { Engine } from "../../src/layers/Engine.ts"
import type * as HostTensor from "../../src/shapes/HostTensor.ts"
import type { HostOf, TrainStep } from "../../src/shapes/Step.ts"
import * as Tree from "../../src/shapes/Tree.ts"
import { cases } from "./steps.ts"

interface Case<S, B, M> {
  readonly step: TrainStep<S, B, M>
  readonly state: (seed: number) => HostOf<S>
  readonly batch: (seed: number) => HostOf<B>
}

const RELATIVE = 1e-5

const leaves = (tree: object) => Tree.leaves<HostTensor.Any>(tree)

const trained = <S extends object, B, M extends object>({ batch, state, step }: Case<S, B, M>) =>
  Effect.gen(function*() {
    const engine = yield* Engine
    const handle = yield* engine.train(step, state(0))
    const metrics = yield* Effect.forEach([1, 2, 3, 4, 5], (seed) => handle.run(batch(seed)))
    return { metrics, state: yield* handle.state }
  }).pipe(Effect.scoped)

const check = <S extends object, B, M extends object>(given: Case<S, B, M>) => {
  it.effect("does the same compiled and step by step", () =>
    Effect.gen(function*() {
      const compiled = yield* Effect.provide(trained(given), Engine.layerOnnx())
      const eager = new Map(leaves(yield* Effect.provide(trained(given), Engine.layerReference)))
      for (const [path, { data }] of leaves(compiled)) {
        const expected = eager.get(path)!.data
        const size = Math.max(...Array.from(expected, Math.abs))
        data.forEach((x, at) => assert.closeTo(x, expected[at]!, RELATIVE * size, path))
      }
    }))

  it.effect("keeps its compiled state when a gradient is not finite", () =>
    Effect.gen(function*() {
      const engine = yield* Engine
      const before = given.state(0)
      const handle = yield* engine.train(given.step, before)
      const poisoned = Tree.map<HostOf<B>>(given.batch(1) as object, (leaf, path) =>
        path === "images" ? { ...leaf, data: Float32Array.from((leaf as HostTensor.Any).data).with(5, NaN) } : leaf)
      const error = yield* Effect.flip(handle.run(poisoned))
      assert.strictEqual(error.reason._tag, "NonFinite")
      const kept = new Map(leaves(yield* handle.state))
      for (const [path, { data }] of leaves(before)) {
        assert.deepStrictEqual(kept.get(path)!.data, data, path)
      }
    }).pipe(Effect.scoped, Effect.provide(Engine.layerOnnx())))

  it("replaces parameters and moments in place", () => {
    const { updates } = Trace.trainStep(given.step)
    const elsewhere = updates.filter(({ inPlace }) => !inPlace).map(({ output }) => output)
    assert.deepStrictEqual(elsewhere.filter((output) => /^next\.(parameters|first|second)\./.test(output)), [])
  })
}

describe("tokenizer", () => check(cases.tokenizer))
describe("pretrain", () => check(cases.pretrain))
describe("pretrain without aggregation", () => check(cases.plain))
describe("finetune", () => check(cases.finetune))
