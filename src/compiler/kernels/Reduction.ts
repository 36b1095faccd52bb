/** Sums and extremes. */
import { reduced } from "../graph/Types.ts"
import * as Elementwise from "../operations/Elementwise.ts"
import type { Operation } from "../operations/Operation.ts"
import * as Reduction from "../operations/Reduction.ts"
import { axesOf, axisOf, type Info, type Translation, type Translations } from "./Translation.ts"

interface Axes {
  readonly axis?: number | ReadonlyArray<number>
  readonly reductionIndices?: number | ReadonlyArray<number>
  readonly keepDims?: boolean
}

const reduction =
  (operation: Operation<{ readonly axes: ReadonlyArray<number>; readonly keepDims: boolean }>): Translation =>
  (t, { x }: { x: Info }, attributes: Axes) => {
    const axes = axesOf(attributes.axis ?? attributes.reductionIndices, x.shape.length)
    const keepDims = attributes.keepDims === true
    // Over axes of size 1, nothing is reduced.
    return axes.every((axis) => x.shape[axis] === 1)
      ? t.alias(x, reduced(x.shape, axes, keepDims))
      : t.emit(operation, [x], { axes, keepDims })
  }

const place =
  (operation: Operation<{ readonly axis: number }>): Translation => (t, { x }: { x: Info }, { axis }: Axes) =>
    t.emit(operation, [x], { axis: axisOf(axis, x.shape.length) })

export const translations: Translations = {
  Sum: reduction(Reduction.sum),
  Mean: reduction(Reduction.mean),
  Max: reduction(Reduction.max),
  Min: reduction(Reduction.min),
  Prod: reduction(Reduction.prod),
  All: reduction(Reduction.all),
  Any: reduction(Reduction.any),
  ArgMax: place(Reduction.argMax),
  ArgMin: place(Reduction.argMin),
  Cumsum: (t, { x }: { x: Info }, { axis, exclusive, reverse }) =>
    t.emit(Reduction.cumSum, [x], { axis: axisOf(axis, x.shape.length), exclusive, reverse }),
  AddN: (t, inputs) => {
    const all = Object.values<Info>(inputs)
    const [first, ...rest] = all.filter((x) => t.splat(x) !== 0)
    if (first === undefined) return t.alias(all[0]!, all[0]!.shape)
    return rest.length === 0 ? t.alias(first, first.shape) : t.emit(Elementwise.addN, [first, ...rest], {})
  },
  PatchwordSumSquares: (t, { x }: { x: Info }) => t.emit(Reduction.sumSquares, [x], {})
}
