import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Config from "../../src/domain/config/Config.ts"
import { OptimizerConfig } from "../../src/domain/config/OptimizerConfig.ts"
import * as Preset from "../../src/domain/config/Preset.ts"
import * as Presets from "../../src/domain/config/presets/Presets.ts"
import type * as Json from "../../src/domain/values/Json.ts"

const merged = (optimizer: Json.Changes, preset = Presets.tiny) =>
  Config.merge(Preset.Preset, "it")(preset, { tokenizer: { optimizer } })

const accepted: ReadonlyArray<readonly [Json.Changes, readonly [string, number, number]]> = [
  [{ epochs: 1 }, ["epochs", 1, 0]],
  [{ epochs: 25 }, ["epochs", 25, 2]],
  [{ epochs: 25, warmupEpochs: 3 }, ["epochs", 25, 3]],
  [{ epochs: 25, warmup: 3 }, ["epochs", 25, 3]],
  [{ epochs: 25, unit: "epochs" }, ["epochs", 25, 2]],
  [{ steps: 100 }, ["steps", 100, 24]],
  [{ steps: 100, warmupSteps: 10 }, ["steps", 100, 10]],
  [{ steps: 20 }, ["steps", 20, 1]],
  [{ warmupSteps: 10 }, ["steps", 300, 10]],
  [{ duration: 9, unit: "epochs", warmupEpochs: 2 }, ["epochs", 9, 2]],
  [{ epochs: undefined, duration: 50 }, ["steps", 50, 24]]
]

const refused: ReadonlyArray<readonly [Json.Changes, string, string]> = [
  [{ epochs: 1, steps: 1 }, "steps", "expected epochs or steps, got both"],
  [{ epochs: 1, duration: 1 }, "duration", "expected epochs or duration, got both"],
  [{ warmupEpochs: 1, warmupSteps: 1, epochs: 9 }, "warmupSteps", "expected warmupEpochs or warmupSteps, got both"],
  [{ warmupSteps: 1, warmup: 1 }, "warmup", "expected warmupSteps or warmup, got both"],
  [{ epochs: 1, unit: "steps" }, "unit", "expected epochs, the unit of the length, got \"steps\""],
  [{ epochs: -1 }, "epochs", "expected a whole number of at least 1, got -1"],
  [{ epochs: -1.5 }, "epochs", "expected a whole number of at least 1, got -1.5"],
  [{ epochs: 0, warmupEpochs: 0 }, "epochs", "expected a whole number of at least 1, got 0"],
  [{ epochs: "long", warmupEpochs: 0 }, "epochs", "expected a number, got \"long\""],
  [{ steps: 20, warmupSteps: 20 }, "warmupSteps", "expected fewer steps than the duration of 20, got 20"]
]

describe("the length of a training", () => {
  it.effect("has a warmup in another unit than its own, and goes back to one unit", () =>
    Effect.gen(function*() {
      const lengthOf = ({ tokenizer: { optimizer } }: Preset.Preset) => {
        const { duration, unit, warmup, warmupUnit = unit } = optimizer
        return [unit, duration, warmup, warmupUnit]
      }
      const apart = yield* merged({ epochs: 9, warmupSteps: 100 })
      assert.deepStrictEqual(lengthOf(apart), ["epochs", 9, 100, "steps"])
      assert.deepStrictEqual(apart.tokenizer.optimizer.steps(50), { total: 450, warmup: 100 })
      assert.deepStrictEqual(lengthOf(yield* merged({ epochs: 3 }, apart)), ["epochs", 3, 100, "steps"])
      assert.deepStrictEqual(lengthOf(yield* merged({ steps: 500 }, apart)), ["steps", 500, 100, "steps"])
      assert.deepStrictEqual(
        (yield* Effect.flip(merged({ steps: 50 }, apart))).problems.map(({ message }) => message),
        ["expected fewer steps than the duration of 50, got 100"]
      )
      const early = yield* merged({ steps: 900, warmupEpochs: 2 })
      assert.deepStrictEqual(lengthOf(yield* merged({ epochs: 30 }, early)), ["epochs", 30, 2, "epochs"])
      assert.deepStrictEqual(lengthOf(yield* merged({ warmupEpochs: 1 }, apart)), ["epochs", 9, 1, "epochs"])
      assert.deepStrictEqual(lengthOf(yield* merged({ warmupEpochs: 1 })), ["steps", 300, 1, "epochs"])
      const summed = yield* merged({ epochs: 9, warmupSteps: 100, accumulate: 2 })
      assert.deepStrictEqual(summed.tokenizer.optimizer.steps(50), { total: 450, warmup: 200 })
    }))

  it.effect.each(accepted)("%j", ([said, [unit, duration, warmup]]) =>
    Effect.gen(function*() {
      const { tokenizer: { optimizer } } = yield* merged(said)
      assert.instanceOf(optimizer, OptimizerConfig)
      assert.deepStrictEqual(
        { ...optimizer },
        { ...Presets.tiny.tokenizer.optimizer, unit: unit === "epochs" ? unit : "steps", duration, warmup }
      )
    }))

  it.effect.each(refused)("%j is refused", ([said, key, message]) =>
    Effect.gen(function*() {
      const { problems: [first, ...others] } = yield* Effect.flip(merged(said))
      assert.isEmpty(others)
      assert.deepStrictEqual({ ...first }, { path: `tokenizer.optimizer.${key}`, message })
    }))

  it.effect("is said in any change, one after the other", () =>
    Effect.gen(function*() {
      const contradicted = yield* Effect.flip(
        Config.merge(Preset.Preset, "it")(
          Presets.tiny,
          { pretrain: { optimizer: { epochs: 3 } } },
          { pretrain: { optimizer: { steps: 3 } } }
        )
      )
      assert.include(contradicted.message, "pretrain.optimizer.steps: expected epochs or steps, got both")
      const long = yield* Preset.with(Presets.tiny, { finetune: { optimizer: { epochs: 10 } } })
      const short = yield* Preset.with(long, { finetune: { optimizer: { steps: 5, warmupSteps: 0 } } })
      assert.deepInclude(short.finetune.optimizer, { unit: "steps", duration: 5, warmup: 0 })
      const whole = yield* Preset.with(Presets.tiny, { finetune: { optimizer: Presets.base.finetune.optimizer } })
      assert.deepStrictEqual(whole.finetune.optimizer, Presets.base.finetune.optimizer)
    }))
})
