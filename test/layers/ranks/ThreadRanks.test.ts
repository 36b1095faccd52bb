import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { Worker } from "node:worker_threads"
import type { ThreadsOrigin } from "../../../src/layers/ranks/Collectives.ts"
import * as ThreadRanks from "../../../src/layers/ranks/ThreadRanks.ts"

const LENGTHS = [1, 65_536, 65_537, 200_000]

const summing = (origin: ThreadsOrigin): Effect.Effect<ReadonlyArray<Float32Array>> =>
  Effect.callback((resume) => {
    const worker = new Worker(new URL("./summing.ts", import.meta.url), {
      workerData: { origin, lengths: LENGTHS },
      execArgv: ["--disable-warning=ExperimentalWarning"]
    })
    worker.on("message", (found: ReadonlyArray<Float32Array>) => resume(Effect.succeed(found)))
    worker.on("error", (cause) => resume(Effect.die(cause)))
    return Effect.promise(() => worker.terminate())
  })

it.effect("threads add their arrays in the order of the ranks", () =>
  Effect.gen(function*() {
    const found = yield* Effect.forEach(ThreadRanks.origins(3), summing, { concurrency: "unbounded" })
    for (const [i, length] of LENGTHS.entries()) {
      const expected = Float32Array.from({ length }, (_, at) => Math.fround(Math.fround(at / 3 + (at + 1) / 7) + 1e7))
      for (const arrays of found) assert.isTrue(Buffer.from(arrays[i]!.buffer).equals(Buffer.from(expected.buffer)))
    }
  }))
