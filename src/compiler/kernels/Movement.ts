/** Reshapes, copies and slices: operations that move elements and do not change their values. */
import * as tf from "@tensorflow/tfjs-core"
import { size } from "../../shapes/HostTensor.ts"
import type { Shape } from "../../shapes/Shape.ts"
import { reduced, sameShape } from "../graph/Types.ts"
import * as Movement from "../operations/Movement.ts"
import type { Tracer } from "./Tracer.ts"
import { axesOf, axisOf, expanded, type Info, type Translation, type Translations } from "./Translation.ts"

const reshape =
  <A>(shapeOf: (shape: Shape, attributes: A) => Shape, input = "x"): Translation => (t, inputs, attributes: A) =>
    t.alias(inputs[input], shapeOf(inputs[input].shape, attributes))

const inserted = (shape: Shape, axis: number, dim: number): Array<number> =>
  shape.toSpliced(axis < 0 ? axis + shape.length + 1 : axis, 0, dim)

const concat = (t: Tracer, parts: ReadonlyArray<Info>, axis: number): Info => {
  const full = parts.filter(({ shape }) => size(shape) > 0)
  const [first = parts[0]!] = full
  return full.length > 1
    ? t.emit(Movement.concat, full, { axis })
    : t.alias(first, first.shape.with(axis, parts.reduce((sum, { shape }) => sum + shape[axis]!, 0)))
}

export const translations: Translations = {
  Identity: reshape((shape) => shape),
  Reshape: reshape((shape, { shape: to }: { shape: Array<number> }) => tf.util.inferFromImplicitShape(to, size(shape))),
  ExpandDims: reshape((shape, { dim }: { dim: number }) => inserted(shape, dim, 1), "input"),
  Squeeze: reshape((shape, { axis }: { axis?: Array<number> }) =>
    tf.util.squeezeShape([...shape], axis).newShape as Array<number>
  ),
  Fill: (t, _, { dtype, shape, value }) => t.filled(value, shape, dtype ?? "float32"),
  ZerosLike: (t, { x }) => t.filled(0, x.shape, x.dtype),
  OnesLike: (t, { x }) => t.filled(1, x.shape, x.dtype),
  // Moving axes of size 1 moves no element.
  Transpose: (t, { x }: { x: Info }, { perm }: { perm: Array<number> }) => {
    const moved = perm.filter((axis) => x.shape[axis] !== 1)
    return moved.every((axis, i) => i === 0 || axis > moved[i - 1]!)
      ? t.alias(x, perm.map((axis) => x.shape[axis]!))
      : t.transpose(x, perm)
  },
  Reverse: (t, { x }: { x: Info }, { dims }: { dims: number | Array<number> }) => {
    const axes = dims === undefined ? [] : axesOf(dims, x.shape.length)
    return axes.length === 0 ? t.alias(x, x.shape) : t.emit(Movement.reverse, [x], { axes })
  },
  Concat: (t, inputs, { axis }: { axis: number }) => {
    const parts = Object.values<Info>(inputs)
    return concat(t, parts, axisOf(axis, parts[0]!.shape.length))
  },
  Pack: (t, inputs, { axis }: { axis: number }) => {
    const parts = Object.values<Info>(inputs)
    const at = axis < 0 ? axis + parts[0]!.shape.length + 1 : axis
    return concat(t, parts.map((part) => t.alias(part, inserted(part.shape, at, 1))), at)
  },
  Tile: (t, { x }: { x: Info }, { reps }: { reps: Array<number> }) => {
    const shape = x.shape.map((dim, axis) => dim * reps[axis]!)
    if (sameShape(shape, x.shape)) return t.alias(x, shape)
    const isBroadcast = reps.every((times, axis) => times === 1 || x.shape[axis] === 1)
    return isBroadcast ? expanded(t, x, shape) : t.emit(Movement.tile, [x], { repeats: reps })
  },
  Slice: (t, { x }: { x: Info }, attributes) => {
    const [begin, sizes] = tf.slice_util.parseSliceParams(x as tf.Tensor, attributes.begin, attributes.size) as [
      Array<number>,
      Array<number>
    ]
    return sameShape(sizes, x.shape) ? t.alias(x, sizes) : t.emit(Movement.slice, [x], { begin, sizes })
  },
  Unpack: (t, { value }: { value: Info }, { axis = 0 }: { axis?: number }) => {
    const only = axisOf(axis, value.shape.length)
    const sizes = Array.from({ length: value.shape[only]! }, () => 1)
    const shape = reduced(value.shape, [only], false)
    return t.emitAll(Movement.split, [value], { axis: only, sizes }).map((part) => t.alias(part, shape))
  },
  SplitV: (
    t,
    { x }: { x: Info },
    { axis, numOrSizeSplits }: { axis: number; numOrSizeSplits: number | Array<number> }
  ) => {
    const only = axisOf(axis, x.shape.length)
    const sizes = tf.backend_util.prepareSplitSize(x as tf.Tensor, numOrSizeSplits, only)
    return t.emitAll(Movement.split, [x], { axis: only, sizes })
  },
  PadV2: (
    t,
    { x }: { x: Info },
    { constantValue, paddings }: { constantValue: number; paddings: Array<[number, number]> }
  ) =>
    t.emit(Movement.pad, [x], {
      before: paddings.map(([before]) => before),
      after: paddings.map(([, after]) => after),
      value: constantValue
    })
}
