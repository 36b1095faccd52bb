/** Memory for values that a model hands on to another one, and for values that are summed over all ranks between the two. */
import * as HostTensor from "../../shapes/HostTensor.ts"
import type { TensorSpec } from "../../shapes/Step.ts"

/** Alignment of arrays: the size of a cache line in bytes. */
const LINE = 64

/** Makes arrays of zeros that lie one behind the other. */
export const arrays = (
  types: ReadonlyArray<Pick<TensorSpec, "shape" | "dtype"> & { readonly name: string }>
): ReadonlyMap<string, HostTensor.Any> => {
  const sizes = types.map(({ dtype, shape }) => HostTensor.ARRAYS[dtype].BYTES_PER_ELEMENT * HostTensor.size(shape))
  const aligned = sizes.map((bytes) => Math.ceil(bytes / LINE) * LINE)
  const buffer = new ArrayBuffer(aligned.reduce((sum, bytes) => sum + bytes, 0))
  let free = 0
  return new Map(types.map(({ dtype, name, shape }, i) => {
    const data = new HostTensor.ARRAYS[dtype](buffer, free, HostTensor.size(shape))
    free += aligned[i]!
    return [name, { shape, dtype, data }] as const
  }))
}

/**
 * Joins arrays that lie one behind the other, so that few sums are enough for all. What fills up their cache lines is summed with them.
 */
export const joined = (given: Iterable<Float32Array>): ReadonlyArray<Float32Array> => {
  const buffers = Map.groupBy(given, ({ buffer }) => buffer)
  return Array.from(buffers, ([buffer, parts]) => {
    const spans: Array<{ readonly from: number; to: number }> = []
    for (const { byteLength, byteOffset: from } of parts.toSorted((a, b) => a.byteOffset - b.byteOffset)) {
      const last = spans.at(-1)
      const to = from + byteLength
      if (last !== undefined && from - last.to < LINE) last.to = to
      else spans.push({ from, to })
    }
    return spans.map(({ from, to }) => new Float32Array(buffer, from, (to - from) / 4))
  }).flat()
}
