/** Writes an inference and its weights as an ONNX model for any runtime, for a fixed number of images or for any number. */
import type * as HostTensor from "../../shapes/HostTensor.ts"
import type { Inference } from "../../shapes/Step.ts"
import type * as OnnxGraph from "../onnx/OnnxGraph.ts"
import * as OnnxModel from "../onnx/OnnxModel.ts"
import * as OnnxProgram from "../programs/OnnxProgram.ts"
import * as AnyNumber from "./AnyNumber.ts"

/** The parts of a model besides its operators. */
export interface Contents {
  /** Every array that the inference reads, by its path. */
  readonly weights: Readonly<Record<string, HostTensor.Any>>
  /** Metadata that is written into the file. */
  readonly metadata: Readonly<Record<string, string>>
}

/** Removes the group from a name. */
const named = (name: string): string => name.replace(/^(batch|output|weights)\./, "")

/** Removes the last results that nothing reads from an operator. Some runtimes refuse optional results. */
const trimmed = (node: OnnxGraph.Node, isRead: (name: string) => boolean): OnnxGraph.Node => ({
  ...node,
  outputs: node.outputs.slice(0, node.outputs.findLastIndex(isRead) + 1)
})

/** Makes the weights constants of the graph. */
const filled = (
  { constants: own, inputs, nodes, outputs, ...rest }: OnnxGraph.Graph,
  { weights }: Contents
): OnnxGraph.Graph => {
  const isWeight = ({ name }: OnnxGraph.Value) => name.startsWith("weights.")
  const short = (value: OnnxGraph.Value) => ({ ...value, name: named(value.name) })
  const read = new Set([...nodes.flatMap((node) => node.inputs), ...outputs.map(({ name }) => name)])
  return {
    ...rest,
    nodes: nodes.map((node) => trimmed(node, (name) => read.has(name))).map((node) => ({
      ...node,
      inputs: node.inputs.map(named),
      outputs: node.outputs.map(named)
    })),
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
 * Returns the bytes of a model with one input `images` `[B, 3, H, W]`. The model is for `images` images, or for any number of
 * them when `images` is undefined. `inference` returns the inference for a number of images.
 *
 * @throws NotTraceable when the inference cannot be compiled, or does not leave the number of images open.
 */
export const encode = <W, B, O>(
  inference: (images: number) => Inference<W, B, O>,
  contents: Contents,
  images?: number
): Uint8Array => {
  const graph = images === undefined
    ? AnyNumber.graph((count) => OnnxProgram.standard(inference(count)), "batch.images")
    : OnnxProgram.standard(inference(images))
  return OnnxModel.encode(filled(graph, contents), contents.metadata)
}
