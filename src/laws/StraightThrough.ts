/** Laws of a quantizer's gradients. */
import * as KeyedRandom from "../domain/values/KeyedRandom.ts"
import * as Elementwise from "../shapes/Elementwise.ts"
import * as Gradient from "../shapes/Gradient.ts"
import * as HostTensor from "../shapes/HostTensor.ts"
import * as Normalization from "../shapes/Normalization.ts"
import * as Reduction from "../shapes/Reduction.ts"
import type { Tensor } from "../shapes/Tensor.ts"
import * as Arbitraries from "./Arbitraries.ts"
import * as Claim from "./Claim.ts"
import * as Eager from "./Eager.ts"
import { fc } from "./FastCheck.ts"
import { type Law, make } from "./Law.ts"
import * as Rows from "./Rows.ts"

type Values = Tensor<[number, number]>

interface Params {
  readonly codebook: Values
  readonly vectors: Values
}

const arbitrary = fc.record({ search: Arbitraries.search, seed: fc.nat() })

const gradients = (
  { codes, vectors }: Arbitraries.Search,
  seed: number,
  loss: (params: Params, upstream: Values) => Tensor<[]>
) => {
  const width = codes[0]!.length
  const { normal } = KeyedRandom.generator({ seed, purpose: "upstream", epoch: 0, index: 0 })
  const params = { codebook: Rows.toHost(codes.map(Rows.unit), width), vectors: Rows.toHost(vectors, width) }
  const upstream = HostTensor.make(
    params.vectors.shape,
    "float32",
    Float32Array.from(params.vectors.data, normal)
  )
  return Eager.run(
    { params, upstream },
    (given: { readonly params: Params; readonly upstream: Values }) =>
      Gradient.valueAndGradient((moved: Params) => ({ loss: loss(moved, given.upstream), aux: {} }), given.params)
  )
}

const bound = (expected: number) => 1e-5 * (1 + Math.abs(expected))

const weighed = (values: Values, upstream: Values) => Reduction.sum(Elementwise.mul(values, upstream))

const noneReaches = (found: HostTensor.Any) =>
  Claim.holds(
    found.data.every((x) => x === 0),
    () => `a gradient of ${found.data.find((x) => x !== 0)} reaches the codebook`
  )

/**
 * Returns the laws of a straight-through estimator. The gradient of the quantized vectors is that of `around`, the same
 * function without the choice of codes. No gradient reaches the codebook.
 */
export const straightThrough = (
  quantize: (codebook: Values, vectors: Values) => { readonly z_q: Values },
  around: (vectors: Values) => Values = Normalization.l2Normalize
): ReadonlyArray<Law> => [
  make("passes the gradient straight through", arbitrary, ({ search, seed }) => {
    const through = gradients(
      search,
      seed,
      ({ codebook, vectors }, upstream) => weighed(quantize(codebook, vectors).z_q, upstream)
    )
    const past = gradients(search, seed, ({ vectors }, upstream) => weighed(around(vectors), upstream))
    Claim.close(through.gradients.vectors.data, past.gradients.vectors.data, bound, "the gradient of the vectors")
  }),

  make("passes no gradient of the quantized vectors to the codebook", arbitrary, ({ search, seed }) => {
    const { gradients: { codebook } } = gradients(
      search,
      seed,
      ({ codebook, vectors }, upstream) => weighed(quantize(codebook, vectors).z_q, upstream)
    )
    noneReaches(codebook)
  })
]

/**
 * Returns the laws of a commitment loss: the mean over all channels of the squared distance between a code and the direction of
 * its vector. It pulls vectors to codes, and no codes to vectors.
 */
export const commitment = (
  quantize: (codebook: Values, vectors: Values) => {
    readonly codes: Tensor<[number], "int32">
    readonly commitment: Tensor<[]>
  }
): ReadonlyArray<Law> => {
  const found = (search: Arbitraries.Search) => {
    const result = gradients(search, 0, ({ codebook, vectors }) => quantize(codebook, vectors).commitment)
    const width = search.codes[0]!.length
    const { codes } = Eager.run(
      { codebook: Rows.toHost(search.codes.map(Rows.unit), width), vectors: Rows.toHost(search.vectors, width) },
      ({ codebook, vectors }: Params) => ({ codes: quantize(codebook, vectors).codes })
    )
    const chosen = Array.from(codes.data, (code) => Rows.unit(search.codes[code]!))
    return { ...result, chosen, directions: search.vectors.map(Rows.unit) }
  }

  return [
    make("is the mean squared distance between vectors and their codes", Arbitraries.search, (search) => {
      const { chosen, directions, loss } = found(search)
      const far = directions.map((direction, at) => Rows.distance(direction, chosen[at]!))
      const mean = far.reduce((a, b) => a + b) / directions.flat().length
      Claim.close(loss.data, [mean], 1e-6, "the commitment")
    }),

    make("pulls vectors to their codes", Arbitraries.search, (search) => {
      const { chosen, directions, gradients } = found(search)
      const expected = directions.flatMap((direction, at) => {
        const code = chosen[at]!
        const cosine = Rows.dot(direction, code)
        const length = Math.hypot(...search.vectors[at]!) * directions.flat().length
        return direction.map((x, channel) => 2 * (x * cosine - code[channel]!) / length)
      })
      Claim.close(gradients.vectors.data, expected, bound, "the gradient of the vectors")
    }),

    make(
      "pulls no codes to their vectors",
      Arbitraries.search,
      (search) => noneReaches(found(search).gradients.codebook)
    )
  ]
}
