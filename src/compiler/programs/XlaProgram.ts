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
import type { Inference, Split as How, TrainStep } from "../../shapes/Step.ts"
import * as Tree from "../../shapes/Tree.ts"
import type * as Graph from "../graph/Graph.ts"
import * as InParts from "../graph/InParts.ts"
import type { Call, Operation } from "../operations/Operation.ts"
import { namesOf, StableHloWriter, typeOf, typesOf } from "../stablehlo/StableHloWriter.ts"
import * as Autocast from "../trace/Autocast.ts"
import * as Cut from "../trace/Cut.ts"
import * as Split from "../trace/Split.ts"
import * as Sums from "../trace/Sums.ts"
import * as Trace from "../trace/Trace.ts"
import * as Writing from "./Writing.ts"

/** Options for compiling a training step. */
export interface Options {
  /**
   * The precision of matrix products; default `fp32`. In `tf32` a device without it computes in fp32. In `bf16` values between products
   * are bf16, too (`Autocast`). State, batch and results are always fp32.
   */
  readonly precision?: Graph.Precision
  /** The number of devices that run the step together, each on its share of the batch; default 1. */
  readonly devices?: number
  /** The place of the rank that will run the program, which has one device. Absent for one rank. */
  readonly place?: Sums.Place | undefined
  /** The place of sums over all ranks: on the host, between several modules (default), or inside of one module, by the device. */
  readonly collectives?: "host" | "inside"
}

/** An array of the batch as a whole, and how the devices share it. */
export interface Port extends Graph.Value {
  readonly split?: How | undefined
}

/** A StableHLO module that runs before another. Values that are summed over all ranks lie between them. */
export interface Part {
  readonly text: string
  /** The state, the batch and results of parts before it that the function `main` takes, by name. */
  readonly inputs: ReadonlyArray<string>
  readonly results: ReadonlyArray<Graph.Value>
}

/** What several ranks run before the last module of a step. */
export interface Before {
  readonly parts: ReadonlyArray<Part>
  /** After each of the parts, the results of it that are summed over all ranks. */
  readonly sums: ReadonlyArray<ReadonlyArray<string>>
  /** What `main` of the step takes after the state: the batch and results of the parts, by name. */
  readonly inputs: ReadonlyArray<string>
}

