import { afterAll, assert, describe, layer } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Logger, ManagedRuntime } from "effect"
import type { Preset } from "../../src/domain/config/Preset.ts"
import * as Safetensors from "../../src/domain/weights/Safetensors.ts"
import * as Laws from "../../src/laws/index.ts"
import { Checkpoints } from "../../src/layers/run/Checkpoints.ts"
import { Progress } from "../../src/layers/run/Progress.ts"
import * as Runs from "../../src/layers/run/Runs.ts"
import * as Finetune from "../../src/pipelines/Finetune.ts"
import { pretrain } from "../../src/pipelines/Pretrain.ts"
import type { StageOptions } from "../../src/pipelines/training/Stage.ts"
import { trainTokenizer } from "../../src/pipelines/TrainTokenizer.ts"
import { holds } from "../laws/kit.ts"
import { machine, micro, recording } from "./kit.ts"

const { finetune } = Finetune

const STEPS = 8

const plain = micro({ duration: STEPS })

const summing = micro({ duration: 3, batchSize: 4, accumulate: 3 })

const accumulating = { ...summing, finetune: { ...summing.finetune, ema: 0.5 } }

type Stages = Pick<Preset, "tokenizer" | "pretrain" | "finetune">

const program = Effect.fnUntraced(function*(options: StageOptions, preset: Stages = plain) {
  const tokenizer = yield* trainTokenizer(preset.tokenizer, options)
  const backbone = yield* pretrain(preset.pretrain, tokenizer, options)
  const validation = typeof preset.finetune.ema === "number" ? "val" : undefined
  const classifier = yield* finetune(preset.finetune, backbone, { ...options, validation })
  const { readLog } = yield* Runs.Runs
  return {
    log: yield* readLog,
    bytes: [tokenizer, backbone, classifier, ...Finetune.beside("finetune", classifier).map(([, one]) => one)].map((
      { tensors }
    ) => Buffer.from(Safetensors.encode(tensors)).toString("hex"))
  }
})

const interruptedAt = Effect.fnUntraced(
  function*(stage: string, step: number, options: StageOptions, preset: Stages = plain) {
    const reached = yield* Deferred.make<void>()
    const progress = recording(
      [],
      (report) => report.stage === stage && report.step === step ? Deferred.succeed(reached, undefined) : Effect.void
    )
    const fiber = yield* Effect.forkChild(program(options, preset).pipe(Effect.provideService(Progress, progress)))
    yield* Deferred.await(reached)
    yield* Fiber.interrupt(fiber)
  }
)

const runtime = ManagedRuntime.make(machine)
afterAll(() => runtime.dispose())

const laws = (preset: Stages, steps: number) =>
  Laws.stage(runtime, {
    train: (options: StageOptions) => Effect.map(program(options, preset), ({ bytes }) => bytes),
    steps
  })

holds("three stages, one after the other,", laws(plain, 3 * STEPS))
holds("three stages of several steps for an update", laws(accumulating, 3 * 9).slice(0, 1))

describe("a run that is interrupted and started again", () => {
  layer(machine)((it) => {
    it.effect("says so where rows of the log were lost", () =>
      Effect.gen(function*() {
        yield* interruptedAt("tokenizer", 4, {})
        const runs = yield* Runs.Runs
        const warnings: Array<string> = []
        const logger = Logger.make(({ message }) => void warnings.push(String(message)))
        yield* trainTokenizer(plain.tokenizer).pipe(
          Effect.provideService(Runs.Runs, {
            ...runs,
            rewind: (stage, step) => Effect.map(runs.rewind(stage, step), (rows) => rows - 1)
          }),
          Effect.provide(Logger.layer([logger]))
        )
        assert.lengthOf(warnings, 1)
        assert.match(warnings[0]!, /^tokenizer: the log has \d rows of the \d steps of the checkpoint\. /)
      }).pipe(Effect.provide(Runs.layerMemory(), { local: true })))

    it.effect("repeats an evaluation that was interrupted, and keeps the best network so far", () =>
      Effect.gen(function*() {
        const preset = micro({ unit: "epochs", duration: 4, warmup: 1 })
        const trained = (message: (text: string) => Effect.Effect<void>) =>
          Effect.gen(function*() {
            const { best } = yield* finetune(preset.finetune, undefined, { validation: "val", checkpointEvery: 2 })
            const rows = yield* (yield* Runs.Runs).readLog
            return { best: best!, rows }
          }).pipe(Effect.provideService(Progress, { ...recording([]), message }))
        const whole = yield* trained(() => Effect.void).pipe(Effect.provide(Runs.layerMemory(), { local: true }))
        const measured = whole.rows.filter(({ stage }) => stage === "finetune-validation")
        assert.deepStrictEqual(measured.map(({ step }) => step), [3, 6, 9, 12])
        const top = measured.map(({ top1 }) => Number(top1))
        const first = top.indexOf(Math.max(...top))
        assert.strictEqual(whole.best.step, measured[first]!.step)
        for (const stop of measured.map(({ step }) => `after step ${step}:`)) {
          yield* Effect.gen(function*() {
            const told: Array<string> = []
            const broken = yield* Effect.exit(
              trained((text) => text.includes(stop) ? Effect.interrupt : Effect.sync(() => void told.push(text)))
            )
            assert.isTrue(Exit.hasInterrupts(broken))
            const resumed = yield* trained(() => Effect.void)
            const places = (rows: typeof whole.rows, name: string) => rows.filter(({ stage }) => stage === name)
            for (const name of ["finetune", "finetune-validation"]) {
              assert.deepStrictEqual(places(resumed.rows, name), places(whole.rows, name))
            }
            assert.strictEqual(resumed.best.step, whole.best.step)
            assert.deepStrictEqual(
              Safetensors.encode(resumed.best.tensors),
              Safetensors.encode(whole.best.tensors)
            )
          }).pipe(Effect.provide(Runs.layerMemory(), { local: true }))
        }
      }))

    it.effect("goes on after its last step", () =>
      Effect.gen(function*() {
        const { tensors } = yield* trainTokenizer(plain.tokenizer).pipe(
          Effect.provide(Runs.layerMemory(), { local: true })
        )
        yield* Effect.gen(function*() {
          const progress = recording([], ({ step }) => step === STEPS ? Effect.interrupt : Effect.void)
          const told: Array<string> = []
          const message = (text: string) => Effect.sync(() => void told.push(text))
          yield* trainTokenizer(plain.tokenizer).pipe(
            Effect.provideService(Progress, { ...progress, message }),
            Effect.exit
          )
          assert.deepStrictEqual(yield* (yield* Checkpoints).steps("tokenizer"), [STEPS])
          const seen: Array<string> = []
          const again = trainTokenizer(plain.tokenizer).pipe(
            Effect.provideService(Progress, { ...recording(seen), message })
          )
          const resumed = yield* again
          assert.deepStrictEqual(seen, [])
          yield* again
          assert.deepStrictEqual(told, [
            "tokenizer: stopped after step 8 of 8; a checkpoint is kept",
            "tokenizer: goes on after step 8 of 8",
            "tokenizer: finished already, so it is not trained again"
          ])
          assert.deepStrictEqual(Safetensors.encode(resumed.tensors), Safetensors.encode(tensors))
        }).pipe(Effect.provide(Runs.layerMemory(), { local: true }))
      }))
  })
})
