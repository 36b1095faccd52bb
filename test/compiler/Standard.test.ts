import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import { InferenceSession, Tensor as OrtTensor } from "onnxruntime-node"
import type * as OnnxGraph from "../../src/compiler/onnx/OnnxGraph.ts"
import * as OnnxModel from "../../src/compiler/onnx/OnnxModel.ts"
import { Model } from "../../src/compiler/onnx/OnnxSchema.ts"
import * as OnnxProgram from "../../src/compiler/programs/OnnxProgram.ts"
import {
  Elementwise,
  Gradient,
  type HostTensor,
  Reduction,
  type Step,
  type Tensor,
  Tree
} from "../../src/shapes/index.ts"
import { type Host, inputs, type Operation, operations, sizes } from "../shapes/operations.ts"

type Tensors = Readonly<Record<string, Tensor.Any>>

const [size] = fc.sample(sizes, { numRuns: 1, seed: 1 })

const inference = (operation: Operation, floats: Host, rest: Host): Step.Inference<Tensors, Tensors, object> => {
  const spec = (host: Host) => Tree.map<Tensors>(host, ({ shape, dtype }) => ({ shape, dtype }))
  const result = (given: Tensors) => ({ output: operation.run(given, size!) })
  const squares = (output: object) =>
    Tree.leaves<Tensor.Any>(output)
      .map(([, leaf]) => Reduction.sum(Elementwise.square(leaf)))
      .reduce((total, part) => Elementwise.add(total, part))
  return {
    name: operation.name,
    weights: spec(floats),
    batch: spec(rest),
    run: (weights, batch) => {
      if (!operation.gradient) return result({ ...weights, ...batch })
      const { aux, gradients } = Gradient.valueAndGradient((params) => {
        const output = result({ ...params, ...batch })
        return { loss: squares(output), aux: output }
      }, weights)
      return { ...aux, gradients }
    }
  }
}

const run = async (bytes: Uint8Array, given: Readonly<Record<string, HostTensor.Any>>) => {
  const session = await InferenceSession.create(bytes, { logSeverityLevel: 3, intraOpNumThreads: 1 })
  const feeds = session.inputNames.map((name) => {
    const { data, dtype, shape } = given[name]!
    return [name, new OrtTensor(dtype, data, [...shape])] as const
  })
  return session.run(Object.fromEntries(feeds))
}

const cases = operations.map((operation) => {
  const { floats, rest } = inputs(operation, size!, 1)
  const step = inference(operation, floats, rest)
  const under = (group: string, host: Host) => Object.entries(host).map(([name, value]) => [`${group}.${name}`, value])
  return {
    name: operation.name,
    given: Object.fromEntries([...under("weights", floats), ...under("batch", rest)]),
    standard: OnnxProgram.standard(step),
    fused: OnnxProgram.inference(step)
  }
})

const domains = ({ nodes }: OnnxGraph.Graph) => Array.from(new Set(nodes.map(({ domain }) => domain)))

describe("a graph of standard operators", () => {
  it.each(cases)(
    "has no others in $name",
    ({ standard }) => assert.deepStrictEqual(domains(standard).filter((domain) => domain !== ""), [])
  )

  it.each(cases)("declares no others in $name, while the fused program does if it has some", ({ fused, standard }) => {
    const declared = (bytes: Uint8Array) => {
      const { opsetImport } = Model.toObject(Model.decode(bytes), { defaults: true }) as {
        readonly opsetImport: ReadonlyArray<{ readonly domain: string }>
      }
      return opsetImport.map(({ domain }) => domain)
    }
    assert.deepStrictEqual(declared(OnnxModel.encode(standard)), [""])
    assert.sameMembers(declared(fused.bytes), Array.from(new Set(["", ...domains(fused.graph)])))
  })

  it.each(cases.filter(({ fused }) => domains(fused.graph).length > 1))(
    "computes $name as the fused program does",
    async ({ fused, given, standard }) => {
      const [expected, found] = [await run(fused.bytes, given), await run(OnnxModel.encode(standard), given)]
      for (const [name, { data, dims }] of Object.entries(expected)) {
        assert.deepStrictEqual(found[name]!.dims, dims)
        const [values, others] = [data, found[name]!.data] as [Float32Array, Float32Array]
        const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
        values.forEach((value, i) => assert.approximately(others[i]!, value, 1e-6 * largest, `${name} ${i}`))
      }
    }
  )
})
