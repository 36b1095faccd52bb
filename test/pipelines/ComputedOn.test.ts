import { assert, describe, layer } from "@effect/vitest"
import { Effect, Logger, Option } from "effect"
import * as Safetensors from "../../src/domain/weights/Safetensors.ts"
import { interruptedAt } from "../../src/laws/Interruption.ts"
import { Engine } from "../../src/layers/engine/Engine.ts"
import { Checkpoints } from "../../src/layers/run/Checkpoints.ts"
import * as Runs from "../../src/layers/run/Runs.ts"
import { finetune } from "../../src/pipelines/Finetune.ts"
import type { StageOptions } from "../../src/pipelines/training/Stage.ts"
import { trainTokenizer } from "../../src/pipelines/TrainTokenizer.ts"
import { machine, micro } from "./kit.ts"

const preset = micro({ duration: 6 })

const fresh = Effect.provide(Runs.layerMemory(), { local: true })

const on = Effect.fnUntraced(function*<A, E, R>(threads: number, self: Effect.Effect<A, E, R>) {
  const warnings: Array<string> = []
  const logger = Logger.make(({ message }) => void warnings.push(String(message)))
  const engine = yield* Engine
  yield* self.pipe(
    Effect.provideService(Engine, { ...engine, about: { ...engine.about, threads } }),
    Effect.provide(Logger.layer([logger]))
  )
  return warnings
})

const train = (options: StageOptions = {}) => finetune(preset.finetune, undefined, options)

const history = Effect.gen(function*() {
  const { provenance } = Option.getOrThrow(yield* (yield* Runs.Runs).weights("finetune"))
  return Option.getOrThrow(provenance).computedOn
})

describe("a run keeps what it was computed on", () => {
  layer(machine)((it) => {
    it.effect("in what it saves, step by step, and says when it goes on elsewhere", () =>
      fresh(Effect.gen(function*() {
        const { engine, precision, version } = (yield* Engine).about
        const part = (threads: number, from: number) => ({ engine, version, threads, precision, from })
        assert.deepStrictEqual(yield* on(1, interruptedAt({ point: "in run", call: 2 }, train())), [])
        assert.deepStrictEqual(yield* on(1, interruptedAt({ point: "in run", call: 1 }, train())), [])
        const warnings = yield* on(2, interruptedAt({ point: "in run", call: 1 }, train()))
        assert.lengthOf(warnings, 1)
        assert.include(warnings[0], "threads: 1 then, 2 now")
        assert.lengthOf(yield* on(1, train()), 1)
        assert.deepStrictEqual(yield* history, [part(1, 1), part(2, 4), part(1, 5)])
        assert.lengthOf(yield* on(4, trainTokenizer(preset.tokenizer)), 1)
        const runs = yield* (yield* Runs.Runs).computedOn
        assert.deepStrictEqual(runs.map(({ threads }) => threads), [1, 2, 1, 4])
      })))

    it.effect("and not the engine that finds all steps taken", () =>
      fresh(Effect.gen(function*() {
        yield* on(1, interruptedAt({ point: "before saveWeights", call: 1 }, train()))
        assert.deepStrictEqual(yield* on(2, train()), [])
        assert.deepStrictEqual((yield* history)!.map(({ threads }) => threads), [1])
      })))

    it.effect("and says so where an earlier version did not keep it", () =>
      Effect.gen(function*() {
        const unbroken = yield* fresh(train())
        yield* fresh(Effect.gen(function*() {
          yield* interruptedAt({ point: "in run", call: 2 }, train())
          const checkpoints = yield* Checkpoints
          const latest: typeof checkpoints.latest = (request) =>
            Effect.map(checkpoints.latest(request), Option.map((snapshot) => ({ ...snapshot, computedOn: [] })))
          const resumed = train().pipe(Effect.provideService(Checkpoints, { ...checkpoints, latest }))
          const warnings = yield* on(1, resumed)
          assert.lengthOf(warnings, 1)
          assert.include(warnings[0], "does not name the engine of the first 2 steps")
          assert.deepStrictEqual((yield* history)!.map(({ from }) => from), [3])
          const { tensors } = Option.getOrThrow(yield* (yield* Runs.Runs).weights("finetune"))
          assert.deepStrictEqual(Safetensors.encode(tensors), Safetensors.encode(unbroken.tensors))
        }))
      }))
  })
})
