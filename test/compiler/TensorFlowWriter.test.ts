import { assert, describe, it } from "@effect/vitest"
import * as ResultNames from "../../src/compiler/tensorflow/ResultNames.ts"
import { Model } from "../../src/compiler/tensorflow/SavedModelSchema.ts"
import { writer } from "../../src/compiler/tensorflow/TensorFlowWriter.ts"

const LONG = { T: { type: "int64" } } as const

interface Node {
  readonly name: string
  readonly op: string
  readonly input: ReadonlyArray<string>
  readonly attr: Readonly<Record<string, unknown>>
}

interface Decoded {
  readonly metaGraphs: ReadonlyArray<{
    readonly graphDef: {
      readonly node: ReadonlyArray<Node>
      readonly library: {
        readonly function: ReadonlyArray<{
          readonly nodeDef: ReadonlyArray<Node>
          readonly signature: { readonly inputArg: ReadonlyArray<{ readonly name: string }> }
          readonly ret: Readonly<Record<string, string>>
        }>
      }
    }
    readonly signatureDef: Readonly<
      Record<
        string,
        { readonly inputs: Readonly<Record<string, unknown>>; readonly outputs: Readonly<Record<string, unknown>> }
      >
    >
  }>
}

const decode = (bytes: Uint8Array) => {
  const { metaGraphs }: Decoded = Model.toObject(Model.decode(bytes), {
    arrays: true,
    objects: true,
    longs: Number
  }) as Decoded
  return metaGraphs[0]!
}

const counting = (xla?: boolean) => {
  const nodes = writer()
  const count = nodes.held({ name: "state.count", shape: [2], dtype: "int32" })
  const more = nodes.batch({ name: "batch.more", shape: [2], dtype: "int32" })
  const next = nodes.emit("AddV2", [count, more], LONG)
  nodes.assign("state.count", next)
  nodes.result({ name: "metrics.count", shape: [2], dtype: "int32" }, next)
  return nodes.program(xla === undefined ? {} : { xla })
}

describe("a program as a TensorFlow graph", () => {
  it("has equal bytes if it is equal", () => {
    assert.deepStrictEqual(counting(false), counting(false))
    assert.deepStrictEqual(counting(true), counting(true))
    assert.notDeepEqual(counting(true).bytes, counting(false).bytes)
    assert.deepStrictEqual(counting(), counting(false))
  })

  it("names its ports as the compiler does, in three signatures", () => {
    const { batch, bytes, results, state } = counting(false)
    const signatures = Object.entries(decode(bytes).signatureDef).map(([name, { inputs, outputs }]) => [
      name,
      Object.keys(inputs),
      Object.keys(outputs)
    ])
    assert.deepStrictEqual(signatures, [
      ["load", ["state.count"], ["loaded"]],
      ["step", ["batch.more"], ["metrics.count", "done"]],
      ["read", [], ["state.count"]]
    ])
    assert.deepStrictEqual(state, [{ name: "state.count", port: "s0:0", shape: [2], dtype: "int32" }])
    assert.deepStrictEqual(batch, [{ name: "batch.more", port: "b0:0", shape: [2], dtype: "int32" }])
    assert.deepStrictEqual(results.map(({ dtype, name }) => [name, dtype]), [["metrics.count", "int32"]])
  })

  it("computes whole numbers as int64", () => {
    const { graphDef } = decode(counting(false).bytes)
    const sum = graphDef.node.find(({ op }) => op === "AddV2")!
    assert.deepStrictEqual(sum.attr, { T: { type: 9 } })
  })

  it("tells that it writes, from before the first state until after the last", () => {
    const { node } = decode(counting(false).bytes).graphDef
    const named = (port: string) => node.find(({ name }) => name === port.replace("^", "").replace(":0", ""))!
    const told = ({ input: [variable, value] }: Node) => {
      const { tensor } = named(value!).attr["value"] as { readonly tensor: { readonly tensorContent: Uint8Array } }
      return [variable, ...tensor.tensorContent]
    }
    const writes = node.filter(({ op }) => op === "AssignVariableOp")
    const state = writes.find(({ input: [variable, , before] }) => variable === "v0:0" && before !== undefined)!
    const last = writes.find(({ input }) => input.includes(`^${state.name}`))!
    assert.deepStrictEqual([named("intact"), named(state.input[2]!), last].map(told), [["w:0", 0], ["w:0", 1], [
      "w:0",
      0
    ]])
  })

  it("is one function for XLA", () => {
    const { bytes, done, results } = counting(true)
    const { graphDef } = decode(bytes)
    const [step] = graphDef.library.function
    assert.deepStrictEqual([results[0]!.port, done], ["call:0", "call:1"])
    assert.deepStrictEqual(step!.signature.inputArg.map(({ name }) => name), ["v0", "f0", "w"])
    assert.isEmpty(graphDef.node.filter(({ op }) => op === "AddV2"))
    const sum = step!.nodeDef.find(({ op }) => op === "AddV2")!
    const read = step!.nodeDef.find(({ op }) => op === "ReadVariableOp")!
    const widened = step!.nodeDef.find(({ op }) => op === "Cast")!
    assert.deepStrictEqual(read.input, ["v0"])
    assert.deepStrictEqual(widened.input, [`${read.name}:value:0`])
    assert.deepStrictEqual(sum.input, [`${widened.name}:y:0`, "f0"])
    assert.isTrue(Object.values(step!.ret).every((value) => value.endsWith(":output:0")))
  })

  it("holds each small constant once, bit by bit", () => {
    const nodes = writer()
    assert.strictEqual(nodes.scalar(0.5), nodes.constant(Float32Array.of(0.5), [], "float32"))
    assert.notStrictEqual(nodes.scalar(0), nodes.scalar(-0))
    assert.notStrictEqual(nodes.integer(1), nodes.constant(Int32Array.of(1), [], "int32"))
    assert.notStrictEqual(nodes.integers([1]), nodes.integer(1))
  })

  it("refuses operators and states that it does not know", () => {
    const nodes = writer()
    assert.throws(() => nodes.emit("Nonsense", []), "result 0 of TensorFlow's Nonsense has no name in ResultNames")
    assert.throws(() => nodes.emitMany("TopKV2", [], 3), "result 2 of TensorFlow's TopKV2 has no name in ResultNames")
    assert.throws(() => nodes.assign("state.x", "n0:0"), "the program holds no state.x")
    assert.strictEqual(ResultNames.of("SplitV", 2), "output:2")
    assert.strictEqual(ResultNames.of("TopKV2", 1), "indices:0")
  })
})
