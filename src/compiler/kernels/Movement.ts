/** Reshapes, copies and slices: operations that move elements and do not change their values. */
import * as tf from "@tensorflow/tfjs-core"
import type { Shape } from "../../shapes/Shape.ts"
import { sameShape, type Tracer } from "../graph/Tracer.ts"
import {
  axesOf,
  axisOf,
  expanded,
  type Info,
  reduced,
  size,
  type Translation,
  type Translations
} from "./Translation.ts"

const reshape =
  <A>(shapeOf: (shape: Shape, attributes: A) => Shape, input = "x"): Translation => (t, inputs, attributes: A) =>
    t.alias(inputs[input], shapeOf(inputs[input].shape, attributes))

const inserted = (shape: Shape, axis: number, dim: number): Array<number> =>
  shape.toSpliced(axis < 0 ? axis + shape.length + 1 : axis, 0, dim)

const concat = (t: Tracer, parts: ReadonlyArray<Info>, axis: number): Info => {
  const full = parts.filter(({ shape }) => size(shape) > 0)
  const [first = parts[0]!] = full
  const shape = first.shape.with(axis, full.reduce((sum, part) => sum + part.shape[axis]!, 0))
  return full.length <= 1
    ? t.alias(first, shape)
    : t.computed(t.graph.emit("Concat", full.map((part) => t.name(part)), { axis }), shape, first.dtype)
}

const split = (
  t: Tracer,
  x: Info,
  sizes: ReadonlyArray<number>,
  axis: number,
  shapeOf: (part: number) => Shape
): Array<Info> => {
  const names = t.graph.emitMany("Split", [t.name(x), t.graph.integers(sizes)], sizes.length, { axis })
  return sizes.map((part, i) => t.alias(t.computed(names[i]!, x.shape.with(axis, part), x.dtype), shapeOf(part)))
}

/** Emits `Slice` with the given starts, ends, axes and steps. */
const slice = (t: Tracer, x: Info, bounds: ReadonlyArray<ReadonlyArray<number>>, shape: Shape): Info =>
  t.computed(t.graph.emit("Slice", [t.name(x), ...bounds.map((list) => t.graph.integers(list))]), shape, x.dtype)

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
    const shape = perm.map((axis) => x.shape[axis]!)
    const moved = perm.filter((axis) => x.shape[axis] !== 1)
    if (moved.every((axis, i) => i === 0 || axis > moved[i - 1]!)) return t.alias(x, shape)
    return t.computed(t.transpose(t.name(x), perm), shape, x.dtype)
  },
  Reverse: (t, { x }: { x: Info }, { dims }: { dims: number | Array<number> }) => {
    const axes = dims === undefined ? [] : axesOf(dims, x.shape.length)
    if (axes.length === 0) return t.alias(x, x.shape)
    const [last, first, back] = [-1, -(2 ** 31), -1].map((bound) => axes.map(() => bound)) as [
      Array<number>,
      Array<number>,
      Array<number>
    ]
    return slice(t, x, [last, first, axes, back], x.shape)
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
    const repeats = reps.every((times, axis) => times === 1 || x.shape[axis] === 1)
    const name = repeats ? expanded(t, x, shape) : t.graph.emit("Tile", [t.name(x), t.graph.integers(reps)])
    return t.computed(name, shape, x.dtype)
  },
  Slice: (t, { x }: { x: Info }, attributes) => {
    const [begin, sizes] = tf.slice_util.parseSliceParams(x as tf.Tensor, attributes.begin, attributes.size) as [
      Array<number>,
      Array<number>
    ]
    if (sameShape(sizes, x.shape)) return t.alias(x, sizes)
    const axes = sizes.map((_, axis) => axis).filter((axis) => sizes[axis] !== x.shape[axis])
    const [from, to] = [axes.map((axis) => begin[axis]!), axes.map((axis) => begin[axis]! + sizes[axis]!)]
    return slice(t, x, [from, to, axes], sizes)
  },
  Unpack: (t, { value }: { value: Info }, { axis = 0 }: { axis?: number }) => {
    const only = axisOf(axis, value.shape.length)
    const ones = Array.from({ length: value.shape[only]! }, () => 1)
    return split(t, value, ones, only, () => reduced(value.shape, [only], false))
  },
  SplitV: (
    t,
    { x }: { x: Info },
    { axis, numOrSizeSplits }: { axis: number; numOrSizeSplits: number | Array<number> }
  ) => {
    const only = axisOf(axis, x.shape.length)
    const sizes = tf.backend_util.prepareSplitSize(x as tf.Tensor, numOrSizeSplits, only)
    return split(t, x, sizes, only, (part) => x.shape.with(only, part))
  },
  PadV2: (
    t,
    { x }: { x: Info },
    { constantValue, paddings }: { constantValue: number; paddings: Array<[number, number]> }
  ) => {
    const shape = x.shape.map((dim, axis) => dim + paddings[axis]![0] + paddings[axis]![1])
    const pads = t.graph.integers([...paddings.map(([before]) => before), ...paddings.map(([, after]) => after)])
    return t.computed(t.graph.emit("Pad", [t.name(x), pads, t.scalar(constantValue, x.dtype)]), shape, x.dtype)
  }
}
