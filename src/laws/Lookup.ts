/** Laws of the code lookup. */
import type { Arbitrary } from "fast-check"
import type * as HostTensor from "../shapes/HostTensor.ts"
import type { Tensor } from "../shapes/Tensor.ts"
import * as Arbitraries from "./Arbitraries.ts"
import * as Claim from "./Claim.ts"
import * as Eager from "./Eager.ts"
import { fc } from "./FastCheck.ts"
import { type Law, make } from "./Law.ts"
import * as Rows from "./Rows.ts"

/** Looks up the codes of vectors `[M, E]` in a codebook `[K, E]` of unit vectors, and returns the codes and their values. */
export type Lookup = (codebook: Tensor<[number, number]>, vectors: Tensor<[number, number]>) => {
  readonly codes: Tensor<[number], "int32">
  readonly z_q: Tensor<[number, number]>
}

interface Given {
  readonly codebook: Tensor<[number, number]>
  readonly vectors: Tensor<[number, number]>
}

// Two distances that differ by less are the same number in single precision.
const NOISE = 1e-5

const ordered: Arbitrary<Arbitraries.Search & { readonly order: ReadonlyArray<number> }> = Arbitraries.search.chain(
  ({ codes, vectors }) =>
    fc.record({
      codes: fc.constant(codes),
      vectors: fc.constant(vectors),
      order: fc.shuffledSubarray([...codes.keys()], { minLength: codes.length })
    })
)

/**
 * Returns the laws of a lookup by direction, in which the code with the largest cosine similarity is the nearest on the unit
 * sphere. Codes whose distances differ only by the noise of single precision are all accepted. Of identical codes, the first
 * one is required.
 */
export const lookup = (quantize: Lookup): ReadonlyArray<Law> => {
  const found = (codes: Rows.Rows, vectors: Rows.Rows) => {
    const width = codes[0]!.length
    const codebook = Rows.toHost(codes.map(Rows.unit), width)
    const { codes: chosen, z_q } = Eager.run(
      { codebook, vectors: Rows.toHost(vectors, width) },
      (given: Given) => {
        const { codes, z_q } = quantize(given.codebook, given.vectors)
        return { codes, z_q }
      }
    )
    const rows = Rows.fromHost(codebook)
    return {
      codes: chosen.data,
      rows,
      z_q: Rows.fromHost(z_q as HostTensor.HostTensor<[number, number], "float32">)
    }
  }

  const nearest = (codes: Rows.Rows, vectors: Rows.Rows) => {
    const { codes: chosen, rows } = found(codes, vectors)
    Claim.same(chosen.length, vectors.length, "the number of codes")
    vectors.forEach((vector, at) => {
      const distances = rows.map((code) => Rows.distance(Rows.unit(vector), code))
      const code = chosen[at]!
      const best = distances.indexOf(Math.min(...distances))
      const named = (code: number) => `code ${code} ${Rows.show(codes[code] ?? [])}`
      Claim.holds(
        distances[code]! <= distances[best]! + NOISE,
        () =>
          `vector ${at} ${Rows.show(vector)} got ${named(code)} with the cosine ${
            (1 - distances[code]! / 2).toFixed(4)
          }, but that of ${named(best)} is ${(1 - distances[best]! / 2).toFixed(4)}`
      )
    })
  }

  return [
    make("gives every vector the nearest code on the unit sphere", Arbitraries.search, ({ codes, vectors }) => {
      nearest(codes, vectors)
    }),

    make(
      "ignores the lengths of vectors",
      fc.record({ search: Arbitraries.search, power: fc.integer({ min: -20, max: 30 }) }),
      ({ power, search: { codes, vectors } }) => {
        nearest(codes, vectors.map((vector, row) => vector.map((x) => x * 3 ** power * (1 + row))))
      }
    ),

    make("ignores the order of codes", ordered, ({ codes, order, vectors }) => {
      nearest(order.map((at) => codes[at]!), vectors)
    }),

    make("takes the first of equal codes", ordered, ({ codes, order, vectors }) => {
      const { codes: chosen } = found([...codes, ...order.map((at) => codes[at]!)], vectors)
      chosen.forEach((code, at) => {
        const first = code < codes.length ? code : order[code - codes.length]!
        const least = codes.findIndex((row) => row.every((x, channel) => x === codes[first]![channel]))
        Claim.holds(
          code === least,
          () => `vector ${at} got code ${code}, but code ${least} is the same and comes first`
        )
      })
    }),

    make("finds every code for itself, at any length", Arbitraries.search, ({ codes }) => nearest(codes, codes)),

    make("returns the values of the codes", Arbitraries.search, ({ codes, vectors }) => {
      const { codes: chosen, rows, z_q } = found(codes, vectors)
      Claim.same(z_q.length, vectors.length, "the number of values")
      // A quantizer that normalises its codebook changes unit vectors by rounding.
      chosen.forEach((code, at) =>
        Claim.close(z_q[at]!, rows[code]!, 1e-6, `the value of code ${code} at vector ${at}`)
      )
    })
  ]
}
