import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import fc from "fast-check"
import type { Element, Graph, Node, Value } from "../../src/compiler/graph/Graph.ts"
import * as Operations from "../../src/compiler/operations/Operations.ts"
import * as OnnxProgram from "../../src/compiler/programs/OnnxProgram.ts"
import * as XlaProgram from "../../src/compiler/programs/XlaProgram.ts"
import * as Autocast from "../../src/compiler/trace/Autocast.ts"
import * as Trace from "../../src/compiler/trace/Trace.ts"
import * as Activation from "../../src/shapes/Activation.ts"
import * as Codes from "../../src/shapes/Codes.ts"
import * as Gradient from "../../src/shapes/Gradient.ts"
import * as Normalization from "../../src/shapes/Normalization.ts"
import type { TrainStep } from "../../src/shapes/Step.ts"
import { type Any, type Tensor, unsafeTyped, untyped } from "../../src/shapes/Tensor.ts"
import { casesOf } from "../nn/steps.ts"

type Square = Tensor<[4, 4]>

interface State {
  readonly weight: Square
  readonly bias: Tensor<[4]>
}

const square = { shape: [4, 4] as [4, 4], dtype: "float32" } as const

const typed = (operation: (x: Square) => Any) => (x: tf.Tensor) => untyped(operation(unsafeTyped(x)))

const operations: Readonly<Record<string, (a: tf.Tensor, b: tf.Tensor, state: State) => tf.Tensor>> = {
  product: (a, b) => tf.matMul(a, b),
  turned: (a, b) => tf.matMul(a, b, true),
  add: (a, b) => tf.add(a, b),
  biased: (a, _, { bias }) => tf.add(a, untyped(bias)),
  scaled: (a, _, { bias }) => tf.mul(tf.mul(a, 0.3), untyped(bias)),
  gelu: (a) => typed(Activation.gelu)(a),
  tanh: (a) => tf.tanh(a),
  softmax: (a) => tf.softmax(a),
  layerNorm: (a, _, { bias }) => typed((x) => Normalization.layerNorm(x, { weight: bias, bias }, 1e-6))(a),
  unit: (a) => typed(Normalization.l2Normalize)(a),
  transpose: (a) => tf.transpose(a),
  coded: (a, b) => tf.gather(b, untyped(Codes.nearest(unsafeTyped<[4, 4]>(a), unsafeTyped<[4, 4]>(b)))),
  joined: (a, b) => tf.slice(tf.concat([a, b]), [2, 0], [4, 4])
}

const call = fc.tuple(fc.constantFrom(...Object.keys(operations)), fc.nat(20), fc.nat(20))

const stepOf = (calls: ReadonlyArray<readonly [name: string, a: number, b: number]>): TrainStep<
  State,
  { readonly x: Square },
  { readonly loss: Tensor<[]> }
> => ({
  name: "random",
  state: { weight: square, bias: { shape: [4], dtype: "float32" } },
  batch: { x: square },
  run: (state, { x }) => {
    const { gradients, loss } = Gradient.valueAndGradient((parameters: State) => {
      const values = [untyped(x), untyped(parameters.weight)]
      for (const [name, a, b] of calls) {
        values.push(operations[name]!(values[a % values.length]!, values[b % values.length]!, parameters))
      }
      const loss = tf.mean(tf.square(tf.addN(values.slice(2))))
      return { loss: unsafeTyped<[]>(loss), aux: {} }
    }, state)
    const next = (a: Any, gradient: Any) => unsafeTyped<any>(tf.sub(untyped(a), tf.mul(untyped(gradient), 0.1)))
    return {
      metrics: { loss },
      state: { weight: next(state.weight, gradients.weight), bias: next(state.bias, gradients.bias) }
    }
  }
})

const { pretrain, tokenizer } = casesOf({ image: 16, batch: 2 })

const own = [pretrain.step, tokenizer.step].map((step) => Trace.trainStep(step as TrainStep<any, any, any>).graph)

const traced: fc.Arbitrary<Graph> = fc.oneof(
  fc.array(call, { minLength: 1, maxLength: 12 }).map((calls) => Trace.trainStep(stepOf(calls)).graph),
  fc.constantFrom(...own)
)

const isProduct = ({ operation }: Node<Element>) => operation === "matMul"

const isCast = ({ attributes, operation }: Node<Element>) => operation === "cast" && attributes.to === "bfloat16"

const follows = ({ nodes }: Graph<Element>): (value: Value<Element>) => boolean => {
  const isBefore = new Set<string>()
  for (const node of nodes.toReversed()) {
    const isRead = isProduct(node) && node.attributes.exact !== true
    if (isRead || node.outputs.some(({ name }) => isBefore.has(name))) {
      for (const { name } of node.inputs) isBefore.add(name)
    }
  }
  return ({ name }) => isBefore.has(name)
}

const holds = (check: (graph: Graph<Element>, plain: Graph) => void) =>
  fc.assert(fc.property(traced, (plain) => check(Autocast.apply(plain, "bf16"), plain)), { numRuns: 16 })

