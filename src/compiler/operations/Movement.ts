/** Operations that move elements and do not change their values. */
import type { DType } from "../../shapes/HostTensor.ts"
import type { Shape } from "../../shapes/Shape.ts"
import { typeOf } from "../stablehlo/StableHloWriter.ts"
import { typed } from "../tensorflow/NodeWriter.ts"
import { INT32, reshape as reshaped } from "../tensorflow/Tensors.ts"
import { type Operation, same } from "./Operation.ts"

interface ToShape extends Readonly<Record<string, Shape>> {
  readonly shape: Shape
}

interface Axes extends Readonly<Record<string, ReadonlyArray<number>>> {
  readonly axes: ReadonlyArray<number>
}

/** Returns the same elements in order under another shape. */
export const reshape: Operation<ToShape> = {
  name: "reshape",
  precision: "moved",
  types: ([x], { shape }) => [{ ...x!, shape }],
  onnx: (w, { inputs: [x] }) => w.stored(x!),
  tensorflow: (w, [x], { attributes: { shape }, inputs }) => reshaped(w, x!, inputs[0]!.dtype, shape),
  stablehlo: (w, [x], { attributes: { shape } }) => w.reshape(x!, shape)
}

/** Repeats elements along axes of size 1. */
export const broadcastTo: Operation<ToShape> = {
  name: "broadcastTo",
  precision: "moved",
  types: ([x], { shape }) => [{ ...x!, shape }],
  onnx: (w, { attributes: { shape }, inputs: [x] }) => w.emit("Expand", [w.name(x!), w.integers(shape)]),
  tensorflow: (w, [x], { attributes: { shape }, inputs }) =>
    w.emit("BroadcastTo", [x!, w.integers(shape)], { ...typed(inputs[0]!.dtype), Tidx: INT32 }),
  stablehlo: (w, [x], { attributes: { shape } }) => w.broadcast(x!, shape)
}

/** Returns an array that is filled with one number. */
export const fill: Operation<{ readonly value: number; readonly shape: Shape; readonly dtype: DType }> = {
  name: "fill",
  types: (_, { dtype, shape }) => [{ shape, dtype }],
  onnx: (w, { attributes: { dtype, shape, value } }) => w.emit("Expand", [w.scalar(value, dtype), w.integers(shape)]),
  tensorflow: (w, _, { attributes: { dtype, shape, value } }) =>
    w.emit("Fill", [w.integers(shape), w.scalar(value, dtype)], {
      ...typed(dtype),
      index_type: INT32
    }),
  stablehlo: (w, _, { attributes: { dtype, shape, value } }) => w.splat(value, shape, dtype)
}

/** Permutes axes: axis `i` of the result is axis `axes[i]` of the operand. */
export const transpose: Operation<Axes> = {
  name: "transpose",
  precision: "moved",
  types: ([x], { axes }) => [{ ...x!, shape: axes.map((axis) => x!.shape[axis]!) }],
  onnx: (w, { attributes: { axes }, inputs: [x] }) => w.transpose(w.name(x!), axes),
  tensorflow: (w, [x], { attributes: { axes }, inputs }) =>
    w.emit("Transpose", [x!, w.integers(axes)], { ...typed(inputs[0]!.dtype), Tperm: INT32 }),
  stablehlo: (w, [x], { attributes: { axes } }) => w.transpose(x!, axes)
}

const BEFORE_ALL = -(2 ** 31)

/** Reverses the order of elements along axes. */
export const reverse: Operation<Axes> = {
  name: "reverse",
  precision: "moved",
  types: same,
  onnx: (w, { attributes: { axes }, inputs: [x] }) => {
    const bound = (value: number) => w.integers(axes.map(() => value))
    return w.emit("Slice", [w.name(x!), bound(-1), bound(BEFORE_ALL), w.integers(axes), bound(-1)])
  },
  tensorflow: (w, [x], { attributes: { axes }, inputs }) =>
    w.emit("ReverseV2", [x!, w.integers(axes)], { ...typed(inputs[0]!.dtype), Tidx: INT32 }),
  stablehlo: (w, [x], { attributes: { axes } }) =>
    w.put(`stablehlo.reverse ${x!.name}, dims = [${axes.join(", ")}] : ${typeOf(x!)}`, x!.shape, x!.dtype)
}

/** Joins arrays along an axis. */
export const concat: Operation<{ readonly axis: number }> = {
  name: "concat",
  precision: "moved",
  types: (parts, { axis }) => {
    const [first] = parts
    return [{ ...first!, shape: first!.shape.with(axis, parts.reduce((sum, { shape }) => sum + shape[axis]!, 0)) }]
  },
  onnx: (w, { attributes: { axis }, inputs }) => w.emit("Concat", inputs.map((part) => w.name(part)), { axis }),
  tensorflow: (w, parts, { attributes: { axis }, inputs }) =>
    w.emit("ConcatV2", [...parts, w.integer(axis)], {
      ...typed(inputs[0]!.dtype),
      Tidx: INT32,
      N: { int: parts.length }
    }),
  stablehlo: (w, parts, { attributes: { axis } }) => w.concat(parts, axis)
}

