import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { fileURLToPath } from "node:url"
import { afterEach } from "vitest"
import * as KeyValueCallbacks from "../../../src/layers/pjrt/KeyValueCallbacks.ts"
import { isThere, killAll, library, ofMpich, start } from "../ranks/mpi.ts"
import { callsOf } from "./keyValueCalls.ts"

const program = fileURLToPath(new URL("./keyValueRank.ts", import.meta.url))

describe.skipIf(!isThere || process.platform !== "linux")("the keys and values of a plugin", () => {
  afterEach(killAll)

  it.live.each([[2, library], [3, library], [2, ofMpich]] as const)(
    "come to all of %i ranks, whoever asks first, from any thread, or not in time: %s",
    ([size, of]) =>
      Effect.gen(function*() {
        const job = start(size, [program, of, String(size)])
        assert.deepStrictEqual([yield* job.end, job.errors()], [0, ""])
        const said = job.lines.map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>)
        assert.strictEqual(said.length, size)
        for (const { rank, waited, ...one } of said) {
          assert.deepStrictEqual(one, {
            ring: `of rank ${(Number(rank) + 1) % size}`,
            crossed: "42",
            two: ["first", "second"],
            equal: [0, 0, 0],
            missing: [
              "4 no process has put a value for the key nothing within 80 ms",
              "5 no process has put a value for the key nothing",
              "first"
            ],
            apart: "5 no process has put a value for the key late"
          })
          assert.isAtLeast(Number(waited), 79)
          assert.isBelow(Number(waited), 10_000)
        }
      }),
    60_000
  )
})

describe("the functions of keys and values", () => {
  it.effect("tell the plugin what fails in them, and wait without end if they are told so", () =>
    Effect.gen(function*() {
      let looks = 0
      const { get, put, tryGet } = callsOf({
        ...KeyValueCallbacks.reading((key) => {
          if (key === "broken") throw new Error("the others are gone")
          return ++looks === 20 ? Uint8Array.of(1) : undefined
        }),
        ...KeyValueCallbacks.writing(() => {
          throw new Error("nobody takes it")
        })
      })
      assert.deepStrictEqual(yield* get("key", -1), Uint8Array.of(1))
      assert.deepStrictEqual(yield* get("broken", 10), "13 Error: the others are gone")
      assert.deepStrictEqual(yield* tryGet("broken"), "13 Error: the others are gone")
      assert.isAbove((yield* put("key", Uint8Array.of(1))).code, 0)
    }))
})
