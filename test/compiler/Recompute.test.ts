import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { pretraining, tokenizing } from "../../benchmarks/steps.ts"
import * as Graph from "../../src/compiler/graph/Graph.ts"
import * as Recompute from "../../src/compiler/graph/Recompute.ts"
import * as Trace from "../../src/compiler/trace/Trace.ts"
import * as Presets from "../../src/domain/config/presets/Presets.ts"
import * as Engine from "../../src/layers/engine/Engine.ts"
import type { HostOf, TrainStep } from "../../src/shapes/Step.ts"

interface Work<S, B, M> {
  readonly step: TrainStep<S, B, M>
  readonly state: () => HostOf<S>
  readonly batch: HostOf<B>
}

const trained = <S, B, M>({ batch, state, step }: Work<S, B, M>, memory: "high" | "low") =>
  Effect.gen(function*() {
    const handle = yield* (yield* Engine.Engine).train(step, state())
    const metrics = yield* Effect.forEach([1, 2, 3], () => handle.run(batch))
    return { metrics, state: (yield* handle.snapshot).state }
  }).pipe(Effect.scoped, Effect.provide(Engine.layerOnnx({ threads: 1, memory })))

const check = <S, B, M>(name: string, make: () => Work<S, B, M>, blocks: number) =>
  describe(name, () => {
    it("computes more nodes, and counts the same multiplications", () => {
      const { step } = make()
      const [kept, again] = [false, true].map((recompute) => Trace.trainStep(step, { external: true, recompute }))
      assert.isAbove(again!.graph.nodes.length, kept!.graph.nodes.length + blocks * 10)
      assert.strictEqual(Graph.flops(again!.graph), Graph.flops(kept!.graph))
    })

    it.effect("gives the same bytes", () =>
      Effect.gen(function*() {
        const work = make()
        assert.deepStrictEqual(yield* trained(work, "low"), yield* trained(work, "high"))
      }))
  })

describe("what lies between boundaries, computed again", () => {
  check("in pretraining", () => pretraining(Presets.tiny, 4), 6)
  check("in a tokenizer", () => tokenizing(Presets.tiny, 4), 4)

  it("is read by what follows the gradient, not by the gradient itself", () => {
    const value = (name: string): Graph.Value => ({ name, shape: [], dtype: "float32" })
    const node = (output: string, ...inputs: ReadonlyArray<string>): Graph.Node => ({
      operation: "add",
      inputs: inputs.map(value),
      outputs: [value(output)],
      attributes: {},
      flops: 0
    })
    const { nodes } = Recompute.apply(
      {
        name: "one",
        precision: "fp32",
        nodes: [
          node("start", "x", "x"),
          node("middle", "start", "start"),
          node("end", "middle", "start"),
          node("gradient", "end", "middle"),
          node("result", "gradient", "middle")
        ],
        constants: [],
        inputs: [value("x")],
        outputs: [{ name: "result", value: value("result") }]
      },
      [
        { value: value("start"), gradient: value("result") },
        { value: value("end"), gradient: value("gradient") }
      ]
    )
    assert.deepStrictEqual(
      nodes.slice(3).map(({ inputs, outputs: [made] }) => [made!.name, ...inputs.map(({ name }) => name)]),
      [
        ["gradient", "end", "middle"],
        ["again.start", "start", "gradient"],
        ["again.middle", "again.start", "again.start"],
        ["result", "gradient", "again.middle"]
      ]
    )
  })
})
