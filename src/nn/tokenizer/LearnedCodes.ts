/**
 * Codes that learn by gradient: the nearest code on the unit sphere. One loss pulls codes to their vectors, the other pulls
 * vectors to their codes (equation 2 of the paper as written, after VQ-VAE). The published code uses `MovingAverage` instead.
 *
 * ```ts
 * import assert from "node:assert"
 * import { LearnedCodes } from "patchword/nn"
 *
 * const { parameters } = LearnedCodes.make({ codes: 8192, codeWidth: 32, commitment: 1, kmeans: true })
 * assert.deepStrictEqual(parameters?.embedding.weight.shape, [8192, 32])
 * ```
 */
import { lookup, nearest, straightThrough } from "../../shapes/Codes.ts"
import { scale, square, stopGradient, sub } from "../../shapes/Elementwise.ts"
import { l2Normalize } from "../../shapes/Normalization.ts"
import { mean } from "../../shapes/Reduction.ts"
import type { Tensor } from "../../shapes/Tensor.ts"
import * as Parameter from "../blocks/Parameter.ts"
import * as Kmeans from "./Kmeans.ts"
import type * as Quantizer from "./Quantizer.ts"

/** The tensors of the quantizer. */
export interface Parts<K extends number, E extends number> extends Quantizer.Nothing {
  /** The codes. They may have any length: only their directions matter. */
  readonly parameters: { readonly embedding: { readonly weight: Tensor<[K, E]> } }
  readonly start: Kmeans.Start<K>
  /** The losses: means over all channels of squared distances on the unit sphere. */
  readonly losses: { readonly codebook: Tensor<[]>; readonly commitment: Tensor<[]> }
}

/** The options of the quantizer. */
export interface Options<K extends number, E extends number> {
  readonly codes: K
  readonly codeWidth: E
  /** The factor of the commitment loss, which pulls vectors to their codes. */
  readonly commitment: number
  /** True if k-means over the first batch initialises the codes. Otherwise they start as random directions. */
  readonly kmeans: boolean
}

const directions: Parameter.Regime = { ...Parameter.finetuning, deviation: 1, cut: Infinity }

/** Makes the quantizer. */
export const make = <K extends number, E extends number>(
  options: Options<K, E>
): Quantizer.Quantizer<K, E, Parts<K, E>> => {
  const { codeWidth, codes, commitment, kmeans } = options
  return {
    name: "gradient",
    codes,
    codeWidth,
    parameters: { embedding: { weight: Parameter.normal([codes, codeWidth], directions) } },
    quantize: ({ embedding }, vectors) => {
      const z = l2Normalize(vectors)
      const codebook = l2Normalize(embedding.weight)
      const found = nearest(z, codebook)
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
