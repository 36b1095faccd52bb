import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import * as Quantizer from "../../src/nn/tokenizer/Quantizer.ts"
import * as Elementwise from "../../src/shapes/Elementwise.ts"
import * as Gradient from "../../src/shapes/Gradient.ts"
import * as Normalization from "../../src/shapes/Normalization.ts"
import * as Reduction from "../../src/shapes/Reduction.ts"
import type { Tensor } from "../../src/shapes/Tensor.ts"
import * as Eager from "../parity/eager.ts"
import * as Vectors from "./vectors.ts"

type Values = Tensor<[number, number]>

interface Params {
  readonly codebook: Values
  readonly vectors: Values
}

const gradients = (
  { codebook, seed, vectors }: Vectors.Problem,
  loss: (params: Params, upstream: Values) => Tensor<[]>
) =>
  Eager.eagerly(
    { params: { codebook, vectors }, upstream: Vectors.matrix(seed, "upstream", ...vectors.shape) },
    ({ params, upstream }: { readonly params: Params; readonly upstream: Values }) =>
      Gradient.valueAndGradient((given: Params) => ({ loss: loss(given, upstream), aux: {} }), params).gradients
  )

const close = (actual: Float32Array, expected: Float32Array) =>
  actual.forEach((x, at) => assert.closeTo(x, expected[at]!, 1e-5 * (1 + Math.abs(expected[at]!))))

describe("straight through the quantizer", () => {
  it("the gradient is that of the normalised vectors themselves", () => {
    fc.assert(fc.property(Vectors.problem, (problem) => {
      const through = gradients(
        problem,
        ({ codebook, vectors }, upstream) =>
          Reduction.sum(Elementwise.mul(Quantizer.quantize(codebook, vectors).z_q, upstream))
      )
      const around = gradients(
        problem,
        ({ vectors }, upstream) => Reduction.sum(Elementwise.mul(Normalization.l2Normalize(vectors), upstream))
      )
      close(through.vectors.data, around.vectors.data)
    }))
  })

  it("the commitment pulls vectors to their codes", () => {
    fc.assert(fc.property(Vectors.problem, (problem) => {
      const found = gradients(
        problem,
        ({ codebook, vectors }) => Quantizer.quantize(codebook, vectors).commitment
      )
      const { codebook, vectors } = problem
      const codes = Vectors.rows(codebook)
      const expected = Vectors.rows(vectors).flatMap((vector) => {
        const z = Vectors.unit(vector)
        const code = codes.toSorted((a, b) => Vectors.dot(b, z) - Vectors.dot(a, z))[0]!
        const similarity = Vectors.dot(z, code)
        return z.map((x, at) => 2 * (x * similarity - code[at]!) / (vectors.data.length * Math.hypot(...vector)))
      })
      close(found.vectors.data, Float32Array.from(expected))
    }))
  })

  it("nothing reaches the codebook", () => {
    fc.assert(fc.property(Vectors.problem, (problem) => {
      const { codebook } = gradients(problem, (params, upstream) => {
        const { commitment, z_q } = Quantizer.quantize(params.codebook, params.vectors)
        return Elementwise.add(Reduction.sum(Elementwise.mul(z_q, upstream)), commitment)
      })
      assert.isTrue(codebook.data.every((x) => x === 0))
    }))
  })
})
