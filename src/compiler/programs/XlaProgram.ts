/**
 * Compiles a step into a StableHLO module, the input of XLA, with its forward pass, gradients and update. It is text, and any plugin of
 * PJRT compiles it for its device.
 *
 * ```ts
 * import assert from "node:assert"
 * import { XlaProgram } from "patchword/compiler"
 * import { Elementwise, Tensor } from "patchword/shapes"
 *
 * const { text } = XlaProgram.inference({
 *   name: "doubled",
 *   weights: {},
 *   batch: { x: Tensor.spec([2, 3]) },
 *   run: (_, { x }) => ({ y: Elementwise.scale(x, 2) })
 * })
 * assert.match(text, /func\.func public @main\(%arg0: tensor<2x3xf32>\) -> tensor<2x3xf32>/)
 * ```
 */
import type { Inference, TrainStep } from "../../shapes/Step.ts"
import type * as Graph from "../graph/Graph.ts"
import type { Call, Operation } from "../operations/Operation.ts"
import { namesOf, StableHloWriter, typeOf, typesOf } from "../stablehlo/StableHloWriter.ts"
import * as Autocast from "../trace/Autocast.ts"
import * as Trace from "../trace/Trace.ts"
import * as Writing from "./Writing.ts"

/** Options for compiling a step. */
export interface Options {
  /**
   * The precision of matrix products; default `fp32`. In `tf32` a device without it computes in fp32. In `bf16` values between products
   * are bf16, too (`Autocast`). State, batch and results are always fp32.
   */
  readonly precision?: Graph.Precision
}

/** A step as a StableHLO module. The function `main` takes the state and then the batch. */
export interface XlaProgram {
  readonly text: string
  /** The state. A training step returns the next state first, in the same order and in the same memory. Others only read it. */
  readonly state: ReadonlyArray<Graph.Value>
  readonly batch: ReadonlyArray<Graph.Value>
  /** The results after the next state. */
  readonly results: ReadonlyArray<Graph.Value>
  /** The record of metrics or of outputs, with a specification in place of every tensor. */
  readonly result: object
}

const parenthesised = (types: ReadonlyArray<Value>): string =>
  types.length === 1 ? typesOf(types) : `(${typesOf(types)})`

type Value = Graph.Value<Graph.Element>

const isReal = ({ dtype }: Value): boolean => dtype === "float32" || dtype === "bfloat16"

/** Writes a call. Values in bfloat16 move as they are, and products read them. All else is computed in float32. */
const call =
  (w: StableHloWriter) =>
  (operation: Operation, operands: ReadonlyArray<Value>, node: Graph.Node<Graph.Element>): ReadonlyArray<Value> => {
    const { attributes, inputs, outputs } = node
    const as = (dtype: Graph.Element) => (value: Value) => isReal(value) ? w.convert(value, dtype) : value
    const isRounded = operation.precision === "product" && inputs.every(({ dtype }) => dtype === "bfloat16")
    const inside = operation.precision === "moved" ? outputs[0]!.dtype : "float32"
    const given = isRounded ? operands : operands.map(as(inside))
    const made = [operation.stablehlo!(w, given, { attributes, inputs, outputs } as Call)].flat() as ReadonlyArray<
      Value
    >
    return made.map((value, i) => as(outputs[i]!.dtype)(value))
  }

const written = (
  { graph: traced, result }: Trace.Traced,
  state: ReadonlyArray<Graph.Value>,
  { precision = "fp32" }: Options,
  donates: boolean
): XlaProgram => {
  const graph = Autocast.apply(traced, precision)
  const w = new StableHloWriter(precision)
  const isHeld = new Set(state.map(({ name }) => name))
  const batch = graph.inputs.filter(({ name }) => !isHeld.has(name))
  const given = [...state, ...batch]
  const values = new Map(given.map((value, i): [string, Value] => [value.name, { ...value, name: `%arg${i}` }]))
  const value = Writing.write(graph, values, {
    constant: ({ data, dtype, shape }) => w.constant(data, shape, dtype),
    call: call(w)
  })
  const results = traced.outputs.filter(({ name }) => !name.startsWith(Writing.NEXT)).map(({ name, value }) => ({
    ...value,
    name
  }))
  const next = donates ? state.map(({ name }) => name.replace(/^state\./, Writing.NEXT)) : []
  const returned = [...next, ...results.map(({ name }) => name)].map(value)
  const parameters = given.map((value, i) =>
    `%arg${i}: ${typeOf(value)}${donates && i < state.length ? ` {tf.aliasing_output = ${i} : i32}` : ""}`
  )
  const text = [
    "module @step {",
    `func.func public @main(${parameters.join(", ")}) -> ${parenthesised(returned)} {`,
    ...w.lines,
    returned.length === 0 ? "return" : `return ${namesOf(returned)} : ${typesOf(returned)}`,
    "}",
    "}",
    ""
  ].join("\n")
  return { text, state, batch, results, result }
}

/** Compiles a training step. Throws the errors of `Trace.trainStep`. */
export const trainStep = <S, B, M>(step: TrainStep<S, B, M>, options: Options = {}): XlaProgram =>
  written(Trace.trainStep(step), Writing.held("state", step.state as object), options, true)

/** Compiles an inference. Throws the errors of `Trace.trainStep`. */
export const inference = <W, B, O>(step: Inference<W, B, O>, options: Options = {}): XlaProgram =>
  written(Trace.inference(step), Writing.held("weights", step.weights as object), options, false)
