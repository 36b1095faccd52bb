import { assert, describe, it } from "@effect/vitest"
import * as XlaProgram from "../../src/compiler/programs/XlaProgram.ts"
import * as Steps from "../../src/laws/EngineSteps.ts"
import { casesOf } from "../nn/steps.ts"

const { finetune, pretrain, tokenizer } = casesOf({ image: 16, batch: 2 })

const steps = [Steps.regression, tokenizer.step, pretrain.step, finetune.step] as ReadonlyArray<
  Parameters<typeof XlaProgram.trainStep>[0]
>

describe("a StableHLO module", () => {
  it("takes state and batch, and returns the next state in the memory of the state", () => {
    const { batch, results, state, text } = XlaProgram.trainStep(Steps.regression)
    const [, parameters = "", returned = ""] = /@main\((.*)\) -> \((.*)\) \{/.exec(text) ?? []
    const donated = Array.from(
      parameters.matchAll(/%arg(\d+): tensor<[\dxfi]+> \{tf\.aliasing_output = (\d+) : i32\}/g)
    )
    assert.deepStrictEqual(
      donated.map(([, argument, output]) => [argument, output]),
      state.map((_, i) => [`${i}`, `${i}`])
    )
    assert.strictEqual(parameters.match(/%arg/g)?.length, state.length + batch.length)
    assert.strictEqual(returned.split(", ").length, state.length + results.length)
    assert.deepStrictEqual(results.map(({ name }) => name), ["metrics.loss", "metrics.norms.0", "metrics.norms.1"])
  })

  it("donates no weights of an inference", () => {
    const { batch, state, text } = XlaProgram.inference(Steps.affine)
    assert.notInclude(text, "aliasing")
    assert.deepStrictEqual(state.map(({ name }) => name), ["weights.weight", "weights.bias"])
    assert.deepStrictEqual(batch.map(({ name }) => name), ["batch.x"])
  })

  it.each(steps)("is the same each time, and defines every value once and before it is read: $name", (step) => {
    const { text } = XlaProgram.trainStep(step)
    assert.strictEqual(XlaProgram.trainStep(step).text, text)
    const known = new Set(text.match(/%arg\d+/g))
    for (const line of text.split("\n").filter((one) => /%v\d|%arg/.test(one) && !one.startsWith("func"))) {
      const [made, read] = /^%v\d/.test(line) ? line.split(" = ", 2) : ["", line]
      for (const value of read!.match(/%(?:v|arg)\d+/g) ?? []) assert.isTrue(known.has(value), value)
      const name = made!.split(":")[0]!
      assert.isFalse(known.has(name), name)
      if (name !== "") known.add(name)
    }
  })
})
