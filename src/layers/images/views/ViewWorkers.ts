/**
 * Makes views of large images in worker threads. The views are the same as without threads.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Effect } from "effect"
 * import { Presets } from "patchword/domain"
 * import { Augment, ViewWorkers } from "patchword/layers"
 *
 * const { augment } = Presets.tiny.pretrain
 * const picture = { width: 60, height: 50, data: new Uint8Array(60 * 50 * 3).fill(128) }
 * const key = { seed: 0, purpose: "view", epoch: 0, index: 7 }
 * const program = Effect.gen(function*() {
 *   const put = yield* ViewWorkers.make({ size: 48, augment })
 *   const batch = Augment.allocate(1, 48)
 *   yield* put(picture, key, batch, 0)
 *   return batch
 * })
 * const batch = await Effect.runPromise(Effect.scoped(program))
 * assert.deepStrictEqual(batch, Augment.batch([Augment.view(picture, 48, augment, key)], 48, augment))
 * ```
 */
import { Effect } from "effect"
import { availableParallelism } from "node:os"
import type { Worker } from "node:worker_threads"
import type { Picture } from "../../../domain/pixels/Picture.ts"
import type * as KeyedRandom from "../../../domain/values/KeyedRandom.ts"
import * as Pauses from "../../machine/Pauses.ts"
import * as WorkerThread from "../../machine/WorkerThread.ts"
import * as Augment from "./Augment.ts"

/** A task of a thread: write the views of an image to a position of a batch in shared memory. */
export interface Task {
  readonly id: number
  readonly picture: Picture
  readonly key: KeyedRandom.Key
  readonly batch: Augment.Batch<number>
  readonly place: number
}

/**
 * Number of pixels from which on a thread makes a view. Smaller images take less time than a message to a thread, unless policies change
 * them.
 */
const LARGE = 2 ** 15

const isQuick = ({ height, width }: Picture, { policies }: Augment.Recipe): boolean =>
  width * height < LARGE && (policies?.autoAugment ?? policies?.randAugment ?? null) === null
// One thread makes views at about the speed at which two others decode.
const MOST = 4

const program = WorkerThread.file("ViewWorker", import.meta.url)

/** A thread with its present task and its waiting tasks. */
interface ViewWorker {
  readonly worker: Worker
  readonly tasks: Map<number, { readonly done: () => void; readonly again: () => void }>
}

/**
 * Writes the views of an image by a recipe to a position of a batch. Threads do this for large images, and for all with an augmentation
 * policy. They start with the first such image and end with the scope. Without shared memory, or after a thread is lost, no threads are used.
 */
export const make = Effect.fnUntraced(function*(
  recipe: Augment.Recipe,
  threads = Math.min(MOST, availableParallelism() - 1)
) {
  const workers: Array<ViewWorker> = []
  const rooms: Array<Uint8Array> = []
  let asked = 0
  let lost = false
  let closed = false

  const begin = (): ViewWorker => {
    const worker = WorkerThread.start(program, recipe)
    const begun: ViewWorker = { worker, tasks: new Map() }
    const end = () => {
      lost = true
      const left = [...begun.tasks.values()]
      begun.tasks.clear()
      if (!closed) { for (const { again } of left) again() }
    }
    worker.on("error", end)
    worker.on("exit", end)
    worker.on("message", (id: number) => {
      const task = begun.tasks.get(id)
      begun.tasks.delete(id)
      if (begun.tasks.size === 0) worker.unref()
      task?.done()
    })
    workers.push(begun)
    return begun
  }
  yield* Effect.addFinalizer(() =>
    Effect.promise(() => {
      closed = true
      return Promise.all(workers.map(({ worker }) => worker.terminate()))
    })
  )
  // Pictures are passed in shared memory that is used again, so no picture needs an allocation or garbage collection.
  const roomFor = (length: number): Uint8Array => {
    const free = rooms.pop()
    return free !== undefined && free.length >= length ? free : new Uint8Array(new SharedArrayBuffer(length))
  }

  return (picture: Picture, key: KeyedRandom.Key, batch: Augment.Batch<number>, place: number): Effect.Effect<void> => {
    const here = Effect.andThen(
      Pauses.pause,
      Effect.sync(() => Augment.put(batch, place, Augment.make(picture, recipe, key), recipe.augment))
    )
    return Effect.suspend(() => {
      const shared = [batch.unit, batch.normalised].every(({ data }) => data.buffer instanceof SharedArrayBuffer)
      if (lost || threads < 1 || !shared || isQuick(picture, recipe)) return here
      return Effect.callback<void>((resume) => {
        const idle = workers.find(({ tasks }) => tasks.size === 0)
        const chosen = idle ?? (workers.length < threads
          ? begin()
          : workers.reduce((least, one) => one.tasks.size < least.tasks.size ? one : least))
        const id = asked++
        const data = roomFor(picture.data.length)
        data.set(picture.data)
        chosen.tasks.set(id, {
          done: () => {
            rooms.push(data)
            resume(Effect.void)
          },
          again: () => resume(here)
        })
        chosen.worker.ref()
        chosen.worker.postMessage({ id, picture: { ...picture, data }, key, batch, place } satisfies Task)
      })
    })
  }
})
