/** Gathers and scatters at indices that are data. */
import type { DType } from "../../shapes/HostTensor.ts"
import type { Shape } from "../../shapes/Shape.ts"
import { NotTraceable, type Tracer } from "../graph/Tracer.ts"
import { axisOf, cast, type Info, operator, size, type Translations } from "./Translation.ts"

/**
 * Adds `updates` to zeros of `shape`, at the places that the rows of `places` `[..., depth]` give.
 *
 * It uses `ScatterElements`, element by element. ONNX Runtime's `ScatterND` adds in several threads at once and loses updates
 * of repeated places.
 */
const scattered = (t: Tracer, places: Info, updates: Info, shape: Shape): Info => {
  const count = size(places.shape.slice(0, -1))
  const depth = places.shape.at(-1) ?? 0
  const row = size(shape.slice(depth))
  const lengths = shape.slice(0, depth)
  const strides = lengths.map((_, axis) => size(lengths.slice(axis + 1)))
  const listed = t.name(t.alias(places, [count, depth]))
  const flat = depth === 1
    ? listed
    : t.graph.emit("MatMul", [listed, t.graph.constant(Int32Array.from(strides), [depth, 1], "int32")])
  const zeros = t.graph.emit("Expand", [t.scalar(0, updates.dtype), t.graph.integers([size(lengths), row])])
  const indices = t.graph.emit("Expand", [flat, t.graph.integers([count, row])])
  const rows = t.name(t.alias(updates, [count, row]))
  const sums = t.graph.emit("ScatterElements", [zeros, indices, rows], { axis: 0, reduction: "add" })
  return t.alias(t.computed(sums, [size(lengths), row], updates.dtype), shape)
}

export const translations: Translations = {
  GatherV2: (t, { indices, x }: { indices: Info; x: Info }, { axis = 0, batchDims = 0 }) => {
    if (batchDims !== 0) throw new NotTraceable("GatherV2 with batch axes has no translation into a program")
    const only = axisOf(axis, x.shape.length)
    const shape = [...x.shape.slice(0, only), ...indices.shape, ...x.shape.slice(only + 1)]
    return t.computed(t.graph.emit("Gather", [t.name(x), t.name(indices)], { axis: only }), shape, x.dtype)
  },
  GatherNd: (t, { indices, params }: { indices: Info; params: Info }) => {
    const shape = [...indices.shape.slice(0, -1), ...params.shape.slice(indices.shape.at(-1))]
    const places = cast(t, t.name(indices), "int64")
    return t.computed(t.graph.emit("GatherND", [t.name(params), places]), shape, params.dtype)
  },
  ScatterNd: (t, { indices, updates }: { indices: Info; updates: Info }, { shape }: { shape: Array<number> }) =>
    scattered(t, indices, updates, shape),
  UnsortedSegmentSum: (
    t,
    { segmentIds, x }: { segmentIds: Info; x: Info },
    { numSegments }: { numSegments: number }
  ) => {
    const count = size(segmentIds.shape)
    const row = x.shape.slice(segmentIds.shape.length)
    return scattered(t, t.alias(segmentIds, [count, 1]), t.alias(x, [count, ...row]), [numSegments, ...row])
  },
  OneHot: (t, { indices }: { indices: Info }, attributes) => {
    const { depth, dtype = "int32", offValue, onValue } = attributes as {
      depth: number
      dtype?: DType
      offValue: number
      onValue: number
    }
    const values = t.graph.constant(Float32Array.of(offValue, onValue), [2], "float32")
    const count = t.graph.constant(BigInt64Array.of(BigInt(depth)), [], "int64")
    const hot = t.graph.emit("OneHot", [cast(t, t.name(indices), "int64"), count, values], { axis: -1 })
    return t.computed(dtype === "float32" ? hot : cast(t, hot, dtype), [...indices.shape, depth], dtype)
  },
  TopK: (t, { x }: { x: Info }, { k, sorted }: { k: number; sorted: boolean }) => {
    const shape = [...x.shape.slice(0, -1), k]
    const inputs = [t.name(x), t.graph.integers([k])]
    const [values, indices] = t.graph.emitMany("TopK", inputs, 2, { axis: -1, sorted: Number(sorted) }) as [
      string,
      string
    ]
    return [t.computed(values, shape, x.dtype), t.computed(cast(t, indices, "int32"), shape, "int32")]
  },
  PatchwordGatherElements: operator("GatherElements", ["x", "indices"], "indices", ({ axis }) => ({ axis: axis! })),
  PatchwordScatterElementsAdd: operator(
    "ScatterElements",
    ["x", "indices", "updates"],
    "x",
    ({ axis }) => ({ axis: axis!, reduction: "add" })
  )
}
