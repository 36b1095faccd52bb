/** An inference with its weights in it: a model for whatever runs ONNX, for a fixed number of images or for any. */
import type * as HostTensor from "../../shapes/HostTensor.ts"
import type { Inference } from "../../shapes/Step.ts"
import type * as Graph from "../graph/Graph.ts"
import * as OnnxModel from "../graph/OnnxModel.ts"
import * as Trace from "../trace/Trace.ts"
import * as AnyNumber from "./AnyNumber.ts"

/** What a model consists of beside its operators. */
export interface Contents {
  /** Every array that the inference reads, by its path. */
  readonly weights: Readonly<Record<string, HostTensor.Any>>
  /** What the file says about itself. */
  readonly metadata: Readonly<Record<string, string>>
}

/** A name without its group. */
const named = (name: string): string => name.replace(/^(batch|output|weights)\./, "")

/** The graph with its weights as constants. */
const filled = (
  { constants: own, inputs, nodes, outputs, ...rest }: Graph.Graph,
  { weights }: Contents
): Graph.Graph => {
  const isWeight = ({ name }: Graph.Value) => name.startsWith("weights.")
  const short = (value: Graph.Value) => ({ ...value, name: named(value.name) })
  return {
    ...rest,
    nodes: nodes.map((node) => ({ ...node, inputs: node.inputs.map(named), outputs: node.outputs.map(named) })),
    constants: [
      ...own,
      ...inputs.filter(isWeight).map((value) => {
        const { name } = short(value)
        return { ...short(value), data: weights[name]!.data }
      })
    ],
    inputs: inputs.filter((value) => !isWeight(value)).map(short),
    outputs: outputs.map(short)
  }
}

/**
 * The bytes of a model with one input `images` `[B, 3, H, W]`, for `images` images or, when that is undefined, for any
 * number of them. `inference` gives the inference for a number of images.
 *
 * @throws NotTraceable when the inference cannot be compiled, or does not leave the number of images open.
 */
export const encode = <W, B, O>(
  inference: (images: number) => Inference<W, B, O>,
  contents: Contents,
  images?: number
): Uint8Array => {
  const graph = images === undefined
    ? AnyNumber.graph((count) => Trace.graph(inference(count)), "batch.images")
    : Trace.graph(inference(images))
  return OnnxModel.encode(filled(graph, contents), contents.metadata)
}
