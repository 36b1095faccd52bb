/**
 * Codes that learn by gradient: the nearest code on the unit sphere. One loss pulls codes to their vectors, the other pulls
 * vectors to their codes (equation 2 of the paper as written, after VQ-VAE). The published code uses `MovingAverage` instead.
 * Without l2 normalisation it is plain VQ: the nearest code among vectors of any length (van den Oord and others, 2017).
 *
 * ```ts
 * import assert from "node:assert"
 * import { LearnedCodes } from "patchword/nn"
 *
 * const { parameters } = LearnedCodes.make({ codes: 8192, codeWidth: 32, commitment: 1, kmeans: true })
 * assert.deepStrictEqual(parameters?.embedding.weight.shape, [8192, 32])
 * ```
 */
import { argMax, lookup, nearest, straightThrough } from "../../shapes/Codes.ts"
import { scale, square, stopGradient, sub } from "../../shapes/Elementwise.ts"
import { linear } from "../../shapes/Linear.ts"
import { l2Normalize } from "../../shapes/Normalization.ts"
import { mean, sumLast } from "../../shapes/Reduction.ts"
import type { Tensor } from "../../shapes/Tensor.ts"
import * as Parameter from "../blocks/Parameter.ts"
import * as Kmeans from "./Kmeans.ts"
import type * as Quantizer from "./Quantizer.ts"

/** The tensors of the quantizer. */
export interface Parts<K extends number, E extends number> extends Quantizer.Nothing {
  /** The codes. They may have any length. With l2 normalisation, only their directions matter. */
  readonly parameters: { readonly embedding: { readonly weight: Tensor<[K, E]> } }
  readonly start: Kmeans.Start<K>
  /** The losses: means over all channels of squared distances, on the unit sphere with l2 normalisation. */
  readonly losses: { readonly codebook: Tensor<[]>; readonly commitment: Tensor<[]> }
}

/** The options of the quantizer. */
export interface Options<K extends number, E extends number> {
  readonly codes: K
  readonly codeWidth: E
  /** The factor of the commitment loss, which pulls vectors to their codes. */
  readonly commitment: number
  /** True if k-means over the first batch initialises the codes. Otherwise they start as random directions, or near 0 without l2 normalisation. */
  readonly kmeans: boolean
  /** False for plain VQ: vectors and codes are compared as they are. True by default. */
  readonly l2Normalize?: boolean | undefined
}

const directions: Parameter.Regime = { ...Parameter.finetuning, deviation: 1, cut: Infinity }

/** Returns the code of each vector `[M, E]`: the nearest row of a codebook `[K, E]` of any length. On ties it is the lowest row. */
const nearestOfAny = <M extends number, K extends number, E extends number>(
  vectors: Tensor<[M, E]>,
  codebook: Tensor<[K, E]>
): Tensor<[M], "int32"> => {
  // The square of the vector itself is the same for all codes.
  const bias = scale(sumLast(square(codebook)), -0.5)
  return argMax(linear(stopGradient(vectors), { weight: codebook, bias }, { exact: true }))
}

/** Makes the quantizer. */
export const make = <K extends number, E extends number>(
  options: Options<K, E>
): Quantizer.Quantizer<K, E, Parts<K, E>> => {
  const { codeWidth, codes, commitment, kmeans, l2Normalize: isNormalized = true } = options
  return {
    name: "gradient",
    codes,
    codeWidth,
    // Codes of plain VQ begin in ±1/K, as in its authors' code.
    parameters: {
      embedding: {
        weight: isNormalized
          ? Parameter.normal([codes, codeWidth], directions)
          : Parameter.byFanIn([codes, codeWidth], codes ** 2)
      }
    },
    quantize: ({ embedding }, vectors) => {
      const z = isNormalized ? l2Normalize(vectors) : vectors
      const codebook = isNormalized ? l2Normalize(embedding.weight) : embedding.weight
      const found = isNormalized ? nearest(z, codebook) : nearestOfAny(z, codebook)
      const rows = lookup(codebook, found)
      return {
        z,
        codes: found,
        z_q: straightThrough(z, rows),
        losses: {
          codebook: mean(square(sub(rows, stopGradient(z)))),
          commitment: scale(mean(square(sub(z, stopGradient(rows)))), commitment)
        }
      }
    },
    fit: kmeans ? Kmeans.fit(codes) : undefined
  }
}
