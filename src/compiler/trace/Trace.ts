/**
 * Traces a step: records its forward pass, gradients and update as a graph of the method's operations.
 *
 * The step runs on a backend that computes nothing (`TraceBackend`). So tracing takes milliseconds and little memory for
 * any size of network. It pauses after some calls of kernels (`Recording`). After a pause, the step is called again. The graph is
 * written for an engine by `OnnxProgram`.
 */
import type { DType } from "../../shapes/HostTensor.ts"
import type { Inference, TrainStep } from "../../shapes/Step.ts"
import { type Any, untyped } from "../../shapes/Tensor.ts"
import * as Tree from "../../shapes/Tree.ts"
import * as AdamWSplit from "../graph/AdamWSplit.ts"
import * as Graph from "../graph/Graph.ts"
import * as InParts from "../graph/InParts.ts"
import * as Recompute from "../graph/Recompute.ts"
import * as Varying from "../graph/Varying.ts"
import { NotTraceable, Tracer } from "../kernels/Tracer.ts"
import type { Fusion } from "../kernels/Translations.ts"
import type * as Split from "./Split.ts"
import * as TracedStep from "./TracedStep.ts"

/** Options for tracing a training step. */
export interface Options {
  /**
   * Leaves AdamW updates out of the graph, for the engine to make. If the graph reads the result of such an update, none is
   * left out.
   */
  readonly external?: boolean
  /** Keeps only the values at boundaries from the forward pass, and computes the others again. */
  readonly recompute?: boolean
  /** The number of devices that run the step together, each on its share of the batch; default 1. */
  readonly devices?: number
}

/** A traced step, whose values have the element types `D`. */
export interface Traced<D extends Graph.Element = DType> {
  /**
   * The graph. Its inputs are those that the step really reads: `state.<path>` or `weights.<path>`, and `batch.<path>`. Its
   * outputs are `metrics.<path>`, `next.<path>` and the values that `adamw` reads, or `output.<path>`.
   */
  readonly graph: Graph.Graph<D>
  /** The record of metrics or of outputs, with a specification in place of every tensor. */
  readonly result: object
  readonly adamw: ReadonlyArray<AdamWSplit.AdamWUpdate>
}

const outputs = (tracer: Tracer, group: string, tree: object): ReadonlyArray<Graph.Output> =>
  Tree.leaves<Any>(tree).map(([path, leaf]) => ({ name: `${group}.${path}`, value: tracer.value(untyped(leaf)) }))

const graphOf = (name: string, { graph, inputs }: Tracer, results: ReadonlyArray<Graph.Output>): Graph.Graph => ({
  name,
  precision: "fp32",
  nodes: graph.nodes,
  constants: graph.constants,
  inputs,
  outputs: results
})

/** Refuses a step of which devices would have different results, or whose batch they do not share. */
const checkDevices = (batch: object, graph: Graph.Graph): void => {
  const shared = Tree.leaves<Split.Splittable>(batch).filter(([, { split }]) => split !== undefined)
  if (shared.length === 0) throw new NotTraceable("no array of its batch says how several devices share it (split)")
  const { outputs, sumsEqual } = Varying.of(graph, shared.map(([path]) => `batch.${path}`))
  if (sumsEqual) {
    throw new NotTraceable("it sums a value over devices that is the same on all of them (Collective.psum)")
  }
  const [first] = outputs
  if (first === undefined) return
  throw new NotTraceable(
    `${first.name} would differ between devices; take its sum or its mean over them (Collective.psum, Collective.pmean)`
  )
}

function* traced<S, B, M>(
  step: TrainStep<S, B, M>,
  fusion: Fusion,
  { devices = 1, recompute = false }: Options
): InParts.InParts<Traced> {
  const tracer = new Tracer(devices)
  const { metrics, next } = yield* TracedStep.train(step, fusion, tracer)
  yield
  const made = graphOf(step.name, tracer, [...outputs(tracer, "metrics", metrics), ...outputs(tracer, "next", next)])
  if (devices > 1) checkDevices(step.batch as object, made)
  yield
  const { adamw, graph } = AdamWSplit.split(made)
  const whole = recompute ? Recompute.apply(graph, tracer.boundaries) : graph
  yield
  return { graph: Graph.live(whole), result: TracedStep.specOf(metrics), adamw }
}

/**
 * Traces a training step.
 *
 * @throws NotTraceable when the step reads values or uses an operation that has no translation, or when several devices would have
 * different results; ShapeError when its operands do not fit, or when it does not return a state like the one it takes; `Split.Uneven`
 * when the devices cannot share its batch.
 */
export const trainStep = <S, B, M>(step: TrainStep<S, B, M>, options: Options = {}): Traced =>
  InParts.whole(tracing(step, options))

/** Computes {@link trainStep} in parts. */
export function* tracing<S, B, M>(step: TrainStep<S, B, M>, options: Options = {}): InParts.InParts<Traced> {
  if (options.external !== true) return yield* traced(step, "layers", options)
  const split = yield* traced(step, "all", options)
  const isWhole = split.graph.nodes.every(({ operation }) => operation !== AdamWSplit.ADAMW)
  return isWhole ? split : yield* traced(step, "layers", options)
}

/** Traces an inference. Throws the errors of `trainStep`. */
export const inference = <W, B, O>(step: Inference<W, B, O>): Traced => InParts.whole(tracingInference(step))

/** Computes {@link inference} in parts. */
export function* tracingInference<W, B, O>(step: Inference<W, B, O>): InParts.InParts<Traced> {
  const tracer = new Tracer()
  const output = yield* TracedStep.infer(step, tracer)
  yield
  const made = graphOf(step.name, tracer, outputs(tracer, "output", output))
  return { graph: Graph.live(made), result: TracedStep.specOf(output), adamw: [] }
}
