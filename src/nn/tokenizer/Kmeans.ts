/**
 * Spherical k-means, which initialises a codebook: ten rounds over one batch, starting from rows of that batch
 * (`norm_ema_quantizer.py`, `kmeans`).
 *
 * ```ts
 * import assert from "node:assert"
 * import { Kmeans } from "patchword/nn"
 * import { HostTensor, Tensor } from "patchword/shapes"
 *
 * const vectors = Tensor.constant(HostTensor.make([3, 2], "float32", Float32Array.of(1, 0, 0, 1, 0, 1)))
 * const start = Tensor.constant(HostTensor.make([2], "int32", Int32Array.of(0, 1)))
 * assert.deepStrictEqual(Kmeans.kmeans(vectors, start).means.shape, [2, 2])
 * ```
 */
import { countByCode, nearest, sumByCode } from "../../shapes/Codes.ts"
import * as Collective from "../../shapes/Collective.ts"
import { isBelow, toFloat, whereRows } from "../../shapes/Elementwise.ts"
import { l2Normalize } from "../../shapes/Normalization.ts"
import type { Inference } from "../../shapes/Step.ts"
import type { Tensor } from "../../shapes/Tensor.ts"
import type * as Quantizer from "./Quantizer.ts"
import * as Rows from "./Rows.ts"

/** The number of rounds in the official code. */
export const ROUNDS = 10

/**
 * Runs `rounds` rounds of k-means on unit vectors, starting from the rows `start`. Returns the means `[K, E]` and the counts
 * `[K]` of the last assignment.
 */
export const kmeans = <M extends number, K extends number, E extends number>(
  vectors: Tensor<[M, E]>,
  start: Tensor<[K], "int32">,
  rounds = ROUNDS
): { readonly means: Tensor<[K, E]>; readonly counts: Tensor<[K]> } => {
  const [size] = start.shape
  let means = Collective.lookup(vectors, start)
  let counts = toFloat(start)
  for (let round = 0; round < rounds; round++) {
    const codes = nearest(vectors, means)
    counts = Collective.psum(countByCode(codes, size))
    const next = l2Normalize(Collective.psum(sumByCode(vectors, codes, size)))
    means = whereRows(isBelow(counts, 0.5), means, next)
  }
  return { means, counts }
}

/** Makes the inference of `kmeans`. Vectors may have any length and are normalised first. */
export const inference = <M extends number, K extends number, E extends number>(
  vectors: M,
  size: K,
  width: E
): Inference<
  Readonly<Record<never, never>>,
  { readonly vectors: Tensor<[M, E]>; readonly start: Tensor<[K], "int32"> },
  { readonly means: Tensor<[K, E]>; readonly counts: Tensor<[K]> }
> => ({
  name: "kmeans",
  weights: {},
  batch: {
    vectors: { shape: [vectors, width], dtype: "float32" },
    start: { shape: [size], dtype: "int32" }
  },
  run: (_, batch) => kmeans(l2Normalize(batch.vectors), batch.start)
})

/** The rows that the means start from. */
export interface Start<K extends number> {
  readonly start: Tensor<[K], "int32">
}

/** Initialises a codebook `embedding.weight` of `K` unit vectors with the means of the first batch. */
export const fit = <K extends number, E extends number>(
  size: K
): Quantizer.Fit<E, Quantizer.Parts & { readonly start: Start<K> }> => ({
  draw: (keyOf, vectors) => ({ start: Rows.distinct(size, vectors, keyOf("kmeans")) }),
  run: (vectors, { start }) => ({ embedding: { weight: kmeans(l2Normalize(vectors), start).means } })
})
