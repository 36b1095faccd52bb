/** Gathers and scatters at indices that are data. */
import { type DType, size } from "../../shapes/HostTensor.ts"
import * as Indexing from "../operations/Indexing.ts"
import { NotTraceable } from "./Tracer.ts"
import { axisOf, type Info, type Translations } from "./Translation.ts"

export const translations: Translations = {
  GatherV2: (t, { indices, x }: { indices: Info; x: Info }, { axis = 0, batchDims = 0 }) => {
    if (batchDims !== 0) throw new NotTraceable("GatherV2 with batch axes has no translation into a program")
    return t.emit(Indexing.gather, [x, indices], { axis: axisOf(axis, x.shape.length) })
  },
  GatherNd: (t, { indices, params }: { indices: Info; params: Info }) =>
    t.emit(Indexing.gatherND, [params, indices], {}),
  ScatterNd: (t, { indices, updates }: { indices: Info; updates: Info }, { shape }: { shape: Array<number> }) =>
    t.emit(Indexing.scatterSum, [indices, updates], { shape }),
  UnsortedSegmentSum: (
    t,
    { segmentIds, x }: { segmentIds: Info; x: Info },
    { numSegments }: { numSegments: number }
  ) => {
    const count = size(segmentIds.shape)
    const row = x.shape.slice(segmentIds.shape.length)
    const slices = t.alias(x, [count, ...row])
    return t.emit(Indexing.scatterSum, [t.alias(segmentIds, [count, 1]), slices], { shape: [numSegments, ...row] })
  },
  OneHot: (t, { indices }: { indices: Info }, attributes) => {
    const { depth, dtype = "int32", offValue, onValue } = attributes as {
      depth: number
      dtype?: DType
      offValue: number
      onValue: number
    }
    return t.emit(Indexing.oneHot, [indices], { depth, dtype, on: onValue, off: offValue })
  },
  TopK: (t, { x }: { x: Info }, { k, sorted }: { k: number; sorted: boolean }) =>
    t.emitAll(Indexing.topK, [x], { k, sorted }),
  PatchwordGatherElements: (t, { indices, x }: { indices: Info; x: Info }) =>
    t.emit(Indexing.gatherElements, [x, indices], {}),
  PatchwordScatterElementsAdd: (t, { indices, updates, x }: { indices: Info; updates: Info; x: Info }) =>
    t.emit(Indexing.scatterElementsAdd, [x, indices, updates], {})
}
