/**
 * One step of ours, timed: a part of `bench -- gpu`. It reads what to do as JSON from the command line, and prints one line of JSON. With
 * `probe`, it only starts the engine. It ends with 69, and the reason as the last line of standard error, where the engine or its
 * precision is not available, and with 70 where the step fails.
 */
import { Effect, Fiber, Logger, type Scope } from "effect"
import * as Presets from "../../src/domain/config/presets/Presets.ts"
import * as Engine from "../../src/layers/engine/Engine.ts"
import * as AdamW from "../../src/nn/optimizer/AdamW.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import type { Inference, TrainStep } from "../../src/shapes/Step.ts"
import * as Tree from "../../src/shapes/Tree.ts"
import * as Same from "../same.ts"
import { BACKBONE, RATE, sizesOf } from "../sizes.ts"
import { describing, encoding, pretraining, small, tokenizing } from "../steps.ts"
import * as Profile from "./profile.ts"

/** What is measured. */
export interface Given {
  readonly model: string
  readonly stage: string
  readonly batch: number
  readonly precision: "fp32" | "tf32" | "bf16"
  readonly engine: "xla" | "tensorflow"
  readonly xla: boolean
  readonly device: "cpu" | "cuda"
  readonly plugin?: string
  readonly steps: number
  readonly seconds: number
  /** Only starts the engine. */
  readonly probe?: boolean
  /** Ends with the process that started it, which holds its standard input. */
  readonly watched?: boolean
  /** Adds a profile of a few steps. */
  readonly profile?: boolean
}

const UNAVAILABLE = 69
const FAILED = 70
const WARM_UP = 5
const NUMBERS = 1024
const PROFILED = 3

const given: Given = JSON.parse(process.argv[2]!)
const { batch: size, device, engine: kind, model, plugin, precision, stage, xla } = given

if (given.watched) process.stdin.on("close", () => process.kill(process.pid, "SIGKILL")).resume().unref()

const end = (code: number, message: string): never => {
  process.stderr.write(`${message}\n`)
  process.exit(code)
}

const xlaOptions = { platform: device, precision, ...(plugin === undefined ? {} : { plugin }) }
const layer = kind === "xla"
  ? Engine.layerXla(xlaOptions)
  : Engine.layerTensorFlow({ precision, xla, ...(device === "cuda" ? { package: "tfjs-node-gpu" } : {}) })

type Run = Effect.Effect<ReadonlyArray<number>, Engine.EngineError>

/** An open step. An engine takes in `ahead` further steps while one runs. */
interface Opened {
  readonly run: Run
  readonly ahead: number
}

type Open = (engine: Engine.Engine["Service"]) => Effect.Effect<Opened, Engine.EngineError, Scope.Scope>

const numbers = (found: object, name: string): ReadonlyArray<number> => {
  const [, array] = Tree.leaves<HostTensor.Any>(found).find(([path]) => path === name)!
  return Array.from(array.data.subarray(0, NUMBERS))
}

const preset = model === "small" ? small : await Effect.runPromise(Presets.preset(model))
const sizes = { ...sizesOf(preset, stage, size), least: BACKBONE.has(stage) ? -1 : 0 }

const training = <S extends object, B, M>({ step }: { readonly step: TrainStep<S, B, M> }): Open => (engine) =>
  Effect.map(engine.train(step, Same.held<S>(step.state)), (handle) => {
    let taken = 0
    const hyper = () => AdamW.hyper(taken++, RATE, sizes.adamw)
    const batch = Same.batch<B>(step.batch, { hyper: hyper() }, sizes)
    taken = 0
    const run = Effect.suspend(() => {
      const given = { ...batch, hyper: hyper() }
      return Effect.map(handle.run(given, taken), (metrics) => numbers(metrics as object, "loss"))
    })
    return { run, ahead: handle.ahead }
  })

const inferring =
  <W extends object, B, O>({ inference }: { readonly inference: Inference<W, B, O> }): Open => (engine) =>
    Effect.map(engine.infer(inference, Same.held<W>(inference.weights)), (handle) => {
      const batch = Same.batch<B>(inference.batch, {}, sizes)
      return { run: Effect.map(handle.run(batch), (found) => numbers(found as object, stage)), ahead: 0 }
    })

