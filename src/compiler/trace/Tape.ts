/**
 * Records a step as a tape: its calls of TensorFlow.js kernels in the forward pass, backward pass and update, in order, with
 * inputs and outputs. A tape can be replayed on other values in another thread or process. The step itself is a function and
 * cannot be sent there.
 *
 * A step is recorded as it is compiled (`Trace`): nothing is computed, and the same steps are refused.
 */
import type * as tf from "@tensorflow/tfjs-core"
import type { DType } from "../../shapes/HostTensor.ts"
import type { Shape } from "../../shapes/Shape.ts"
import type { Inference, TrainStep } from "../../shapes/Step.ts"
import { type Any, untyped } from "../../shapes/Tensor.ts"
import * as Tree from "../../shapes/Tree.ts"
import type { Data } from "../graph/Graph.ts"
import { NotTraceable, type Tracer } from "../kernels/Tracer.ts"
import * as TraceBackend from "./TraceBackend.ts"
import * as TracedStep from "./TracedStep.ts"

/** One call of a kernel. Tensors are numbered. */
export interface Call {
  readonly kernel: string
  readonly inputs: ReadonlyArray<readonly [key: string, tensor: number]>
  /** True if the inputs are given as a list, without keys. */
  readonly listed: boolean
  readonly attributes: tf.NamedAttrMap
  readonly outputs: ReadonlyArray<number>
  /** The tensors that no later call reads. */
  readonly last: ReadonlyArray<number>
}

/** A tensor that the step makes itself: its elements, or the number that fills it. */
export interface Constant {
  readonly tensor: number
  readonly shape: Shape
  readonly dtype: DType
  readonly contents: number | Data
}

/** A named input or output tensor. */
export interface Port {
  readonly tensor: number
  readonly name: string
}

/** The recording of a step. Plain data. */
export interface Tape {
  readonly constants: ReadonlyArray<Constant>
  /** The inputs that are read: `state.<path>` or `weights.<path>`, and `batch.<path>`. */
  readonly inputs: ReadonlyArray<Port>
  readonly calls: ReadonlyArray<Call>
  /** `metrics.<path>` and `next.<path>`, or `output.<path>`. They are never among a call's `last`. */
  readonly outputs: ReadonlyArray<Port>
}

/** A recorded step. */
export interface Recorded {
  readonly tape: Tape
  /** The record of metrics or of outputs, with a specification in place of every tensor. */
  readonly result: object
  readonly updates: ReadonlyArray<{ readonly input: string; readonly output: string; readonly inPlace: boolean }>
}

class Recorder {
  readonly calls: Array<Omit<Call, "last">> = []
  readonly constants: Array<Constant> = []
  private readonly numbers = new Map<object, number>()

  /** Returns the number of a tensor that is read. */
  number(tracer: Tracer, info: tf.TensorInfo): number {
    const known = this.numbers.get(info.dataId)
    if (known !== undefined) return known
    const contents = tracer.contents(info)
    if (contents === undefined) throw new NotTraceable("a tensor was made by no kernel")
    const tensor = this.add(info)
    this.constants.push({ tensor, shape: [...info.shape], dtype: info.dtype as DType, contents })
    return tensor
  }

  add({ dataId }: tf.TensorInfo): number {
    const tensor = this.numbers.size
    this.numbers.set(dataId, tensor)
    return tensor
  }

  readonly watch: TraceBackend.Watch = (tracer, kernel, inputs, attributes = {}, results) => {
    const made = [results].flat()
    // Constants are made where they are read.
    if (made.every((info) => tracer.contents(info) !== undefined)) return
    this.calls.push({
      kernel,
      inputs: Object.entries(inputs).flatMap(([key, info]) =>
        info === undefined ? [] : [[key, this.number(tracer, info)] as const]
      ),
      listed: Array.isArray(inputs),
      attributes,
      outputs: made.map((info) => this.add(info))
    })
  }
}

/** Returns the calls that some output needs, in order. Each lists the tensors that it is the last to use. */
const live = (calls: ReadonlyArray<Omit<Call, "last">>, outputs: ReadonlyArray<Port>): ReadonlyArray<Call> => {
  const wanted = new Set(outputs.map(({ tensor }) => tensor))
  const seen = new Set(wanted)
  return calls.toReversed().flatMap((call) => {
    if (!call.outputs.some((tensor) => seen.has(tensor))) return []
    const touched = new Set([...call.inputs.map(([, tensor]) => tensor), ...call.outputs])
    const last = Array.from(touched).filter((tensor) => !seen.has(tensor))
    for (const tensor of touched) seen.add(tensor)
    return [{ ...call, last }]
  }).toReversed()
}

const recorded = (
  body: (tracer: Tracer, tensorOf: TraceBackend.TensorOf) => {
    readonly groups: Readonly<Record<string, object>>
    readonly result: object
    readonly updates: ReadonlyArray<{ readonly input: string; readonly output: string; readonly inPlace: boolean }>
  }
): Recorded => {
  const recorder = new Recorder()
  const declared: Array<Port> = []
  return TraceBackend.run("none", (tracer, tensorOf) => {
    const { groups, result, updates } = body(tracer, (info) => {
      declared.push({ tensor: recorder.add(info), name: tracer.inputs.at(-1)!.name })
      return tensorOf(info)
    })
    const outputs = Object.entries(groups).flatMap(([group, tree]) =>
      Tree.leaves<Any>(tree).map(([path, leaf]) => ({
        tensor: recorder.number(tracer, untyped(leaf)),
        name: `${group}.${path}`
      }))
    )
    const calls = live(recorder.calls, outputs)
    const read = new Set([
      ...calls.flatMap(({ inputs }) => inputs.map(([, tensor]) => tensor)),
      ...outputs.map(({ tensor }) => tensor)
    ])
    const tape = {
      constants: recorder.constants.filter(({ tensor }) => read.has(tensor)),
      inputs: declared.filter(({ tensor }) => read.has(tensor)),
      calls,
      outputs
    }
    return { tape, result: TracedStep.specOf(result), updates }
  }, recorder.watch)
}

/** Records a training step. Throws the errors of `Trace.trainStep`. */
export const trainStep = <S, B, M>(step: TrainStep<S, B, M>): Recorded =>
  recorded((tracer, tensorOf) => {
    const { metrics, next } = TracedStep.train(step, tracer, tensorOf)
    const updates = Tree.leaves(next).map(([path]) => ({
      input: `state.${path}`,
      output: `next.${path}`,
      inPlace: false
    }))
    return { groups: { metrics, next }, result: metrics, updates }
  })

/** Records an inference. Throws the errors of `Trace.inference`. */
export const inference = <W, B, O>(step: Inference<W, B, O>): Recorded =>
  recorded((tracer, tensorOf) => {
    const output = TracedStep.infer(step, tracer, tensorOf)
    return { groups: { output }, result: output, updates: [] }
  })
