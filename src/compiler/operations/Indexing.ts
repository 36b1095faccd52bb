/** Gathers and scatters at indices that are data. */
import { type DType, size } from "../../shapes/HostTensor.ts"
import type { Shape } from "../../shapes/Shape.ts"
import { type Operation, same } from "./Operation.ts"

interface Axis extends Readonly<Record<string, number>> {
  readonly axis: number
}

/** Takes entire slices along an axis: those that the second operand lists. */
export const gather: Operation<Axis> = {
  name: "gather",
  types: ([x, indices], { axis }) => [{ ...x!, shape: x!.shape.toSpliced(axis, 1, ...indices!.shape) }],
  onnx: (w, { attributes: { axis }, inputs: [x, indices] }) =>
    w.emit("Gather", [w.name(x!), w.name(indices!)], { axis })
}

/** Takes the slices at the places that the rows of the second operand `[..., depth]` give along the first axes. */
export const gatherND: Operation<Readonly<Record<never, never>>> = {
  name: "gatherND",
  types: ([x, places]) => [
    { ...x!, shape: [...places!.shape.slice(0, -1), ...x!.shape.slice(places!.shape.at(-1))] }
  ],
  onnx: (w, { inputs: [x, places] }) => {
    const wide = w.cast(w.name(places!), "int64")
    return w.emit("GatherND", [w.name(x!), wide])
  }
}

/** Takes single elements along an axis. The place along all other axes stays. */
export const gatherElements: Operation<Axis> = {
  name: "gatherElements",
  types: ([x, indices]) => [{ ...x!, shape: indices!.shape }],
  onnx: (w, { attributes: { axis }, inputs: [x, indices] }) =>
    w.emit("GatherElements", [w.name(x!), w.name(indices!)], { axis })
}

/** Adds single elements to a copy of the first operand, at the places that {@link gatherElements} would read. */
export const scatterElementsAdd: Operation<Axis> = {
  name: "scatterElementsAdd",
  types: same,
  onnx: (w, { attributes: { axis }, inputs }) =>
    w.emit("ScatterElements", inputs.map((input) => w.name(input)), { axis, reduction: "add" })
}

/**
 * Adds slices to zeros of `shape`, at the places that the rows of the first operand `[..., depth]` give along the first axes.
 * The second operand holds the slices. Slices of the same place are added up.
 */
export const scatterSum: Operation<{ readonly shape: Shape }> = {
  name: "scatterSum",
  types: ([, slices], { shape }) => [{ ...slices!, shape }],
  // `ScatterND` of ONNX Runtime adds in several threads at once and loses updates of repeated places.
  onnx: (w, { attributes: { shape }, inputs: [places, slices] }) => {
    const count = size(places!.shape.slice(0, -1))
    const depth = places!.shape.at(-1) ?? 0
    const lengths = shape.slice(0, depth)
    const row = size(shape.slice(depth))
    const strides = lengths.map((_, axis) => size(lengths.slice(axis + 1)))
    const listed = w.name(places!, [count, depth])
    const flat = depth === 1
      ? listed
      : w.emit("MatMul", [listed, w.graph.constant(Int32Array.from(strides), [depth, 1], "int32")])
    const zeros = w.emit("Expand", [w.scalar(0, slices!.dtype), w.integers([size(lengths), row])])
    const indices = w.emit("Expand", [flat, w.integers([count, row])])
    const rows = w.name(slices!, [count, row])
    const sums = w.emit("ScatterElements", [zeros, indices, rows], { axis: 0, reduction: "add" })
    return { name: sums, shape: [size(lengths), row] }
  }
}

/** Returns rows of `depth` numbers: `on` at the index, `off` elsewhere. An index outside of the row gives only `off`. */
export const oneHot: Operation<
  { readonly depth: number; readonly on: number; readonly off: number; readonly dtype: DType }
> = {
  name: "oneHot",
  types: ([indices], { depth, dtype }) => [{ shape: [...indices!.shape, depth], dtype }],
  onnx: (w, { attributes: { depth, dtype, off, on }, inputs: [indices] }) => {
    const values = w.graph.constant(Float32Array.of(off, on), [2], "float32")
    const count = w.graph.constant(BigInt64Array.of(BigInt(depth)), [], "int64")
    const hot = w.emit("OneHot", [w.cast(w.name(indices!), "int64"), count, values], { axis: -1 })
    return dtype === "float32" ? hot : w.cast(hot, dtype)
  }
}

/** Returns the `k` largest numbers of each row and their places. They are in descending order if `sorted`. */
export const topK: Operation<{ readonly k: number; readonly sorted: boolean }> = {
  name: "topK",
  types: ([x], { k }) => {
    const shape = [...x!.shape.slice(0, -1), k]
    return [{ ...x!, shape }, { shape, dtype: "int32" }]
  },
  onnx: (w, { attributes: { k, sorted }, inputs: [x] }) => {
    const options = { axis: -1, sorted: Number(sorted) }
    const [values, places] = w.graph.emitMany("TopK", [w.name(x!), w.integers([k])], 2, options)
    return [values!, w.cast(places!, "int32")]
  }
}