/** Cuts an array along an axis into parts of the given sizes. */
export const split: Operation<{ readonly axis: number; readonly sizes: ReadonlyArray<number> }> = {
  name: "split",
  precision: "moved",
  types: ([x], { axis, sizes }) => sizes.map((part) => ({ ...x!, shape: x!.shape.with(axis, part) })),
  onnx: (w, { attributes: { axis, sizes }, inputs: [x] }) =>
    w.graph.emitMany("Split", [w.name(x!), w.integers(sizes)], sizes.length, { axis }),
  tensorflow: (w, [x], { attributes: { axis, sizes }, inputs }) =>
    w.emitMany("SplitV", [x!, w.integers(sizes), w.integer(axis)], sizes.length, {
      ...typed(inputs[0]!.dtype),
      Tlen: INT32,
      num_split: { int: sizes.length }
    }),
  stablehlo: (w, [x], { attributes: { axis, sizes } }) =>
    sizes.map((part, i) => {
      const begin = sizes.slice(0, i).reduce((sum, before) => sum + before, 0)
      return w.slice(x!, x!.shape.map((_, own) => (own === axis ? begin : 0)), x!.shape.with(axis, part))
    })
}

/** Cuts out the elements from `begin` on, `sizes` of them along each axis. */
export const slice: Operation<{ readonly begin: ReadonlyArray<number>; readonly sizes: ReadonlyArray<number> }> = {
  name: "slice",
  precision: "moved",
  types: ([x], { sizes }) => [{ ...x!, shape: sizes }],
  onnx: (w, { attributes: { begin, sizes }, inputs: [x] }) => {
    const axes = sizes.map((_, axis) => axis).filter((axis) => sizes[axis] !== x!.shape[axis])
    const ends = axes.map((axis) => begin[axis]! + sizes[axis]!)
    return w.emit("Slice", [
      w.name(x!),
      ...[axes.map((axis) => begin[axis]!), ends, axes].map((list) => w.integers(list))
    ])
  },
  tensorflow: (w, [x], { attributes: { begin, sizes }, inputs }) =>
    w.emit("Slice", [x!, w.integers(begin), w.integers(sizes)], { ...typed(inputs[0]!.dtype), Index: INT32 }),
  stablehlo: (w, [x], { attributes: { begin, sizes } }) => w.slice(x!, begin, sizes)
}

/** Repeats a whole array along each axis. */
export const tile: Operation<{ readonly repeats: ReadonlyArray<number> }> = {
  name: "tile",
  precision: "moved",
  types: ([x], { repeats }) => [{ ...x!, shape: x!.shape.map((dim, axis) => dim * repeats[axis]!) }],
  onnx: (w, { attributes: { repeats }, inputs: [x] }) => w.emit("Tile", [w.name(x!), w.integers(repeats)]),
  tensorflow: (w, [x], { attributes: { repeats }, inputs }) =>
    w.emit("Tile", [x!, w.integers(repeats)], { ...typed(inputs[0]!.dtype), Tmultiples: INT32 }),
  stablehlo: (w, [x], { attributes: { repeats }, outputs: [y] }) => {
    // Each axis is repeated as an axis of its own before it.
    const shape = x!.shape.flatMap((dim, axis) => [repeats[axis]!, dim])
    return w.reshape(w.along(x!, x!.shape.map((_, axis) => 2 * axis + 1), shape), y!.shape)
  }
}

/** Adds `value` before and after the elements of each axis. */
export const pad: Operation<
  { readonly before: ReadonlyArray<number>; readonly after: ReadonlyArray<number>; readonly value: number }
> = {
  name: "pad",
  precision: "moved",
  types: ([x], { after, before }) => [
    { ...x!, shape: x!.shape.map((dim, axis) => dim + before[axis]! + after[axis]!) }
  ],
  onnx: (w, { attributes: { after, before, value }, inputs: [x] }) =>
    w.emit("Pad", [w.name(x!), w.integers([...before, ...after]), w.scalar(value, x!.dtype)]),
  tensorflow: (w, [x], { attributes: { after, before, value }, inputs }) => {
    const { dtype } = inputs[0]!
    const pads = w.integers(before.flatMap((count, axis) => [count, after[axis]!]), [before.length, 2])
    return w.emit("PadV2", [x!, pads, w.scalar(value, dtype)], {
      ...typed(dtype),
      Tpaddings: INT32
    })
  },
  stablehlo: (w, [x], { attributes: { after, before, value } }) => w.pad(x!, before, after, value)
}
