/**
 * The AdamW equation for one parameter. An engine may compute it in one pass over memory. `AdamW` of `patchword/nn` decides
 * when an update happens and with which factors.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Elementwise, FusedAdamW, Tensor } from "patchword/shapes"
 *
 * const number = (value: number) => Tensor.fill([], value)
 * const zeros = Tensor.zeros([2, 3])
 * const { parameter } = FusedAdamW.update(
 *   { parameter: Tensor.fill([2, 3], 1), first: zeros, second: zeros },
 *   Tensor.fill([2, 3], 1),
 *   {
 *     finite: Elementwise.isFinite(number(1)),
 *     keepFirst: number(0.9),
 *     takeFirst: number(0.1),
 *     keepSecond: number(0.99),
 *     takeSecond: number(0.01),
 *     epsilon: number(1e-8),
 *     step: number(0.5)
 *   }
 * )
 * assert.deepStrictEqual(parameter.shape, [2, 3])
 * ```
 */
import { add, div, scaleBy, shiftBy, sqrt, square, sub, zeroUnless } from "./Elementwise.ts"
import * as FusedKernel from "./FusedKernel.ts"
import type { Shape } from "./Shape.ts"
import * as ShapeError from "./ShapeError.ts"
import { type Tensor, unsafeTyped, untyped } from "./Tensor.ts"

type Scalar = Tensor<[]>

/** A parameter and its optimizer state. */
export interface Moments<in out S extends Shape> {
  readonly parameter: Tensor<S>
  readonly first: Tensor<S>
  readonly second: Tensor<S>
  /** The mean gradient so far, if several steps make one update. */
  readonly mean?: Tensor<S> | undefined
  /** The moving average of the parameter, if one is kept. */
  readonly ema?: Tensor<S> | undefined
}

/** The factors of one step. */
export interface Factors {
  /** True if the gradient is used. Otherwise zeros replace it. */
  readonly finite: Tensor<[], "bool">
  /** The decay of the first moment, and the factor of the new gradient. */
  readonly keepFirst: Scalar
  readonly takeFirst: Scalar
  /** The decay of the second moment, and the factor of the new squared gradient. */
  readonly keepSecond: Scalar
  readonly takeSecond: Scalar
  readonly epsilon: Scalar
  /** The step size. */
  readonly step: Scalar
  /** The factor of weight decay on the parameter. Without it, nothing decays. */
  readonly keep?: Scalar | undefined
  /** The decay of the mean gradient, and the factor of the new gradient, if there is a mean gradient. */
  readonly keepMean?: Scalar | undefined
  readonly takeMean?: Scalar | undefined
  /** The decay of the moving average, and the factor of the new parameter, if there is a moving average. */
  readonly keepEma?: Scalar | undefined
  readonly takeEma?: Scalar | undefined
}

/**
 * The name of the kernel that a backend may offer. Its inputs are named as in {@link Moments} and {@link Factors}, and
 * `gradient`.
 */
export const NAME = "PatchwordAdamW"

/** The inputs that the results replace, in the order of the results. `mean` and `ema` are optional. */
export const REPLACED = ["parameter", "first", "second", "mean", "ema"] as const

/** Computes `keep mean + take value`. */
export const average = <S extends Shape>(mean: Tensor<S>, keep: Scalar, value: Tensor<S>, take: Scalar): Tensor<S> =>
  add(scaleBy(mean, keep), scaleBy(value, take))

/**
 * Updates the moments and the parameter: `m ← keepFirst m + takeFirst g`, `v ← keepSecond v + takeSecond g²`,
 * `p ← keep p - step m / (√v + epsilon)`. If there is a mean gradient, `mean ← keepMean mean + takeMean g` is computed first
 * and takes the place of `g`. If there is a moving average, `ema ← keepEma ema + takeEma p` follows, with the new `p`.
 */
export const update = <S extends Shape>(
  moments: Moments<S>,
  gradient: Tensor<S>,
  factors: Factors
): Moments<S> => {
  const { finite, ...numbers } = factors
  ShapeError.elements("update", "bool", finite, "finite")
  ShapeError.floats("update", { ...moments, gradient, ...numbers })
  const inputs = Object.entries({ ...factors, ...moments, gradient })
    .flatMap(([name, tensor]) => (tensor === undefined ? [] : [[name, untyped(tensor)] as const]))
  const results = FusedKernel.run(NAME, Object.fromEntries(inputs), {}, () => {
    const { epsilon, keep, keepFirst, keepSecond, step, takeFirst, takeSecond } = numbers
    const { keepEma, keepMean, takeEma, takeMean } = numbers
    const taken = zeroUnless(finite, gradient)
    const mean = moments.mean && keepMean && takeMean && average(moments.mean, keepMean, taken, takeMean)
    const g = mean ?? taken
    const m = average(moments.first, keepFirst, g, takeFirst)
    const v = average(moments.second, keepSecond, square(g), takeSecond)
    const direction = div(m, shiftBy(sqrt(v), epsilon))
    const p = keep === undefined ? moments.parameter : scaleBy(moments.parameter, keep)
    const next = sub(p, scaleBy(direction, step))
    const ema = moments.ema && keepEma && takeEma && average(moments.ema, keepEma, next, takeEma)
    return [next, m, v, ...[mean, ema].filter((made) => made !== undefined)].map(untyped)
  })
  const replaced = REPLACED.filter((name) => moments[name] !== undefined)
  const made = new Map(replaced.map((name, i) => [name, unsafeTyped<S, "float32">(results[i]!)]))
  return {
    parameter: made.get("parameter")!,
    first: made.get("first")!,
    second: made.get("second")!,
    mean: made.get("mean"),
    ema: made.get("ema")
  }
}
