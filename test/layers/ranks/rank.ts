import { Console, Effect } from "effect"
import { createHash } from "node:crypto"
import { writeSync } from "node:fs"
import * as WorkerThread from "../../../src/layers/machine/WorkerThread.ts"
import * as BFloat16Sum from "../../../src/layers/ranks/BFloat16Sum.ts"
import * as Connection from "../../../src/layers/ranks/Connection.ts"
import * as Ranks from "../../../src/layers/ranks/Ranks.ts"

const [mode = "", library = "", started = "", limit = ""] = process.argv.slice(2)

const say = (value: unknown) => Effect.sync(() => void writeSync(1, `${JSON.stringify(value)}\n`))
const sha256 = (values: Float32Array) => createHash("sha256").update(values).digest("hex")

const away = (found: Float32Array, expected: Float32Array) =>
  found.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i]!)), 0)

const modes: Readonly<Record<string, (ranks: Ranks.Ranks) => Effect.Effect<void, Ranks.RanksError>>> = {
  sum: Effect.fnUntraced(function*({ allReduce, barrier, broadcast, collectives, rank, size }) {
    const values = Float32Array.from({ length: 10_000 }, (_, i) => Math.sin(i * (rank + 1)))
    const [first, second, halves] = [values.slice(), values.slice(), values.slice()]
    let ticks = 0
    const timer = setInterval(() => void ticks++, 5)
    if (rank === 1) yield* Effect.sleep(200)
    yield* allReduce(first)
    clearInterval(timer)
    const connection = Connection.open(collectives!)
    connection.sum(second)
    BFloat16Sum.make(connection)(halves)
    const bytes = Uint8Array.from({ length: 5 }, (_, i) => rank === 0 ? i : 0)
    yield* broadcast(bytes)
    yield* barrier
    const digests = [sha256(first), sha256(second)]
    yield* say({
      rank,
      size,
      values: [...first.subarray(0, 50)],
      digests,
      halves: sha256(halves),
      error: away(halves, first),
      bytes: [...bytes],
      ticks
    })
  }),
  agree: Effect.fnUntraced(function*({ rank }) {
    yield* Ranks.agree("configuration", { seed: 0, optimizer: { lr: rank === 1 ? 0.1 : 0.2 } })
    yield* say({ rank })
  }),
  early: ({ rank }) => say({ rank }),
  wait: Effect.fnUntraced(function*({ collectives, rank }) {
    WorkerThread.start(new URL("./endless.ts", import.meta.url), collectives!)
    yield* say({ rank, pid: process.pid })
    return yield* Effect.never
  })
}

if (mode === "early" && process.env["PMI_RANK"] === "1") process.exit(64)

const layer = Ranks.layerMpi({
  library,
  started: Number(started),
  ...(mode === "early" && { meeting: "3 seconds" }),
  ...(limit === "" ? {} : { limit: `${Number(limit)} seconds` })
})

await Effect.runPromise(
  Effect.flatMap(Effect.service(Ranks.Ranks), modes[mode]!).pipe(
    Effect.provide(layer),
    Effect.catch((error) =>
      Effect.andThen(
        Console.error(error.message),
        Effect.sync(() => {
          process.exitCode = 3
        })
      )
    )
  )
)
