import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import * as Quantizer from "../../src/nn/tokenizer/Quantizer.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import type { Tensor } from "../../src/shapes/Tensor.ts"
import * as Eager from "../parity/eager.ts"
import * as Vectors from "./vectors.ts"

const quantize = (codebook: Vectors.Matrix, vectors: Vectors.Matrix) =>
  Eager.eagerly(
    { codebook, vectors },
    (given: { readonly codebook: Tensor<[number, number]>; readonly vectors: Tensor<[number, number]> }) =>
      Quantizer.quantize(given.codebook, given.vectors)
  )

const distances = (vector: ReadonlyArray<number>, codebook: Vectors.Matrix) =>
  Vectors.rows(codebook).map((code) => Vectors.unit(vector).reduce((sum, x, at) => sum + (x - code[at]!) ** 2, 0))

const scaled = (matrix: Vectors.Matrix, factor: (row: number) => number): Vectors.Matrix =>
  HostTensor.make(
    matrix.shape,
    "float32",
    matrix.data.map((x, at) => x * factor(Math.floor(at / matrix.shape[1])))
  )

const margin = (all: ReadonlyArray<number>) => {
  const [first = 0, second = Infinity] = all.toSorted((a, b) => a - b)
  return second - first
}

const NOISE = 1e-5

describe("the quantizer", () => {
  it("gives every vector the nearest code on the unit sphere", () => {
    fc.assert(fc.property(Vectors.problem, ({ codebook, vectors }) => {
      const { codes } = quantize(codebook, vectors)
      Vectors.rows(vectors).forEach((vector, row) => {
        const all = distances(vector, codebook)
        const least = Math.min(...all)
        if (margin(all) > NOISE) assert.strictEqual(codes.data[row], all.indexOf(least))
        else assert.closeTo(all[codes.data[row]!]!, least, NOISE)
      })
    }))
  })

  it("does not see how long a vector is", () => {
    fc.assert(fc.property(Vectors.problem, fc.integer({ min: -10, max: 10 }), ({ codebook, vectors }, power) => {
      const longer = scaled(vectors, (row) => 3 ** power * (1 + row))
      const [before, after] = [quantize(codebook, vectors), quantize(codebook, longer)]
      Vectors.rows(vectors).forEach((vector, row) => {
        if (margin(distances(vector, codebook)) > NOISE) {
          assert.strictEqual(after.codes.data[row], before.codes.data[row])
        }
      })
      after.z.data.forEach((x, at) => assert.closeTo(x, before.z.data[at]!, 1e-6))
    }))
  })

  it("gives every code itself", () => {
    fc.assert(fc.property(Vectors.problem, ({ codebook }) => {
      fc.pre(Vectors.rows(codebook).every((code) => margin(distances(code, codebook)) > NOISE))
      const { codes, z_q } = quantize(codebook, scaled(codebook, (row) => 2 + row))
      assert.deepStrictEqual([...codes.data], [...codebook.data.slice(0, codebook.shape[0]).keys()])
      assert.deepStrictEqual(z_q.data, codebook.data)
    }))
  })

  it("hands the codes' own values on and measures how far they are", () => {
    fc.assert(fc.property(Vectors.problem, ({ codebook, vectors }) => {
      const { codes, commitment, z, z_q } = quantize(codebook, vectors)
      const chosen = Array.from(codes.data, (code) => Vectors.rows(codebook)[code]!)
      assert.deepStrictEqual([...z_q.data], chosen.flat())
      const squares = chosen.flat().map((x, at) => (x - z.data[at]!) ** 2)
      assert.closeTo(HostTensor.item(commitment), squares.reduce((a, b) => a + b) / squares.length, 1e-6)
    }))
  })
})
