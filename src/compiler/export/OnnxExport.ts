/**
 * An inference with its weights in it: a model for whatever runs ONNX, for a fixed number of images or for any.
 *
 * Programs are traced with fixed shapes. For any number of images, an inference is traced for two numbers; what differs
 * between both are lists of lengths, and each of these is linear in the number, so the model computes them from the length
 * of its input's first axis.
 */
import type * as HostTensor from "../../shapes/HostTensor.ts"
import * as ShapeError from "../../shapes/ShapeError.ts"
import type { Inference } from "../../shapes/Step.ts"
import * as Graph from "../graph/Graph.ts"
import * as OnnxModel from "../graph/OnnxModel.ts"
import { NotTraceable } from "../graph/Tracer.ts"
import * as Trace from "../trace/Trace.ts"

/** What a model consists of beside its operators. */
export interface Contents {
  /** Every array that the inference reads, by its path. */
  readonly weights: Readonly<Record<string, HostTensor.Any>>
  /** What the file says about itself. */
  readonly metadata: Readonly<Record<string, string>>
}

// Two numbers at which no length of a network coincides with the number of images.
const TRIED = [97, 101] as const

const refuse = (operation: string, problem: string): never => {
  throw new NotTraceable(`the number of images cannot be left open: ${problem} in ${operation}; give a number`)
}

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b)

const constants = ({ constants: all }: Graph.Graph) => new Map(all.map((constant) => [constant.name, constant]))

/** The graph for any number of images, from the graphs for two of them. */
const freed = (one: Graph.Graph, other: Graph.Graph, input: string): Graph.Graph => {
  const [of, also] = [constants(one), constants(other)]
  const [few, many] = TRIED
  const added: Array<Graph.Constant> = []
  const nodes: Array<Graph.Node> = []
  const known = new Map<string, string>()
  const node = (operation: string, output: string, ...inputs: ReadonlyArray<string>) => {
    nodes.push({ operation, domain: "", inputs, outputs: [output], attributes: {}, flops: 0 })
    return output
  }
  const lengths = (name: string, values: ReadonlyArray<bigint>) => {
    added.push({ name, shape: [values.length], dtype: "int64", data: BigInt64Array.from(values) })
    return name
  }
  const images = () => {
    const name = "images.count"
    if (!known.has(name)) {
      known.set(name, node("Gather", name, node("Shape", "images.shape", input), lengths("images.axis", [0n])))
    }
    return name
  }

  /** A list that is computed, or the constant itself where it is the same for both. */
  const list = (a: Graph.Constant, b: Graph.Constant, operation: string): string => {
    if (same([a.shape, a.dtype], [b.shape, b.dtype])) {
      const [first, second] = [Array.from<number | bigint>(a.data), Array.from<number | bigint>(b.data)]
      if (first.every((value, i) => value === second[i])) return a.name
      if (a.dtype === "int64") {
        const name = `${a.name}.${b.name}`
        const slopes = first.map((value, i) => (BigInt(second[i]!) - BigInt(value)) / BigInt(many - few))
        const offsets = first.map((value, i) => BigInt(value) - BigInt(few) * slopes[i]!)
        if (offsets.some((offset, i) => offset + BigInt(many) * slopes[i]! !== BigInt(second[i]!))) {
          refuse(operation, "a length is not linear in it")
        }
        if (!known.has(name)) {
          const product = node("Mul", `${name}.varying`, images(), lengths(`${name}.slopes`, slopes))
          known.set(name, node("Add", name, product, lengths(`${name}.offsets`, offsets)))
        }
        return name
      }
    }
    return refuse(operation, `a constant ${ShapeError.show(a.shape)} depends on it`)
  }

  if (one.nodes.length !== other.nodes.length) refuse(one.name, "the operators depend on it")
  const rewritten = one.nodes.map((before, place) => {
    const after = other.nodes[place]!
    const { attributes, inputs, operation } = before
    if (operation !== after.operation || !same(attributes, after.attributes) || inputs.length !== after.inputs.length) {
      refuse(operation, "an operator depends on it")
    }
    return {
      ...before,
      inputs: inputs.map((name, at) => {
        const [a, b] = [of.get(name), also.get(after.inputs[at]!)]
        if (a !== undefined && b !== undefined) return list(a, b, operation)
        return a === undefined && b === undefined ? name : refuse(operation, "an operand depends on it")
      })
    }
  })
  const open = (values: ReadonlyArray<Graph.Value>, others: ReadonlyArray<Graph.Value>) =>
    values.map((value, i): Graph.Value => {
      const varying = value.shape.map((dim, axis) => dim !== others[i]!.shape[axis])
      if (varying.some((varies, axis) => varies && (axis > 0 || value.shape[axis] !== few))) {
        refuse(value.name, `its shape ${ShapeError.show(value.shape)} is not that many rows`)
      }
      return { ...value, shape: value.shape.map((dim, axis) => (varying[axis] ? Graph.FREE : dim)) }
    })
  const all = [...nodes, ...rewritten]
  const read = new Set(all.flatMap(({ inputs }) => inputs))
  return {
    ...one,
    nodes: all,
    constants: [...one.constants.filter(({ name }) => read.has(name)), ...added],
    inputs: open(one.inputs, other.inputs),
    outputs: open(one.outputs, other.outputs)
  }
}

const named = (name: string): string => name.replace(/^(batch|output|weights)\./, "")

/** The graph with its weights as constants, and every name without its group. */
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
    ? freed(Trace.graph(inference(TRIED[0])), Trace.graph(inference(TRIED[1])), "batch.images")
    : Trace.graph(inference(images))
  return OnnxModel.encode(filled(graph, contents), contents.metadata)
}
