/**
 * Ranks: the time to sum an array over all of them, by its size, over shared memory and over TCP; the line that fits it
 * (`seconds = latency + 2 (R - 1) / R · bytes / bandwidth`) with its residuals; the time of the same sum with `--wire bf16`, in turn
 * with it; steps of `tiny` and ViT-B on ranks beside as many processes apart; and what the line says of the paper's batch on a network
 * that is named.
 *
 * It needs `npm run setup:mpi`. `npm run bench -- ranks 2 --gigabits 100 --microseconds 10 --images 64 --seconds 0.068` takes 2 ranks, and
 * predicts for a network of 100 Gb/s with 10 µs, whose ranks take 0.068 s for a step of 64 images of ViT-B. By default that time is
 * what was measured here.
 */
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import { parseArgs } from "node:util"
import * as Presets from "../src/domain/config/presets/Presets.ts"
import * as Engine from "../src/layers/engine/Engine.ts"
import * as BFloat16Sum from "../src/layers/ranks/BFloat16Sum.ts"
import * as Connection from "../src/layers/ranks/Connection.ts"
import * as MpiLibrary from "../src/layers/ranks/MpiLibrary.ts"
import * as Ranks from "../src/layers/ranks/Ranks.ts"
import { pretraining } from "./steps.ts"

/** Parameters of ViT-B. The last size is that of its gradients in float32. */
const PARAMETERS = 92e6
const BYTES = [4, 4096, 2 ** 16, 2 ** 20, 2 ** 24, 2 ** 27, 4 * PARAMETERS]

/** Rounds in which sums in float32 and in bfloat16 take turns. */
const ROUNDS = 3

/** The images of each rank, and the measured steps. */
const SIZES = {
  tiny: { preset: Presets.tiny, images: 16, steps: 8 },
  base: { preset: Presets.base, images: 4, steps: 3 }
}

/** The paper's batch. */
const BATCH = 2048

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
  const connection = Connection.open(collectives!)
  const kinds = [connection.sum, BFloat16Sum.make(connection)]
  const points: Array<readonly [bytes: number, fp32: number, bf16: number]> = []
  for (const bytes of BYTES) {
    const values = new Float32Array(new WebAssembly.Memory({ initial: Math.ceil(bytes / 65536) }).buffer, 0, bytes / 4)
    // Whatever else the machine does only adds to the fastest.
    const fastest = [Infinity, Infinity]
    yield* barrier
    for (let round = 0; round < ROUNDS; round++) {
      for (const [kind, sum] of kinds.entries()) {
        for (let i = 0; i < (bytes > 2 ** 24 ? 2 : 15); i++) {
          const begun = performance.now()
          sum(values)
          fastest[kind] = Math.min(fastest[kind]!, (performance.now() - begun) / 1000)
        }
      }
    }
    points.push([bytes, fastest[0]!, fastest[1]!])
  }
  const share = 2 * (size - 1) / size
  const { first, slope } = line(points.map(([bytes, seconds]) => [share * bytes, seconds]))
  return {
    sums: points.map(([bytes, seconds, bf16]) => {
      const fitted = first + slope * share * bytes
      return {
        bytes,
        seconds: short(seconds),
        fitted: short(fitted),
        residual: short(seconds / fitted - 1),
        bf16: short(bf16),
        ratio: short(bf16 / seconds)
      }
    }),
    fit: { latencyMicroseconds: short(1e6 * first), gigabytesPerSecond: short(1 / slope / 1e9) }
  }
})

const step = Effect.fnUntraced(function*(name: keyof typeof SIZES) {
  const { images, preset, steps } = SIZES[name]
  const { barrier, collectives, size } = yield* Ranks.Ranks
  const layer = Engine.layerOnnx({ threads: 1, ...(collectives && { ranks: collectives }) })
  return yield* Effect.gen(function*() {
    const engine = yield* Engine.Engine
    const { batch, state, step } = pretraining(preset, size * images)
    const handle = yield* engine.train(step, state())
    yield* handle.run(batch)
    yield* barrier
    const times: Array<number> = []
    for (let i = 0; i < steps; i++) {
      const begun = performance.now()
      yield* handle.run(batch)
      times.push((performance.now() - begun) / 1000)
    }
    return Math.min(...times)
  }).pipe(Effect.scoped, Effect.provide(layer))
})

const { positionals: [ranks = "2", part, name], values: given } = parseArgs({
  allowPositionals: true,
  options: {
    gigabits: { type: "string", default: "10" },
    microseconds: { type: "string", default: "50" },
    images: { type: "string" },
    seconds: { type: "string" }
  }
})

/** What the line says of steps of ViT-B with the paper's batch: every step of an update takes a sum. */
const predicted = (images: number, seconds: number) => {
  const [gigabits, microseconds] = [Number(given.gigabits), Number(given.microseconds)]
  const alone = BATCH / images * seconds
  return {
    gigabits,
    microseconds,
    step: { images, seconds: short(seconds) },
    ranks: [1, 2, 4, 8, 16, 32].filter((size) => size * images <= BATCH).map((size) => {
      const sum = size === 1 ? 0 : microseconds / 1e6 + 2 * (size - 1) / size * 4 * PARAMETERS / (gigabits / 8 * 1e9)
      const update = Math.ceil(BATCH / size / images) * (seconds + sum)
      return { ranks: size, sum: short(sum), update: short(update), speedup: short(alone / update) }
    })
  }
}

if (part !== undefined) {
  const program = Effect.gen(function*() {
    const found = yield* part === "sums" ? sums : step(name === "base" ? "base" : "tiny")
    if ((yield* Ranks.Ranks).rank === 0) console.log(JSON.stringify(found))
  })
  const layer = ranks === "1" ? Ranks.layerSingle : Ranks.layerMpi({ started: Number(ranks), limit: "1 minute" })
  await Effect.runPromise(Effect.provide(program, layer))
} else {
  const launcher = await Effect.runPromise(MpiLibrary.launcher)
  const run = <A>(words: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}): ReadonlyArray<A> => {
    const { error, status, stderr, stdout } = spawnSync(
      launcher,
      ["-n", ranks, process.execPath, "--disable-warning=ExperimentalWarning", import.meta.filename, ...words],
      { encoding: "utf8", env: { ...process.env, ...env } }
    )
    if (status !== 0) throw new Error(`${error?.message ?? stderr}; run "npm run setup:mpi"`)
    return stdout.trim().split("\n").map((text) => JSON.parse(text) as A)
  }
  type Sums = Effect.Success<typeof sums>
  const [[sharedMemory], [tcp]] = [
    run<Sums>([ranks, "sums"]),
    run<Sums>([ranks, "sums"], { MPIR_CVAR_NOLOCAL: "1", UCX_TLS: "tcp,self", FI_PROVIDER: "tcp" })
  ]
  const steps = (["tiny", "base"] as const).map((size) => {
    // As many processes apart share cores and memory in the same way.
    const apart = Math.max(...run<number>(["1", "step", size]))
    const [together = 0] = run<number>([ranks, "step", size])
    return { size, images: SIZES[size].images, apart: short(apart), together: short(together) }
  })
  const { images, seconds } = given
  console.log(JSON.stringify(
    {
      ranks: Number(ranks),
      sharedMemory,
      tcp,
      steps,
      predicted: predicted(Number(images ?? SIZES.base.images), Number(seconds ?? steps[1]!.apart))
    },
    null,
    2
  ))
}
