import { Effect, Fiber } from "effect"
import { writeSync } from "node:fs"
import * as KeyValueStore from "../../../src/layers/pjrt/KeyValueStore.ts"
import type { MpiOrigin } from "../../../src/layers/ranks/Collectives.ts"
import * as Ranks from "../../../src/layers/ranks/Ranks.ts"
import { callsOf } from "./keyValueCalls.ts"

const [library = "", started = "", limit = "20"] = process.argv.slice(2)
const LONG = 20_000
const LARGE = 2 ** 20

const text = (value: Uint8Array | string) => typeof value === "string" ? value : Buffer.from(value).toString()
const bytes = (value: string) => Buffer.from(value)
const begun = <A>(effect: Effect.Effect<A>) => Effect.forkChild(effect, { startImmediately: true })

const program = Effect.gen(function*() {
  const { barrier, collectives, rank, size } = yield* Ranks.Ranks
  const ranks = collectives as MpiOrigin
  const { get, getHere, put, putHere, tryGet } = callsOf(yield* KeyValueStore.open(ranks, 0))
  const next = (rank + 1) % size

  const early = yield* begun(get(`early ${next}`, LONG))
  yield* barrier
  putHere(`early ${rank}`, bytes(`of rank ${rank}`))
  const ring = text(yield* Fiber.join(early))

  const first = rank === 0 ? yield* begun(get("answer", LONG)) : undefined
  yield* barrier
  if (rank === 0) yield* put("question", bytes("6 times 7"))
  if (rank === 1) putHere("answer", bytes(text(getHere("question", LONG)).replace("6 times 7", "42")))
  const crossed = text(first === undefined ? getHere("answer", LONG) : yield* Fiber.join(first))

  const both = yield* begun(Effect.all([get("late", LONG), get("later", LONG)], { concurrency: "unbounded" }))
  yield* barrier
  if (rank === size - 1) putHere("later", bytes("second"))
  if (rank === 0) putHere("late", bytes("first"))
  const two = (yield* Fiber.join(both)).map(text)

  const all = Uint8Array.from({ length: 256 }, (_, i) => i)
  const large = Uint8Array.from({ length: LARGE }, (_, i) => i * 7)
  if (rank === size - 1) {
    putHere("bytes", all)
    putHere("empty", new Uint8Array())
    putHere("large", large)
    putHere("large", large.map((byte) => byte + 1))
    putHere("end", bytes("end"))
  }
  getHere("end", LONG)
  const found = yield* Effect.forEach(["bytes", "empty", "large"], (key) => get(key, LONG))
  const equal = found.map((value, i) =>
    Buffer.compare(
      value as Uint8Array,
      [all, new Uint8Array(), large.map((byte) => byte + 1)][i]!
    )
  )

  const begin = performance.now()
  const missing = [text(yield* get("nothing", 80)), text(yield* tryGet("nothing")), text(yield* tryGet("late"))]
  const waited = performance.now() - begin

  yield* barrier
  const other = callsOf(yield* KeyValueStore.open(ranks, 1))
  const apart = text(yield* other.tryGet("late"))
  other.putHere("unread", large)
  yield* barrier
  writeSync(1, `${JSON.stringify({ rank, ring, crossed, two, equal, missing, waited, apart })}\n`)
}).pipe(Effect.scoped)

const layer = Ranks.layerMpi({ library, started: Number(started), limit: `${Number(limit)} seconds` })
await Effect.runPromise(Effect.provide(program, layer))
