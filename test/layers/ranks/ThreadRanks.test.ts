import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { Worker } from "node:worker_threads"
import * as BFloat16 from "../../../src/domain/values/BFloat16.ts"
import type { ThreadsOrigin } from "../../../src/layers/ranks/Collectives.ts"
import * as ThreadRanks from "../../../src/layers/ranks/ThreadRanks.ts"

const LENGTHS = [1, 65_536, 65_537, 200_000]

interface Summed {
  readonly values: Float32Array
  readonly halves: Float32Array
}

const rounded = (values: Float32Array) => {
  const halves = new Uint16Array(values.length)
  BFloat16.encode(values, halves)
  const found = new Float32Array(values.length)
  BFloat16.decode(halves, found)
  return found
}

const equal = (found: Float32Array, expected: Float32Array) =>
  assert.isTrue(Buffer.from(found.buffer).equals(Buffer.from(expected.buffer)))

const summing = (origin: ThreadsOrigin): Effect.Effect<ReadonlyArray<Summed>> =>
  Effect.callback((resume) => {
    const worker = new Worker(new URL("./summing.ts", import.meta.url), {
      workerData: { origin, lengths: LENGTHS },
      execArgv: ["--disable-warning=ExperimentalWarning"]
    })
    worker.on("message", (found: ReadonlyArray<Summed>) => resume(Effect.succeed(found)))
    worker.on("error", (cause) => resume(Effect.die(cause)))
    return Effect.promise(() => worker.terminate())
  })

it.effect("threads add their arrays in the order of the ranks, exactly and rounded to bf16", () =>
  Effect.gen(function*() {
    const found = yield* Effect.forEach(ThreadRanks.origins(3), summing, { concurrency: "unbounded" })
    for (const [i, length] of LENGTHS.entries()) {
      const given = [(at: number) => at / 3, (at: number) => (at + 1) / 7, () => 1e7].map((of) =>
        Float32Array.from({ length }, (_, at) => of(at))
      )
      const total = ([a, b, c]: ReadonlyArray<Float32Array>) =>
        a!.map((value, at) => Math.fround(Math.fround(value + b![at]!) + c![at]!))
      const [exact, halves] = [total(given), rounded(total(given.map(rounded)))]
      for (const arrays of found) {
        equal(arrays[i]!.values, exact)
        equal(arrays[i]!.halves, halves)
      }
    }
  }))