/** A step as a StableHLO module. The function `main` takes the state and then the batch. */
export interface XlaProgram {
  readonly text: string
  /** The number of devices of one process that run the program together. Each has the whole state. */
  readonly devices: number
  /** The number of ranks whose devices run the program together, one of each. Absent if they are of one process. */
  readonly replicas?: number
  /** The state. A training step returns the next state first, in the same order and in the same memory. Others only read it. */
  readonly state: ReadonlyArray<Graph.Value>
  /** The batch. On several devices, `main` takes the share of one (`Split.part`). */
  readonly batch: ReadonlyArray<Port>
  /** The results after the next state. */
  readonly results: ReadonlyArray<Graph.Value>
  /** The record of metrics or of outputs, with a specification in place of every tensor. */
  readonly result: object
  /** What runs before the module, if several ranks run the step together. */
  readonly before?: Before
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

/** Returns the inputs of a share of the batch as those of the whole batch. */
const whole = (shares: ReadonlyArray<Graph.Value>, batch: object): ReadonlyArray<Port> => {
  const leaves = new Map(Tree.leaves<Split.Splittable>(batch).map(([path, leaf]) => [`batch.${path}`, leaf]))
  return shares.map(({ dtype, name }) => {
    const { shape, split } = leaves.get(name)!
    return { name, shape, dtype, split }
  })
}

const outputsOf = ({ outputs }: Graph.Graph): ReadonlyArray<Graph.Value> =>
  outputs.map(({ name, value }) => ({ ...value, name }))

const resultsOf = (graph: Graph.Graph): ReadonlyArray<Graph.Value> =>
  outputsOf(graph).filter(({ name }) => !name.startsWith(Writing.NEXT))

/**
 * Writes a graph as a module. `main` takes `given` and returns `results`. With `donated`, these come first in what it takes, and it
 * returns the next state in their memory first.
 */
function* moduleOf(
  traced: Graph.Graph,
  given: ReadonlyArray<Graph.Value>,
  results: ReadonlyArray<Graph.Value>,
  { devices = 1, precision = "fp32" }: Options,
  donated: ReadonlyArray<Graph.Value> = []
): InParts.InParts<string> {
  yield
  const graph = Autocast.apply(traced, precision)
  const w = new StableHloWriter(precision)
  const values = new Map(given.map((value, i): [string, Value] => [value.name, { ...value, name: `%arg${i}` }]))
  const value = yield* Writing.write(graph, values, {
    constant: ({ data, dtype, shape }) => w.constant(data, shape, dtype),
    call: call(w)
  })
  const next = donated.map(({ name }) => name.replace(/^state\./, Writing.NEXT))
  const returned = [...next, ...results.map(({ name }) => name)].map(value)
  const parameters = given.map((value, i) =>
    `%arg${i}: ${typeOf(value)}${i < donated.length ? ` {tf.aliasing_output = ${i} : i32}` : ""}`
  )
  return [
    devices === 1 ? "module @step {" : `module @step attributes {mhlo.num_replicas = ${devices} : i32} {`,
    `func.func public @main(${parameters.join(", ")}) -> ${parenthesised(returned)} {`,
    ...w.lines,
    returned.length === 0 ? "return" : `return ${namesOf(returned)} : ${typesOf(returned)}`,
    "}",
    "}",
    ""
  ].join("\n")
}

/** Returns the inputs of a graph that are not of the state. */
const shareOf = ({ inputs }: Graph.Graph, state: ReadonlyArray<Graph.Value>): ReadonlyArray<Graph.Value> => {
  const isHeld = new Set(state.map(({ name }) => name))
  return inputs.filter(({ name }) => !isHeld.has(name))
}

function* writing(
  { graph, result }: Trace.Traced,
  state: ReadonlyArray<Graph.Value>,
  specs: object,
  { donates, ...options }: Options & { readonly donates: boolean }
): InParts.InParts<XlaProgram> {
  const share = shareOf(graph, state)
  return {
    text: yield* moduleOf(graph, [...state, ...share], resultsOf(graph), options, donates ? state : []),
    devices: options.devices ?? 1,
    state,
    batch: whole(share, specs),
    results: resultsOf(graph),
    result
  }
}

/** Writes the traced step of one rank, cut where values are summed over all ranks. */
function* writingOfRank(
  traced: Trace.Traced,
  state: ReadonlyArray<Graph.Value>,
  options: Options
): InParts.InParts<XlaProgram> {
  const graphs = Cut.of(traced, { late: true })
  const parts: Array<Part> = []
  for (const { graph } of graphs.slice(0, -1)) {
    parts.push({
      text: yield* moduleOf(graph, graph.inputs, outputsOf(graph), options),
      inputs: graph.inputs.map(({ name }) => name),
      results: outputsOf(graph)
    })
  }
  const { graph } = graphs.at(-1)!
  const inputs = shareOf(graph, state)
  return {
    text: yield* moduleOf(graph, [...state, ...inputs], resultsOf(graph), options, state),
    devices: 1,
    state,
    batch: shareOf(traced.graph, state),
    results: resultsOf(graph),
    result: traced.result,
    before: { parts, sums: graphs.slice(1).map(({ sums }) => sums), inputs: inputs.map(({ name }) => name) }
  }
}

/** Compiles a training step. Throws the errors of `Trace.trainStep`. */
export const trainStep = <S, B, M>(step: TrainStep<S, B, M>, options: Options = {}): XlaProgram =>
  InParts.whole(compiling(step, options))

/** Computes {@link trainStep} in parts. */
export function* compiling<S, B, M>(step: TrainStep<S, B, M>, options: Options = {}): InParts.InParts<XlaProgram> {
  const { collectives = "host", devices = 1, place, ...rest } = options
  const state = Writing.held("state", step.state as object)
  const ranks = place?.size ?? 1
  const traced = yield* Trace.tracing(step, { devices: ranks === 1 ? devices : ranks })
  const together = (count: number) =>
    writing(traced, state, step.batch as object, { ...rest, devices: count, donates: true })
  if (place === undefined || ranks === 1) return yield* together(devices)
  return collectives === "inside"
    ? { ...(yield* together(ranks)), devices: 1, replicas: ranks, batch: shareOf(traced.graph, state) }
    : yield* writingOfRank(Sums.of(traced, place), state, rest)
}

/** Compiles an inference. Throws the errors of `Trace.trainStep`. */
export const inference = <W, B, O>(
  step: Inference<W, B, O>,
  options: Pick<Options, "precision"> = {}
): XlaProgram => InParts.whole(compilingInference(step, options))

/** Computes {@link inference} in parts. */
export function* compilingInference<W, B, O>(
  step: Inference<W, B, O>,
  options: Pick<Options, "precision"> = {}
): InParts.InParts<XlaProgram> {
  const weights = Writing.held("weights", step.weights as object)
  return yield* writing(yield* Trace.tracingInference(step), weights, step.batch as object, {
    ...options,
    donates: false
  })
}