describe("a step in bf16", () => {
  it("is the same in fp32, and computes the same calls in the same order", () => {
    holds((graph, plain) => {
      assert.strictEqual(Autocast.apply(plain, "fp32"), plain)
      assert.deepStrictEqual(Autocast.apply(plain, "tf32"), { ...plain, precision: "tf32" })
      const calls = (nodes: ReadonlyArray<Node<Element>>) =>
        nodes.map(({ operation, outputs }) => [operation, ...outputs.map(({ name }) => name)])
      assert.deepStrictEqual(
        calls(graph.nodes.filter(({ outputs: [one] }) => !/\.(bfloat16|float32)$/.test(one!.name))),
        calls(plain.nodes)
      )
    })
  })

  it("reads each value as it was made", () => {
    holds(({ constants, inputs, nodes, outputs }) => {
      const known = new Map<string, Element>([...constants, ...inputs].map(({ dtype, name }) => [name, dtype]))
      const check = ({ dtype, name }: Value<Element>) => assert.strictEqual(known.get(name), dtype, name)
      for (const node of nodes) {
        node.inputs.forEach(check)
        for (const { dtype, name } of node.outputs) known.set(name, dtype)
      }
      for (const { value } of outputs) check(value)
    })
  })

  it("returns results and the next state in the types of the traced step", () => {
    holds(({ inputs, outputs }, plain) => {
      assert.strictEqual(inputs, plain.inputs)
      assert.deepStrictEqual(outputs.map(({ value }) => value.dtype), plain.outputs.map(({ value }) => value.dtype))
    })
  })

  it("rounds a value at most once, and only for products", () => {
    holds((graph) => {
      const casts = graph.nodes.filter(isCast)
      assert.strictEqual(new Set(casts.map(({ inputs: [x] }) => x!.name)).size, casts.length)
      for (const { outputs: [copy] } of casts) {
        const readers = graph.nodes.filter(({ inputs }) => inputs.some(({ name }) => name === copy!.name))
        assert.isTrue(readers.length > 0 && readers.every(isProduct))
      }
    })
  })

  it("takes factors in bfloat16, except of exact products, which return float32", () => {
    holds(({ nodes }) => {
      for (const { attributes, inputs, outputs } of nodes.filter(isProduct)) {
        if (attributes.exact === true) assert.strictEqual(outputs[0]!.dtype, "float32")
        else assert.isTrue(inputs.every(({ dtype }) => dtype === "bfloat16"))
      }
    })
  })

  it("keeps values in bfloat16 only before products", () => {
    holds((graph) => {
      const isBefore = follows(graph)
      for (const { inputs, operation, outputs } of graph.nodes) {
        for (const output of outputs.filter(({ dtype }) => dtype === "bfloat16")) {
          assert.isTrue(isBefore(output))
          assert.isTrue(operation === "cast" || Operations.named(operation).precision !== undefined)
          assert.isTrue(operation === "cast" || inputs.some(({ dtype }) => dtype === "bfloat16"))
        }
      }
    })
  })

  it("rounds each weight of the method once, and looks codes up exactly", () => {
    for (const { nodes } of own.map((graph) => Autocast.apply(graph, "bf16"))) {
      const weights = nodes.filter(isCast).map(({ inputs: [x] }) => x!.name).filter((name) => name.startsWith("state."))
      assert.strictEqual(new Set(weights).size, weights.length)
      assert.isAtLeast(weights.filter((name) => /\.(qkv|proj|fc1|fc2)\.weight$/.test(name)).length, 8)
      const lookups = nodes.filter(({ attributes }) => attributes.exact === true && attributes.transposeB === true)
      for (const { outputs: [similarities] } of lookups) assert.strictEqual(similarities!.dtype, "float32")
    }
  })

  it("is refused by programs that have none", () => {
    const step = stepOf([["product", 0, 1]])
    for (const precision of ["tf32", "bf16"] as const) {
      const graph = Autocast.apply(Trace.trainStep(step).graph, precision) as Graph
      assert.throws(
        () => OnnxProgram.of({ graph, result: {}, adamw: [] }),
        `random is in ${precision}, but OnnxProgram computes in fp32`
      )
    }
  })
})

describe("a StableHLO module", () => {
  const products = (precision: "fp32" | "tf32" | "bf16") =>
    XlaProgram.trainStep(stepOf([["product", 0, 1], ["coded", 2, 1]]), { precision }).text.split("\n")
      .filter((line) => line.includes("dot_general"))

  it("says the precision of each product", () => {
    assert.isTrue(products("fp32").every((line) => line.includes("precision = [HIGHEST, HIGHEST]")))
    for (const precision of ["tf32", "bf16"] as const) {
      const lines = products(precision)
      assert.strictEqual(lines.filter((line) => line.includes("HIGHEST")).length, 1)
      assert.strictEqual(
        lines.filter((line) => line.includes("xbf16>")).length,
        precision === "tf32" ? 0 : lines.length - 1
      )
    }
  })
})
