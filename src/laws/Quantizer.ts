/** Laws of quantizers of any kind. */
import fc from "fast-check"
import type * as Quantizer from "../nn/tokenizer/Quantizer.ts"
import * as Elementwise from "../shapes/Elementwise.ts"
import * as Gradient from "../shapes/Gradient.ts"
import * as Reduction from "../shapes/Reduction.ts"
import type { HostOf } from "../shapes/Step.ts"
import type { Tensor } from "../shapes/Tensor.ts"
import * as Arbitraries from "./Arbitraries.ts"
import * as Claim from "./Claim.ts"
import * as Eager from "./Eager.ts"
import { type Law, make } from "./Law.ts"
import * as Rows from "./Rows.ts"

/**
 * The laws of any quantizer, with a codebook or without. `learned` gives parameters and state that it may have, another one for
 * each seed; where it has none, it gives nothing.
 */
export const quantizer = <K extends number, E extends number, Q extends Quantizer.Parts>(
  of: Quantizer.Quantizer<K, E, Q>,
  learned: (seed: number) => HostOf<Quantizer.Learned<Q>>
): ReadonlyArray<Law> => {
  const { codeWidth, codes: size } = of
  interface Given {
    readonly learned: Quantizer.Learned<Q>
    readonly vectors: Tensor<[number, E]>
    /** The gradient of the values. */
    readonly upstream: Tensor<[number, E]>
  }
  const asked = fc.record({ vectors: Arbitraries.vectors(codeWidth, 20), seed: fc.nat() })
  // Vectors of about unit length: far ones would all be at the bounds of a quantizer that has some.
  const given = (vectors: Rows.Rows, seed: number) =>
    ({
      learned: learned(seed),
      vectors: Rows.toHost(vectors.map((vector) => vector.map((x) => x / 50)), codeWidth),
      upstream: Rows.toHost(vectors.map((vector) => vector.map((x, at) => Math.sin(seed + x + at))), codeWidth)
    }) as HostOf<Given>
  const found = (vectors: Rows.Rows, seed: number) => {
    const { codes, z_q } = Eager.run<Given, Pick<Quantizer.Quantized<number, E>, "codes" | "z_q">>(
      given(vectors, seed),
      ({ learned, vectors }) => {
        const { codes, z_q } = of.quantize(learned, vectors)
        return { codes, z_q }
      }
    )
    return { codes: Array.from(codes.data), z_q: Rows.fromHost(z_q) }
  }
  const slope = (vectors: Rows.Rows, seed: number, member: "z" | "z_q") =>
    Eager.run<Given, { readonly slope: Tensor<[number, E]> }>(
      given(vectors, seed),
      ({ learned, upstream, vectors }) => {
        const { gradients } = Gradient.valueAndGradient((moved: Pick<Given, "vectors">) => {
          const values = of.quantize(learned, moved.vectors)[member]
          return { loss: Reduction.sum(Elementwise.mul(values, upstream)), aux: {} }
        }, { vectors })
        return { slope: gradients.vectors }
      }
    ).slope.data

  return [
    make("gives every vector a code that there is, with a value", asked, ({ seed, vectors }) => {
      const { codes, z_q } = found(vectors, seed)
      Claim.same(codes.length, vectors.length, "the number of codes")
      const strange = codes.find((code) => !(code >= 0 && code < size))
      Claim.holds(strange === undefined, () => `code ${strange} is not in 0..${size - 1}`)
      Claim.same(z_q.length, vectors.length, "the number of values")
      Claim.holds(z_q.flat().every(Number.isFinite), () => "a value is not finite")
    }),

    make("gives a vector the same code in whatever batch", asked, ({ seed, vectors }) => {
      const { codes } = found(vectors, seed)
      vectors.forEach((vector, at) =>
        Claim.same(found([vector], seed).codes[0], codes[at], `the code of vector ${at} alone`)
      )
    }, { numRuns: 20 }),

    make("gives equal codes equal values", asked, ({ seed, vectors }) => {
      const { codes, z_q } = found(vectors, seed)
      codes.forEach((code, at) => {
        const first = codes.indexOf(code)
        Claim.close(z_q[at]!, z_q[first]!, 1e-6, `the value of code ${code} at vector ${at}, not ${first},`)
      })
    }),

    make("lets the gradient pass as if nothing were chosen", asked, ({ seed, vectors }) => {
      Claim.close(
        slope(vectors, seed, "z_q"),
        slope(vectors, seed, "z"),
        (expected) => 1e-4 * (1 + Math.abs(expected)),
        "the gradient of the vectors"
      )
    })
  ]
}
