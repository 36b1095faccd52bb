/**
 * Schedules: the learning rate over a run, and drop path over the depth of a network.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Schedule } from "patchword/domain"
 *
 * const rate = Schedule.cosine({ peak: 1, floor: 0, warmup: 3, total: 7 })
 * assert.deepStrictEqual([0, 1, 2, 3, 5].map((step) => +rate(step).toFixed(3)), [0, 0.5, 1, 1, 0.5])
 * assert.deepStrictEqual(Schedule.dropPathRates(0.1, 3), [0, 0.05, 0.1])
 * ```
 */

/** The parameters of a cosine schedule with linear warmup. `warmup` and `total` count optimizer steps. */
export interface Cosine {
  readonly peak: number
  readonly floor: number
  readonly warmup: number
  readonly total: number
}

/**
 * Returns the official learning rate as a function of the step, counted from 0 (`utils.py`, `cosine_scheduler`).
 *
 * The warmup rises from 0 to `peak` **inclusive** over `warmup` steps. Step `warmup - 1` therefore already has the peak, and
 * step `warmup`, the first of the cosine, has it again. A warmup of one step is at 0. The cosine never quite reaches `floor`
 * within `total` steps. From `total` on, the learning rate is `floor`.
 */
export const cosine = (options: Cosine) => {
  const { floor, peak, total, warmup } = options
  return (step: number): number => {
    if (step < warmup) return warmup === 1 ? 0 : (step * peak) / (warmup - 1)
    if (step >= total) return floor
    return floor + 0.5 * (peak - floor) * (1 + Math.cos((Math.PI * (step - warmup)) / (total - warmup)))
  }
}

/** The parameters of a linear decay to 0 with linear warmup. `warmup` and `total` count optimizer steps. */
export interface Linear {
  readonly peak: number
  readonly warmup: number
  readonly total: number
  /** The share of the rate at the first step of the warmup. */
  readonly start: number
}

/**
 * Returns the official learning rate of segmentation as a function of the step, counted from 0 (the policy `poly` of mmcv with
 * the power 1). Warmup multiplies the decaying rate by a factor that rises from `start` to 1 over `warmup` steps.
 */
export const linear = (options: Linear) => {
  const { peak, start, total, warmup } = options
  return (step: number): number => {
    const rate = peak * Math.max(0, 1 - step / total)
    return step < warmup ? rate * (1 - (1 - step / warmup) * (1 - start)) : rate
  }
}

const linspace = (from: number, to: number, count: number): ReadonlyArray<number> =>
  Array.from({ length: count }, (_, i) => (count === 1 ? from : from + (i * (to - from)) / (count - 1)))

/** Computes the drop-path rate of each block: linearly from 0 at the first to `rate` at the last. */
export const dropPathRates = (rate: number, depth: number): ReadonlyArray<number> => linspace(0, rate, depth)

/**
 * Computes the drop-path rates of the `headDepth` patch-aggregation blocks that follow block `earlyLayer`. They are those of
 * the blocks at the same depth (`modeling_pretrain.py`).
 */
export const aggregationDropPathRates = (
  rate: number,
  depth: number,
  earlyLayer: number,
  headDepth: number
): ReadonlyArray<number> =>
  dropPathRates(rate, Math.max(depth, earlyLayer + headDepth)).slice(earlyLayer, earlyLayer + headDepth)
