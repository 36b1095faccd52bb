/**
 * The fidelity of pictures to others, over the images of a split: the mean PSNR and SSIM, with 95 % confidence intervals.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Fidelity } from "patchword/domain"
 *
 * const tally = Fidelity.tally()
 * tally.add({ psnr: 20, ssim: 0.5 })
 * tally.add({ psnr: Infinity, ssim: 1 })
 * assert.strictEqual(tally.figures().psnr.mean, (20 + Fidelity.HIGHEST) / 2)
 * ```
 */
import { Schema } from "effect"
import * as Psnr from "./Psnr.ts"
import * as Ssim from "./Ssim.ts"

/** The ratio that equal pictures count with, in decibels: an infinite one would have no mean. */
export const HIGHEST = 100

/** The mean over images, with the 95 % confidence interval of the mean. One image has no interval. */
export const Estimate = Schema.Struct({
  mean: Schema.Finite,
  interval: Schema.optionalKey(Schema.Tuple([Schema.Finite, Schema.Finite]))
})
export type Estimate = typeof Estimate.Type

/** The fidelity over the images of a split: PSNR in decibels, and SSIM. */
export const Fidelity = Schema.Struct({ psnr: Estimate, ssim: Estimate })
export type Fidelity = typeof Fidelity.Type

/** The fidelity of one picture. */
export interface Single {
  readonly psnr: number
  readonly ssim: number
}

/**
 * Compares a picture with the true one, values from 0 to 1. `places` are the values that PSNR compares: by default all.
 *
 * @throws RangeError as `Ssim.ssim` and `Psnr.meanSquaredError` do.
 */
export const compare = (
  truth: Float32Array,
  picture: Float32Array,
  size: Ssim.Size,
  places?: ArrayLike<number>
): Single => ({
  psnr: Psnr.psnr(Psnr.meanSquaredError(truth, picture, places)),
  ssim: Ssim.ssim(truth, picture, size)
})

/** Half the width of a 95 % confidence interval, in standard errors. */
const QUANTILE = 1.959963984540054

/** A mean and a spread of numbers that arrive one after another (B. P. Welford, 1962). */
const spread = () => {
  let [count, mean, squares] = [0, 0, 0]
  return {
    add: (value: number): void => {
      const difference = value - mean
      count++
      mean += difference / count
      squares += difference * (value - mean)
    },
    estimate: (): Estimate => {
      if (count < 2) return { mean }
      const reach = QUANTILE * Math.sqrt(squares / (count - 1) / count)
      return { mean, interval: [mean - reach, mean + reach] }
    }
  }
}

/** The fidelities of images, while they arrive. */
export interface Tally {
  /** Adds the figures of an image. */
  readonly add: (one: Single) => void
  /** Returns the means so far; 0 without any image. */
  readonly figures: () => Fidelity
}

/** Begins to average fidelities. They are not kept. */
export const tally = (): Tally => {
  const [psnr, ssim] = [spread(), spread()]
  return {
    add: (one) => {
      psnr.add(Math.min(one.psnr, HIGHEST))
      ssim.add(one.ssim)
    },
    figures: () => ({ psnr: psnr.estimate(), ssim: ssim.estimate() })
  }
}
