import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import * as OnnxProgram from "../../src/compiler/programs/OnnxProgram.ts"
import * as XlaProgram from "../../src/compiler/programs/XlaProgram.ts"
import * as Trace from "../../src/compiler/trace/Trace.ts"
import type { DType } from "../../src/shapes/HostTensor.ts"
import * as Reduction from "../../src/shapes/Reduction.ts"
import type { Inference } from "../../src/shapes/Step.ts"
import { type Any, unsafeTyped, untyped } from "../../src/shapes/Tensor.ts"

const inference = (
  shape: ReadonlyArray<number>,
  dtype: DType,
  run: (x: tf.Tensor) => tf.Tensor
): Inference<object, { readonly x: Any }, { readonly y: Any }> => ({
  name: "one",
  weights: {},
  batch: { x: { shape, dtype } },
  run: (_, { x }) => ({ y: unsafeTyped(run(untyped(x))) })
})

const moduleOf = (...given: Parameters<typeof inference>) => XlaProgram.inference(inference(...given)).text

describe("the largest and the smallest whole number", () => {
  it.each(
    [
      ["largest", (x: tf.Tensor) => tf.max(x), -2147483648],
      ["smallest", (x: tf.Tensor) => tf.min(x), 2147483647]
    ] as const
  )("%s: is sought from the other end of the range", (_, run, start) => {
    assert.include(moduleOf([3], "int32", run), `dense<${start}> : tensor<i32>`)
  })
})

describe("a matrix product", () => {
  it("is multiplied by its factor only if it has one", () => {
    assert.notInclude(moduleOf([2, 2], "float32", (x) => tf.matMul(x, x)), "stablehlo.multiply")
    assert.include(moduleOf([2, 2], "float32", (x) => tf.mul(tf.matMul(x, x), 2)), "stablehlo.multiply")
  })
})

describe("a sum", () => {
  const operators = (shape: ReadonlyArray<number>, run: (x: tf.Tensor) => tf.Tensor, standard = false) => {
    const step = inference(shape, "float32", run)
    const { nodes } = standard ? OnnxProgram.standard(step) : OnnxProgram.inference(step).graph
    return nodes.map(({ operation }) => operation).filter((name) => /MatMul|Sum/.test(name))
  }

  it.each(
    [
      [[4, 3], "MatMul"],
      [[4, 1], "MatMul"],
      [[0, 3], "ReduceSum"],
      [[4, 0], "ReduceSum"]
    ] as const
  )("over the rows of %j is by %s", (shape, operator) => {
    assert.deepStrictEqual(operators(shape, (x) => tf.sum(x, 0)), [operator])
  })

  it.each(
    [
      [8, false, ["ReduceSumSquare"]],
      [8209, false, ["ReduceSumSquare"]],
      [4096, false, ["FusedMatMul", "ReduceSum"]],
      [4096, true, ["ReduceSumSquare"]]
    ] as const
  )("of %i squares, if only standard operators are allowed: %s, is by %j", (length, standard, expected) => {
    const norm = (x: tf.Tensor) => untyped(Reduction.globalNorm({ x: unsafeTyped(x) }))
    assert.deepStrictEqual(operators([length], norm, standard), [...expected])
  })
})

describe("an array of one number, in another element type", () => {
  it.each(
    [
      [2.7, "int32", 2],
      [-2.7, "int32", -2],
      [2.7, "bool", 1],
      [0, "bool", 0],
      [-3, "bool", 1]
    ] as const
  )("%d as %s is %d, also in float32 again", (value, dtype, expected) => {
    const constants = (run: (x: tf.Tensor) => tf.Tensor) => {
      const step = inference([2], "float32", () => run(tf.cast(tf.fill([2], value), dtype)))
      return Trace.inference(step).graph.constants.map((constant) => [constant.dtype, Array.from(constant.data)])
    }
    assert.deepStrictEqual(constants((x) => x), [[dtype, [expected, expected]]])
    assert.deepStrictEqual(constants((x) => tf.cast(x, "float32")), [["float32", [expected, expected]]])
  })
})
