/** Values that rank 0 sends to all ranks: plain data with arrays. */
import { Effect } from "effect"
import * as HostTensor from "../../shapes/HostTensor.ts"
import { broadcastText, type Ranks } from "./Ranks.ts"
import type { RanksError } from "./RanksError.ts"

/** A value in two parts: data that JSON can write, and arrays by group and name. */
export interface Parcel {
  readonly data: unknown
  readonly arrays: Readonly<Record<string, Readonly<Record<string, HostTensor.Any>>>>
}

interface Entry {
  readonly group: string
  readonly name: string
  readonly dtype: HostTensor.DType
  readonly shape: ReadonlyArray<number>
}

/** Bytes that are sent at once. */
const PART = 2 ** 26

/** Calls `copy` for each part of arrays that lies in a range of their bytes, as if they lay one behind the other. */
const within = (
  views: ReadonlyArray<Uint8Array>,
  from: number,
  length: number,
  copy: (part: Uint8Array, at: number) => void
): void => {
  let begun = 0
  for (const view of views) {
    const [first, last] = [Math.max(from, begun), Math.min(from + length, begun + view.length)]
    if (first < last) copy(view.subarray(first - begun, last - begun), first - from)
    begun += view.length
  }
}

/** Sends arrays of rank 0 into those of the others, in few messages. */
const stream = Effect.fnUntraced(function*({ broadcast, rank }: Ranks, arrays: ReadonlyArray<HostTensor.Any>) {
  const views = arrays.map(({ data: { buffer, byteLength, byteOffset } }) =>
    new Uint8Array(buffer, byteOffset, byteLength)
  )
  const total = views.reduce((sum, { length }) => sum + length, 0)
  const memory = new Uint8Array(Math.min(PART, total))
  for (let from = 0; from < total; from += PART) {
    const part = memory.subarray(0, Math.min(PART, total - from))
    if (rank === 0) within(views, from, part.length, (piece, at) => part.set(piece, at))
    yield* broadcast(part)
    if (rank > 0) within(views, from, part.length, (piece, at) => piece.set(part.subarray(at, at + piece.length)))
  }
})

/** Sends a value of rank 0. The others receive it at the same time. */
export const send = Effect.fnUntraced(function*(
  ranks: Ranks,
  parcel: Parcel
): Effect.fn.Return<void, RanksError> {
  const { arrays, data } = parcel
  const all = Object.entries(arrays).flatMap(([group, named]) =>
    Object.entries(named).map(([name, array]) => ({ group, name, array }))
  )
  const entries: ReadonlyArray<Entry> = all.map(({ array: { dtype, shape }, group, name }) => ({
    group,
    name,
    dtype,
    shape
  }))
  yield* broadcastText(ranks, JSON.stringify({ data, entries }))
  yield* stream(ranks, all.map(({ array }) => array))
})

/** Receives a value of rank 0. */
export const receive = Effect.fnUntraced(function*(ranks: Ranks): Effect.fn.Return<Parcel, RanksError> {
  const { data, entries }: { readonly data: unknown; readonly entries: ReadonlyArray<Entry> } = JSON.parse(
    yield* broadcastText(ranks, "")
  )
  const arrays: Record<string, Record<string, HostTensor.Any>> = {}
  const all = entries.map(({ dtype, group, name, shape }) => {
    const array = HostTensor.zeros(shape, dtype)
    const named = arrays[group] ??= {}
    named[name] = array
    return array
  })
  yield* stream(ranks, all)
  return { data, arrays }
})
