/**
 * Ranks that are threads of one process. They meet in shared memory, without a library for messages.
 *
 * Values are added in the order of the ranks. So the bytes are the same from run to run, and on every rank.
 *
 * ```ts
 * import assert from "node:assert"
 * import { ThreadRanks } from "patchword/layers"
 *
 * const [alone] = ThreadRanks.origins(1)
 * const values = Float32Array.of(1, 2)
 * ThreadRanks.open(alone!).sum(values)
 * assert.deepStrictEqual(values, Float32Array.of(1, 2))
 * ```
 */
import type { Collectives, ThreadsOrigin } from "./Collectives.ts"

/** The number of values that a thread shows the others at once. */
const SHOWN = 2 ** 16

/** The number of threads that wait, and the number of meetings so far. */
const WAITING = 0
const MEETINGS = 1
const HEADER = 64

/** The time after which a thread that waits gives up, in milliseconds. */
const PATIENCE = 60_000

/** Makes the memory for ranks that are threads of this process. Returns the origin of each rank. */
export const origins = (size: number): ReadonlyArray<ThreadsOrigin> => {
  const memory = new SharedArrayBuffer(HEADER + 4 * SHOWN * size)
  return Array.from({ length: size }, (_, rank) => ({ kind: "threads", memory, rank, size }))
}

/**
 * Opens the connection of one thread.
 *
 * @throws Error when the other threads do not come within a minute.
 */
export const open = (origin: ThreadsOrigin): Collectives => {
  const { memory, rank, size } = origin
  const header = new Int32Array(memory, 0, HEADER / 4)
  const shown = Array.from({ length: size }, (_, i) => new Float32Array(memory, HEADER + 4 * SHOWN * i, SHOWN))

  /** Waits until all threads are here. */
  const meet = (): void => {
    const meeting = Atomics.load(header, MEETINGS)
    if (Atomics.add(header, WAITING, 1) === size - 1) {
      Atomics.store(header, WAITING, 0)
      Atomics.add(header, MEETINGS, 1)
      Atomics.notify(header, MEETINGS)
      return
    }
    if (Atomics.wait(header, MEETINGS, meeting, PATIENCE) === "timed-out") {
      throw new Error(`rank ${rank} of ${size} waited ${PATIENCE / 1000} s for the others`)
    }
  }

  return {
    rank,
    size,
    sum: (values) => {
      for (let at = 0; at < values.length; at += SHOWN) {
        const part = values.subarray(at, at + SHOWN)
        shown[rank]!.set(part)
        meet()
        part.fill(0)
        for (const others of shown) for (let i = 0; i < part.length; i++) part[i]! += others[i]!
        meet()
      }
    },
    exchange: (sent, received) => {
      const share = sent.length / size
      const step = Math.floor(2 * SHOWN / size)
      const views = shown.map(({ buffer, byteOffset }) => new Uint16Array(buffer, byteOffset, 2 * SHOWN))
      for (let at = 0; at < share; at += step) {
        const length = Math.min(step, share - at)
        for (let to = 0; to < size; to++) {
          views[rank]!.set(sent.subarray(to * share + at, to * share + at + length), to * step)
        }
        meet()
        for (let from = 0; from < size; from++) {
          received.set(views[from]!.subarray(rank * step, rank * step + length), from * share + at)
        }
        meet()
      }
    }
  }
}
