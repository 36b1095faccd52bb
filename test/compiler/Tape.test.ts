import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import { deserialize, serialize } from "node:v8"
import { NotTraceable } from "../../src/compiler/kernels/Tracer.ts"
import * as Tape from "../../src/compiler/trace/Tape.ts"
import * as Steps from "../../src/laws/EngineSteps.ts"
import { type Tensor, unsafeTyped, untyped } from "../../src/shapes/Tensor.ts"

const { result, tape, updates } = Tape.trainStep(Steps.regression)

describe("a tape", () => {
  it("is plain data", () => {
    assert.deepStrictEqual(deserialize(serialize(tape)), tape)
  })

  it("is the same for the same step, and leaves no tensors", () => {
    const { numTensors } = tf.memory()
    assert.deepStrictEqual(Tape.trainStep(Steps.regression).tape, tape)
    assert.strictEqual(tf.memory().numTensors, numTensors)
  })

  it("names what it is fed and what it gives", () => {
    assert.includeMembers(tape.inputs.map(({ name }) => name), [
      "state.parameters.weight",
      "batch.x",
      "batch.hyper.rate"
    ])
    assert.deepStrictEqual(
      updates.map(({ output }) => output),
      tape.outputs.map(({ name }) => name).filter((name) => name.startsWith("next."))
    )
    assert.deepStrictEqual(Object.keys(result), ["loss", "norms"])
  })

  it("calls kernels that every backend of TensorFlow.js may have", () => {
    assert.isAbove(tape.calls.length, 50)
    assert.deepStrictEqual(tape.calls.filter(({ kernel }) => kernel.startsWith("Patchword")), [])
    assert.isDefined(tape.calls.find(({ kernel }) => kernel === "BatchMatMul"))
  })

  it("reads what has been made and not been let go, and lets go of all but its outputs", () => {
    const alive = new Set([...tape.inputs, ...tape.constants].map(({ tensor }) => tensor))
    for (const { inputs, kernel, last, outputs } of tape.calls) {
      for (const [, tensor] of inputs) assert.isTrue(alive.has(tensor), `${kernel} reads ${tensor}`)
      for (const tensor of outputs) alive.add(tensor)
      for (const tensor of last) assert.isTrue(alive.delete(tensor), `${kernel} lets go of ${tensor}`)
    }
    assert.deepStrictEqual(
      Array.from(alive).toSorted(),
      Array.from(new Set(tape.outputs.map((one) => one.tensor))).toSorted()
    )
  })

  it("has nothing that no output needs", () => {
    const row = { shape: [3] as [3], dtype: "float32" } as const
    const idle = Tape.inference<object, { readonly x: Tensor<[3]> }, { readonly y: Tensor<[3]> }>({
      name: "idle",
      weights: {},
      batch: { x: row },
      run: (_, { x }) => {
        tf.add(tf.exp(untyped(x)), tf.tensor1d([1, 2, 3]))
        return { y: unsafeTyped(tf.mul(untyped(x), tf.tensor1d([3, 4, 5]))) }
      }
    })
    assert.deepStrictEqual(idle.tape.calls.map(({ kernel }) => kernel), ["Multiply"])
    assert.deepStrictEqual(idle.tape.constants.map(({ contents }) => contents), [Float32Array.of(3, 4, 5)])
  })

  it("is refused to a step that looks at values", () => {
    const looking = {
      ...Steps.affine,
      run: (...[weights, batch]: Parameters<typeof Steps.affine.run>) => {
        untyped(batch.x).dataSync()
        return Steps.affine.run(weights, batch)
      }
    }
    assert.throws(() => Tape.inference(looking), NotTraceable)
  })
})
