/**
 * AdamW of one parameter: its equation, which an engine may compute in one pass over memory. When an update is taken and by
 * which factors says `AdamW` of `patchword/nn`.
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
import { type Tensor, unsafeTyped, untyped } from "./Tensor.ts"

type Scalar = Tensor<[]>

/** One parameter with what an optimizer holds of it. */
export interface Moments<in out S extends Shape> {
  readonly parameter: Tensor<S>
  readonly first: Tensor<S>
  readonly second: Tensor<S>
  /** The mean gradient so far, where several steps make one update. */
  readonly mean?: Tensor<S> | undefined
}

/** The numbers of one step. */
export interface Factors {
  /** Whether the gradient is taken at all; zeros take its place otherwise. */
  readonly finite: Tensor<[], "bool">
  /** What stays of the first moment, and how much of the gradient comes in. */
  readonly keepFirst: Scalar
  readonly takeFirst: Scalar
  /** What stays of the second moment, and how much of the gradient's square comes in. */
  readonly keepSecond: Scalar
  readonly takeSecond: Scalar
  readonly epsilon: Scalar
  /** The length of the step. */
  readonly step: Scalar
  /** What stays of the parameter under weight decay; all when absent. */
  readonly keep?: Scalar | undefined
  /** What stays of the mean gradient, and how much of the gradient comes in, where there is one. */
  readonly keepMean?: Scalar | undefined
  readonly takeMean?: Scalar | undefined
}

/** The name by which a backend may offer it. Its inputs are called as in {@link Moments} and {@link Factors}, and `gradient`. */
export const NAME = "PatchwordAdamW"

/** The inputs that its results replace, in the order of these; `mean` where there is one. */
export const REPLACED = ["parameter", "first", "second", "mean"] as const

/** `keep mean + take value`. */
export const average = <S extends Shape>(mean: Tensor<S>, keep: Scalar, value: Tensor<S>, take: Scalar): Tensor<S> =>
  add(scaleBy(mean, keep), scaleBy(value, take))

/**
 * `m ← keepFirst m + takeFirst g`, `v ← keepSecond v + takeSecond g²`, `p ← keep p - step m / (√v + epsilon)`; where there is
 * a mean gradient, `mean ← keepMean mean + takeMean g` before, and it stands for `g`.
 */
export const update = <S extends Shape>(
  moments: Moments<S>,
  gradient: Tensor<S>,
  factors: Factors
): Moments<S> => {
  const inputs = Object.entries({ ...factors, ...moments, gradient })
    .flatMap(([name, tensor]) => (tensor === undefined ? [] : [[name, untyped(tensor)] as const]))
  const results = FusedKernel.run(NAME, Object.fromEntries(inputs), {}, () => {
    const { epsilon, finite, keep, keepFirst, keepMean, keepSecond, step, takeFirst, takeMean, takeSecond } = factors
    const taken = zeroUnless(finite, gradient)
    const mean = moments.mean && keepMean && takeMean && average(moments.mean, keepMean, taken, takeMean)
    const g = mean ?? taken
    const m = average(moments.first, keepFirst, g, takeFirst)
    const v = average(moments.second, keepSecond, square(g), takeSecond)
    const direction = div(m, shiftBy(sqrt(v), epsilon))
    const p = keep === undefined ? moments.parameter : scaleBy(moments.parameter, keep)
    return [sub(p, scaleBy(direction, step)), m, v, ...(mean === undefined ? [] : [mean])].map(untyped)
  })
  const [parameter, first, second, mean] = results.map((result) => unsafeTyped<S, "float32">(result))
  return { parameter: parameter!, first: first!, second: second!, mean }
}
