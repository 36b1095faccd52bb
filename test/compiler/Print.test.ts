import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import fc from "fast-check"
import { readFileSync } from "node:fs"
import * as Autocast from "../../src/compiler/trace/Autocast.ts"
import * as Print from "../../src/compiler/trace/Print.ts"
import * as Trace from "../../src/compiler/trace/Trace.ts"
import * as Steps from "../../src/laws/EngineSteps.ts"
import type { Inference, TrainStep } from "../../src/shapes/Step.ts"
import { type Any, unsafeTyped, untyped } from "../../src/shapes/Tensor.ts"
import { casesOf } from "../nn/steps.ts"

const inference = (run: (x: tf.Tensor) => tf.Tensor): Inference<object, { readonly x: Any }, { readonly y: Any }> => ({
  name: "one",
  weights: {},
  batch: { x: { shape: [2, 3], dtype: "float32" } },
  run: (_, { x }) => ({ y: unsafeTyped(run(untyped(x))) })
})

const printed = (run: (x: tf.Tensor) => tf.Tensor) => Print.traced(Trace.inference(inference(run))).split("\n")

const withoutBrackets = (text: string): string => {
  const less = text.replaceAll(/\[[^[\]]*\]/g, "")
  return less === text ? text : withoutBrackets(less)
}

const isName = (word: string) => /^[a-z]/i.test(word) && !/^(?:true|false|NaN|Infinity)$/.test(word)

const parsed = (text: string) => {
  const sections = new Map<string, Array<string>>()
  let current: Array<string> = []
  for (const line of text.split("\n")) {
    if (line.startsWith("  ")) current.push(withoutBrackets(line.trim()))
    else sections.set(line, current = [])
  }
  const declared = (title: string) => (sections.get(title) ?? []).map((line) => line.split(":")[0]!)
  return {
    known: [...declared("inputs"), ...declared("constants")],
    operators: sections.get("operations")!.map((line) => {
      const [made, read] = line.split(" = ")
      return {
        made: made!.split(", ").map((name) => name.split(":")[0]!),
        read: read!.split(" ").slice(1).filter(isName)
      }
    }),
    outputs: declared("outputs")
  }
}

const check = <S, B, M>(name: string, step: TrainStep<S, B, M>) =>
  it(name, () => {
    fc.assert(
      fc.property(fc.record({ external: fc.boolean(), recompute: fc.boolean() }), (options) => {
        const traced = Trace.trainStep(step, options)
        const text = Print.traced(traced)
        const { known, operators, outputs } = parsed(text)
        const defined = new Set(known)
        for (const { made, read } of operators) {
          for (const value of read) assert.isTrue(defined.has(value), value)
          for (const value of made) assert.isFalse(defined.has(value), value)
          for (const value of made) defined.add(value)
        }
        const { nodes, outputs: results } = traced.graph
        assert.deepStrictEqual(
          operators.map(({ made }) => made),
          nodes.map((node) => node.outputs.map(({ name }) => name))
        )
        assert.deepStrictEqual(outputs, results.map((output) => output.name))
        for (const { value } of results) assert.isTrue(defined.has(value.name), value.name)
        assert.strictEqual(Print.traced(Trace.trainStep(step, options)), text)
      }),
      { examples: [[{ external: true, recompute: true }], [{ external: false, recompute: false }]], numRuns: 4 }
    )
  })

describe("a printed program", () => {
  it("is what docs/programs.md shows", () => {
    const page = readFileSync(new URL("../../docs/programs.md", import.meta.url), "utf8")
    const [shown, rounded] = page.match(/(?<=^```text\n)[\s\S]*?(?=^```$)/gm)!
    const traced = Trace.trainStep(Steps.regression, { external: true })
    assert.strictEqual(shown, Print.traced(traced))
    const text = Print.traced({ ...traced, graph: Autocast.apply(traced.graph, "bf16") })
    assert.isTrue(text.startsWith("regression in bf16\n"))
    assert.include(text, `operations\n${rounded}`)
  })

  it("says what is only passed on, and what is wanted twice", () => {
    const lines = Print.traced(Trace.trainStep(Steps.rooted)).split("\n")
    assert.deepStrictEqual(lines.slice(lines.indexOf("outputs")), [
      "outputs",
      "  metrics.loss:float32[]",
      "  metrics.gradientNorm:float32[]",
      "  next.w:float32[1]",
      "0 flops in matrix products",
      ""
    ])
    const passed = printed((x) => x)
    assert.deepStrictEqual(passed.slice(passed.indexOf("outputs")), [
      "outputs",
      "  output.y:float32[2,3] = batch.x",
      "0 flops in matrix products",
      ""
    ])
  })

  it("writes short constants where they are read, and long ones by their shapes", () => {
    assert.deepStrictEqual(
      printed((x) =>
        tf.greater(tf.add(tf.add(x, tf.tensor([0.1, -2, NaN])), tf.reshape(tf.range(0, 30), [10, 1, 3])), 1e-7)
      ),
      [
        "one",
        "inputs",
        "  batch.x:float32[2,3]",
        "constants",
        "  v2:float32[30]",
        "operations",
        "  v1:float32[2,3] = add batch.x [0.1, -2.0, NaN]",
        "  v3:float32[10,1,3] = reshape[shape=[10,1,3]] v2",
        "  v4:float32[10,2,3] = add v1 v3",
        "  output.y:bool[10,2,3] = greater v4 1e-7",
        "outputs",
        "  output.y:bool[10,2,3]",
        "0 flops in matrix products",
        ""
      ]
    )
  })

  describe("reads nothing that is not there, has a type for everything, and is the same each time", () => {
    for (const accumulate of [1, 2]) {
      const { finetune, plain, pretrain, tokenizer } = casesOf({ image: 16, batch: 2, accumulate })
      const name = (stage: string) => (accumulate === 1 ? stage : `${stage}, of several steps`)
      check(name("tokenizer"), tokenizer.step)
      check(name("pretrain"), pretrain.step)
      check(name("pretrain without aggregation"), plain.step)
      check(name("finetune"), finetune.step)
      check(name("regression"), Steps.regressionOf(accumulate))
    }
  })
})
