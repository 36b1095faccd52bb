import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as WorkerThread from "../../../src/layers/machine/WorkerThread.ts"
import { ended, endsInterrupted, watched } from "./workers.ts"

const program = (source: string) => new URL(`data:text/javascript,${encodeURIComponent(source)}`)

const answering = program(`
  import { parentPort, workerData } from "node:worker_threads"
  parentPort.postMessage(workerData.given + 1)
  setInterval(() => {}, 1000)
`)

describe("a worker thread", () => {
  it.live("ends with its answer", () =>
    Effect.gen(function*() {
      const { workers } = yield* watched
      assert.strictEqual(yield* WorkerThread.answer(answering, { given: 4 }, Effect.succeed(0)), 5)
      ended(workers)
    }))

  it.live("need not give the answer if it fails or ends before", () =>
    Effect.gen(function*() {
      for (const source of ["", "throw new Error()", "not a program"]) {
        assert.strictEqual(yield* WorkerThread.answer(program(source), {}, Effect.succeed(7)), 7)
      }
    }))

  it.live("ends when nobody waits for its answer any longer", () =>
    endsInterrupted(WorkerThread.answer(program("setInterval(() => {}, 1000)"), {}, Effect.void)))
})
