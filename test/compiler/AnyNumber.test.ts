import { assert, describe, it } from "@effect/vitest"
import * as AnyNumber from "../../src/compiler/export/AnyNumber.ts"
import type * as OnnxGraph from "../../src/compiler/onnx/OnnxGraph.ts"

const graph = (images: number, operand: string): OnnxGraph.Graph => ({
  name: "sum",
  nodes: [{ operation: "Add", domain: "", inputs: ["x", operand], outputs: ["y"], attributes: {} }],
  constants: [{ name: "one", shape: [1], dtype: "float32", data: Float32Array.of(1) }],
  inputs: [{ name: "x", shape: [images, 2], dtype: "float32" }],
  outputs: [{ name: "y", shape: [images, 2], dtype: "float32" }]
})

describe("a graph for any number of images", () => {
  it("reads constants that are the same for each number", () => {
    const made = AnyNumber.graph((images) => graph(images, "one"), "x")
    assert.deepStrictEqual(made.nodes.map(({ inputs }) => inputs), [["x", "one"]])
    assert.deepStrictEqual(made.outputs.map(({ shape }) => shape), [[-1, 2]])
  })

  it.each([["one", "x"], ["x", "one"]])("is refused where one number reads %s and another one %s", (first, second) => {
    let traced = 0
    const of = (images: number) => graph(images, traced++ === 0 ? first : second)
    assert.throws(
      () => AnyNumber.graph(of, "x"),
      "the number of images cannot be left open: an operand depends on it in Add"
    )
  })
})