/** Leaves only the codes of an inference that also returns vectors. */
const codesOf = <W, B, O extends { readonly codes: unknown }>(
  { inference }: { readonly inference: Inference<W, B, O> }
) => ({
  inference: {
    ...inference,
    run: (weights: W, batch: B) => {
      const { codes } = inference.run(weights, batch)
      return { codes }
    }
  }
})

const stages: Readonly<Record<string, () => Open>> = {
  mim: () => training(pretraining(preset, size)),
  vqkd: () => training(tokenizing(preset, size)),
  features: () => inferring(describing(preset, size)),
  codes: () => inferring(codesOf(encoding(preset, size)))
}

const clocked = Effect.fnUntraced(function*<A, E, R>(effect: Effect.Effect<A, E, R>) {
  const began = performance.now()
  const found = yield* effect
  return [performance.now() - began, found] as const
})

/** Milliseconds between the ends of steps, in order of length. As many steps are under way as the engine takes in. */
const intervals = Effect.fnUntraced(function*({ ahead, run }: Opened, least: number, seconds: number) {
  const begin = Effect.forkChild(run, { startImmediately: true })
  const begun: Array<Fiber.Fiber<ReadonlyArray<number>, Engine.EngineError>> = []
  const found: Array<number> = []
  let last = performance.now()
  const until = last + 1000 * seconds
  while (found.length <= least || last < until) {
    while (begun.length <= ahead) begun.push(yield* begin)
    yield* Fiber.join(begun.shift()!)
    const now = performance.now()
    found.push(now - last)
    last = now
  }
  yield* Fiber.joinAll(begun)
  // The first one may have begun before the clock.
  return found.slice(1).toSorted((a, b) => a - b)
})

const measured = Effect.gen(function*() {
  const began = performance.now()
  const engine = yield* Engine.Engine
  const started = performance.now() - began
  const { about } = engine
  if (about.precision !== precision) return end(UNAVAILABLE, `${about.engine} computes in ${about.precision} here`)
  if (kind === "tensorflow" && about.version.endsWith("gpu") !== (device === "cuda")) {
    return end(UNAVAILABLE, `TensorFlow ${about.version} does not use the device ${device}`)
  }
  const named = { engine: engine.name, version: about.version }
  if (given.probe) return named
  const [open, opened] = yield* clocked(stages[stage]!()(engine))
  const { run } = opened
  const [first, found] = yield* clocked(run)
  const shown = [found]
  for (let i = 1; i < WARM_UP; i++) shown.push(yield* run)
  const times = yield* intervals(opened, given.steps, given.seconds)
  const profile = given.profile
    ? yield* Effect.gen(function*() {
      const finish = Profile.begin(plugin!)
      for (let i = 0; i < PROFILED; i++) yield* run
      return finish(PROFILED)
    })
    : undefined
  const at = (share: number) => times[Math.min(times.length - 1, Math.floor(share * times.length))]!
  const { bytes } = yield* engine.memory
  return {
    ...named,
    stepMs: {
      median: at(1 / 2),
      least: times[0]!,
      most: times.at(-1)!,
      quarter: at(1 / 4),
      threeQuarters: at(3 / 4),
      steps: times.length
    },
    imagesPerSecond: 1000 * size / at(1 / 2),
    seconds: { start: started / 1000, open: open / 1000, first: first / 1000 },
    ...(stage === "mim" || stage === "vqkd" ? { losses: shown.flat() } : { output: found }),
    ...(profile === undefined ? {} : { profile }),
    mebibytes: { held: Math.round(bytes / 2 ** 20) },
    peakMegabytes: Math.round(process.resourceUsage().maxRSS / 1024)
  }
})

const UNUSABLE = new Set(["ProviderUnavailable", "PrecisionUnavailable"])
const result = await measured.pipe(
  Effect.scoped,
  Effect.provide(layer),
  Effect.catch((error) =>
    Effect.sync(() => end(UNUSABLE.has(error.reason._tag) ? UNAVAILABLE : FAILED, error.message))
  ),
  Effect.provideService(Logger.LogToStderr, true),
  Effect.runPromise
)
process.stdout.write(`${JSON.stringify(result)}\n`)
