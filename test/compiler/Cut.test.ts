import { assert, describe, it } from "@effect/vitest"
import type * as Graph from "../../src/compiler/graph/Graph.ts"
import { PSUM } from "../../src/compiler/graph/Varying.ts"
import * as Cut from "../../src/compiler/trace/Cut.ts"
import type { DType } from "../../src/shapes/HostTensor.ts"

const real = (name: string, ...shape: ReadonlyArray<number>): Graph.Value => ({ name, shape, dtype: "float32" })
const truth = (name: string, ...shape: ReadonlyArray<number>): Graph.Value => ({ name, shape, dtype: "bool" })

const call = (operation: string, inputs: ReadonlyArray<Graph.Value>, output: Graph.Value<DType>): Graph.Node => ({
  operation,
  inputs,
  outputs: [output],
  attributes: {},
  flops: 0
})

const x = real("batch.x", 8)

const handed = (nodes: ReadonlyArray<Graph.Node>) => {
  const value = nodes.at(-1)!.outputs[0]!
  const outputs = [{ name: "metrics.last", value }]
  const graph = { name: "cut", precision: "fp32" as const, nodes, constants: [], inputs: [x], outputs }
  const [first, last] = Cut.of({ graph, result: {}, adamw: [] })
  return { handed: first!.handed, calls: last!.graph.nodes.map(({ operation }) => operation) }
}

describe("a call between sums", () => {
  const [sum, whole] = [real("sum"), real("whole")]
  const last = real("last", 8)

  it("waits for the sum where its operand is smaller than its result", () => {
    const is = truth("is", 8)
    const first = [call("sum", [x], sum), call(PSUM, [sum], whole)]
    const early = [...first, call("less", [x, sum], is), call("where", [is, x, whole], last)]
    assert.deepStrictEqual(handed(early), { handed: ["over.whole", "over.sum"], calls: ["less", "where"] })
    const few = truth("few", 2)
    const small = [...first, call("less", [sum], few), call("where", [few, whole], last)]
    assert.deepStrictEqual(handed(small), { handed: ["over.whole", "over.few"], calls: ["where"] })
  })

  it("does not wait for the sum if its operand would be handed on for it alone", () => {
    const [negative, half] = [real("negative", 8), real("half", 4)]
    const calls = [
      call("neg", [x], negative),
      call("sum", [negative], sum),
      call(PSUM, [sum], whole),
      call("slice", [negative], half),
      call("add", [half, whole], last)
    ]
    assert.deepStrictEqual(handed(calls), { handed: ["over.whole", "over.half"], calls: ["add"] })
    const again = [...calls.slice(0, -1), call("add", [negative, half, whole], last)]
    assert.deepStrictEqual(handed(again), { handed: ["over.whole", "over.negative"], calls: ["slice", "add"] })
  })
})
