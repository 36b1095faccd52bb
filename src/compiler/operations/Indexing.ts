/** Gathers and scatters at indices that are data. */
import { type DType, size } from "../../shapes/HostTensor.ts"
import type { Shape } from "../../shapes/Shape.ts"
import type { Element, Type, Value } from "../graph/Graph.ts"
import { type StableHloWriter, typeOf, typesOf } from "../stablehlo/StableHloWriter.ts"
import { inside, typed } from "../tensorflow/NodeWriter.ts"
import type { Attributes } from "../tensorflow/SavedModel.ts"
import { INT32, reshape } from "../tensorflow/Tensors.ts"
import { type Operation, same } from "./Operation.ts"

const PLACES = { Tindices: { type: inside("int32") } } as const

const taking = ({ dtype }: Type): Attributes => ({ ...PLACES, Tparams: { type: inside(dtype) }, Taxis: INT32 })

/** Returns the places `[M, N, 2]` of elements that `[M, N]` lists by row. */
const coordinates = (w: StableHloWriter, places: Value<Element>): Value<Element> => {
  const parts = [w.iota(places.shape, 0), places].map((part) => w.reshape(part, [...places.shape, 1]))
  return w.concat(parts, 2)
}

type None = Readonly<Record<never, never>>

interface Axis extends Readonly<Record<string, number>> {
  readonly axis: number
}

/** Takes entire slices along an axis: those that the second operand lists. */
export const gather: Operation<Axis> = {
  name: "gather",
  precision: "moved",
  types: ([x, indices], { axis }) => [{ ...x!, shape: x!.shape.toSpliced(axis, 1, ...indices!.shape) }],
  onnx: (w, { attributes: { axis }, inputs: [x, indices] }) =>
    w.emit("Gather", [w.name(x!), w.name(indices!)], { axis }),
  tensorflow: (w, [x, indices], { attributes: { axis }, inputs }) =>
    w.emit("GatherV2", [x!, indices!, w.integer(axis)], { ...taking(inputs[0]!), batch_dims: { int: 0 } }),
  stablehlo: (w, [x, indices], { attributes: { axis } }) =>
    w.gather(x!, w.reshape(indices!, [...indices!.shape, 1]), [axis], axis)
}

/** Takes the slices at the places that the rows of the second operand `[..., depth]` give along the first axes. */
export const gatherND: Operation<None> = {
  name: "gatherND",
  precision: "moved",
  types: ([x, places]) => [
    { ...x!, shape: [...places!.shape.slice(0, -1), ...x!.shape.slice(places!.shape.at(-1))] }
  ],
  onnx: (w, { inputs: [x, places] }) => {
    const wide = w.cast(w.name(places!), "int64")
    return w.emit("GatherND", [w.name(x!), wide])
  },
  tensorflow: (w, operands, { inputs }) =>
    w.emit("GatherNd", operands, { ...PLACES, Tparams: { type: inside(inputs[0]!.dtype) } }),
  stablehlo: (w, [x, places]) => w.gather(x!, places!, Array.from({ length: places!.shape.at(-1)! }, (_, axis) => axis))
}

/** Takes elements of each row of a matrix `[M, K]`: those at the places that `[M, N]` lists. */
export const gatherElements: Operation<None> = {
  name: "gatherElements",
  precision: "moved",
  types: ([x, places]) => [{ ...x!, shape: places!.shape }],
  onnx: (w, { inputs: [x, places] }) => w.emit("GatherElements", [w.name(x!), w.name(places!)], { axis: 1 }),
  tensorflow: (w, [x, places], { inputs }) =>
    w.emit("GatherV2", [x!, places!, w.integer(1)], { ...taking(inputs[0]!), batch_dims: { int: 1 } }),
  stablehlo: (w, [x, places]) => w.gather(x!, coordinates(w, places!), [0, 1])
}

/** Adds elements `[M, N]` to a copy of the first operand, at the places that {@link gatherElements} would read. */
export const scatterElementsAdd: Operation<None> = {
  name: "scatterElementsAdd",
  types: same,
  onnx: (w, { inputs }) =>
    w.emit("ScatterElements", inputs.map((input) => w.name(input)), { axis: 1, reduction: "add" }),
  tensorflow: (w, [x, places, elements], { inputs: [matrix, indices] }) => {
    const { shape } = indices!
    const numbers = Int32Array.from({ length: size(shape) }, (_, i) => Math.floor(i / shape[1]!))
    const rows = w.constant(numbers, shape, "int32")
    const pairs = w.emit("Pack", [rows, places!], { ...typed("int32"), N: { int: 2 }, axis: { int: 2 } })
    return w.emit("TensorScatterAdd", [x!, pairs, elements!], { ...typed(matrix!.dtype), ...PLACES })
  },
  stablehlo: (w, [x, places, elements]) => w.scatter(x!, coordinates(w, places!), elements!)
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
  },
  tensorflow: (w, [places, slices], { attributes: { shape }, inputs: [ids, x] }) => {
    const depth = ids!.shape.at(-1) ?? 0
    const lengths = shape.slice(0, depth)
    const strides = Int32Array.from(lengths, (_, axis) => size(lengths.slice(axis + 1)))
    const type = typed("int32")
    const parts = w.emit("Mul", [places!, w.constant(strides, [depth], "int32")], type)
    const flat = w.emit("Sum", [parts, w.integers([ids!.shape.length - 1])], {
      ...type,
      Tidx: INT32,
      keep_dims: false
    })
    const types = { ...typed(x!.dtype), ...PLACES, Tnumsegments: INT32 }
    return reshape(w, w.emit("UnsortedSegmentSum", [slices!, flat, w.integer(size(lengths))], types), x!.dtype, shape)
  },
  stablehlo: (w, [places, slices], { attributes: { shape } }) =>
    w.scatter(w.splat(0, shape, slices!.dtype), places!, slices!)
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
  },
  tensorflow: (w, [indices], { attributes: { depth, dtype, off, on } }) => {
    const numbers = [on, off].map((value) => w.scalar(value))
    const hot = w.emit("OneHot", [indices!, w.integer(depth), ...numbers], {
      ...typed("float32"),
      TI: { type: inside("int32") },
      axis: { int: -1 }
    })
    return w.cast(hot, "float32", inside(dtype))
  },
  stablehlo: (w, [indices], { attributes: { dtype, off, on }, outputs: [y] }) => {
    const { shape } = y!
    const places = w.iota(shape, shape.length - 1)
    const hot = w.compare("EQ", w.reshape(indices!, [...indices!.shape, 1]), places)
    return w.select(hot, w.splat(on, [], dtype), w.splat(off, [], dtype))
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
  },
  tensorflow: (w, [x], { attributes: { k, sorted } }) => {
    const [values, places] = w.emitMany("TopKV2", [x!, w.integer(k)], 2, { ...typed("float32"), sorted })
    return [values!, w.cast(places!, "int32", inside("int32"))]
  },
  stablehlo: (w, [x], { attributes: { k }, outputs }) =>
    w.putAll(`chlo.top_k(${x!.name}, k = ${k}) : ${typeOf(x!)} -> (${typesOf(outputs)})`, outputs)
}
