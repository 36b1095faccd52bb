/**
 * The rows of a batch that this rank makes. With one rank, these are all rows.
 *
 * ```ts
 * import assert from "node:assert"
 * import { RankShare } from "patchword/pipelines"
 *
 * assert.deepStrictEqual(RankShare.contiguous(8, { rank: 1, size: 2 }), [4, 5, 6, 7])
 * assert.deepStrictEqual(RankShare.mirrored(8, { rank: 1, size: 2 }), [2, 3, 4, 5])
 * ```
 */
import type { Ranks } from "../../layers/ranks/Ranks.ts"
import type * as HostTensor from "../../shapes/HostTensor.ts"
import * as Tree from "../../shapes/Tree.ts"

/** Returns the rows of a rank, in ascending order. A batch that cannot be shared so stays whole on every rank. */
export type Share = (batchSize: number, place: Pick<Ranks, "rank" | "size">) => ReadonlyArray<number>

const from = (first: number, length: number): ReadonlyArray<number> => Array.from({ length }, (_, i) => first + i)

/** Rows that follow each other, as an engine shares a whole batch. */
export const contiguous: Share = (batchSize, { rank, size }) => {
  const length = batchSize / size
  return Number.isInteger(length) ? from(rank * length, length) : from(0, batchSize)
}

/** Rows with their mirror images: Mixup mixes a row with its mirror image. */
export const mirrored: Share = (batchSize, { rank, size }) => {
  const half = batchSize / size / 2
  return Number.isInteger(half)
    ? [...from(rank * half, half), ...from(batchSize - (rank + 1) * half, half)]
    : from(0, batchSize)
}

/** Takes rows of every array of a record, whose first axis is that of the whole batch. */
export const pick = <T extends object>(record: T, rows: ReadonlyArray<number>): T =>
  Tree.map<T>(record, (leaf) => {
    const { data, dtype, shape } = leaf as HostTensor.Any
    const [count = 1, ...rest] = shape
    if (rows.length === count) return leaf
    const width = data.length / count
    const kept = data.slice(0, rows.length * width)
    rows.forEach((row, at) => kept.set(data.subarray(row * width, (row + 1) * width), at * width))
    return { data: kept, dtype, shape: [rows.length, ...rest] }
  })
