/**
 * The time that a row of the log takes: `npm run bench -- rows [--rows 2000] [--rounds 7]`.
 *
 * Adds rows to the log of a run folder, as a training step does, and beside it to a file that is opened and closed for each row, without
 * an owner. Prints medians of the rounds in microseconds of the clock for one row.
 */
import { Effect, FileSystem } from "effect"
import { parseArgs } from "node:util"
import * as Files from "../src/layers/files/Files.ts"
import * as Runs from "../src/layers/run/Runs.ts"

const { values } = parseArgs({
  options: { rows: { type: "string", default: "2000" }, rounds: { type: "string", default: "7" } }
})
const rows = Number(values.rows)

const rowOf = (step: number) => ({ stage: "pretrain", step, loss: 6.2, accuracy: 0.125, lr: 0.0005, gradientNorm: 1.5 })

const timed = Effect.fnUntraced(function*<E, R>(add: (step: number) => Effect.Effect<void, E, R>) {
  const began = performance.now()
  for (let step = 1; step <= rows; step++) yield* add(step)
  return 1000 * (performance.now() - began) / rows
})

const median = (numbers: ReadonlyArray<number>) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)]!

const program = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const folder = yield* fs.makeTempDirectoryScoped()
  const owned: Array<number> = []
  const alone: Array<number> = []
  for (let round = 0; round < Number(values.rounds); round++) {
    const run = Runs.layer(`${folder}/run-${round}`, { config: {} })
    owned.push(yield* Effect.provide(Runs.Runs.use(({ log }) => timed((step) => log(rowOf(step)))), run))
    const add = (step: number) =>
      Effect.flatMap(
        fs.open(`${folder}/alone-${round}`, { flag: "a" }),
        (file) => file.writeAll(new TextEncoder().encode(`${JSON.stringify(rowOf(step))}\n`))
      ).pipe(Effect.scoped)
    alone.push(yield* timed(add))
  }
  process.stdout.write(`${JSON.stringify({ rows, run: median(owned), alone: median(alone) })}\n`)
})

await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(Files.layerNode)))
