/**
 * Ranks: the time to sum an array over all of them, by its size, over shared memory and over TCP, with the line that fits it
 * (`seconds = latency + 2 (R - 1) / R · bytes / bandwidth`), and the speed of a step on one rank and on several with as many images each.
 * It needs `npm run setup:mpi`. `npm run bench -- ranks 3` takes 3 ranks.
 */
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import * as Presets from "../src/domain/config/presets/Presets.ts"
import * as Engine from "../src/layers/engine/Engine.ts"
import * as Connection from "../src/layers/ranks/Connection.ts"
import * as MpiLibrary from "../src/layers/ranks/MpiLibrary.ts"
import * as Ranks from "../src/layers/ranks/Ranks.ts"
import { pretraining } from "./steps.ts"

const BYTES = [4, 4096, 2 ** 16, 2 ** 20, 2 ** 24, 2 ** 27, 92e6 * 4]
const IMAGES = 16
const STEPS = 6

const median = (numbers: ReadonlyArray<number>): number => numbers.toSorted((a, b) => a - b)[numbers.length >> 1]!

const short = (value: number): number => Number(value.toPrecision(3))

/** The line through points with the least squares of relative errors. */
const line = (points: ReadonlyArray<readonly [x: number, y: number]>) => {
  const sum = (of: (x: number, y: number) => number) => points.reduce((total, [x, y]) => total + of(x, y) / y ** 2, 0)
  const [one, x, xx, y, xy] = [sum(() => 1), sum((x) => x), sum((x) => x * x), sum((_, y) => y), sum((x, y) => x * y)]
  const slope = (one * xy - x * y) / (one * xx - x * x)
  return { first: (y - slope * x) / one, slope }
}

const sums = Effect.gen(function*() {
  const { barrier, collectives, size } = yield* Ranks.Ranks
  const { sum } = Connection.open(collectives!)
  const points: Array<readonly [number, number]> = []
  for (const bytes of BYTES) {
    const values = new Float32Array(new WebAssembly.Memory({ initial: Math.ceil(bytes / 65536) }).buffer, 0, bytes / 4)
    const times: Array<number> = []
    yield* barrier
    for (let i = 0; i < (bytes > 2 ** 24 ? 5 : 40); i++) {
      const begun = performance.now()
      sum(values)
      times.push((performance.now() - begun) / 1000)
    }
    points.push([bytes, median(times)])
  }
  const share = 2 * (size - 1) / size
  const { first, slope } = line(points.map(([bytes, seconds]) => [share * bytes, seconds]))
  return {
    seconds: points.map(([bytes, seconds]) => ({ bytes, seconds: short(seconds) })),
    fit: { latencySeconds: short(Math.max(0, first)), gigabytesPerSecond: short(1 / slope / 1e9) }
  }
})

const step = Effect.gen(function*() {
  const { barrier, collectives, size } = yield* Ranks.Ranks
  const layer = Engine.layerOnnx({ threads: 1, ...(collectives && { ranks: collectives }) })
  return yield* Effect.gen(function*() {
    const engine = yield* Engine.Engine
    const { batch, state, step } = pretraining(Presets.tiny, size * IMAGES)
    const handle = yield* engine.train(step, state())
    yield* handle.run(batch)
    yield* barrier
    const times: Array<number> = []
    for (let i = 0; i < STEPS; i++) {
      const begun = performance.now()
      yield* handle.run(batch)
      times.push((performance.now() - begun) / 1000)
    }
    return { ranks: size, images: size * IMAGES, seconds: short(median(times)) }
  }).pipe(Effect.scoped, Effect.provide(layer))
})

const [ranks = "2", part] = process.argv.slice(2)

if (part !== undefined) {
  const program = Effect.gen(function*() {
    const found = yield* part === "sums" ? sums : step
    if ((yield* Ranks.Ranks).rank === 0) console.log(JSON.stringify(found))
  })
  const layer = ranks === "1" ? Ranks.layerSingle : Ranks.layerMpi({ started: Number(ranks), limit: "1 minute" })
  await Effect.runPromise(Effect.provide(program, layer))
} else {
  const launcher = await Effect.runPromise(MpiLibrary.launcher)
  const run = (count: string, what: string, env: Readonly<Record<string, string>> = {}): unknown => {
    const words = ["--disable-warning=ExperimentalWarning", import.meta.filename, count, what]
    const { error, status, stderr, stdout } = count === "1"
      ? spawnSync(process.execPath, words, { encoding: "utf8" })
      : spawnSync(launcher, ["-n", count, process.execPath, ...words], {
        encoding: "utf8",
        env: { ...process.env, ...env }
      })
    if (status !== 0) throw new Error(`${error?.message ?? stderr}; run "npm run setup:mpi"`)
    return JSON.parse(stdout)
  }
  console.log(JSON.stringify(
    {
      ranks: Number(ranks),
      sharedMemory: run(ranks, "sums"),
      tcp: run(ranks, "sums", { MPIR_CVAR_NOLOCAL: "1", UCX_TLS: "tcp,self", FI_PROVIDER: "tcp" }),
      steps: [run("1", "step"), run(ranks, "step")]
    },
    null,
    2
  ))
}
