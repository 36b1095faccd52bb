import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { interruptedAt } from "../../src/laws/Interruption.ts"
import { Engine } from "../../src/layers/engine/Engine.ts"
import { Checkpoints, type Snapshot } from "../../src/layers/run/Checkpoints.ts"
import * as Runs from "../../src/layers/run/Runs.ts"
import { classify } from "../../src/pipelines/evaluate/Classify.ts"
import { evaluateTokenizer } from "../../src/pipelines/evaluate/Evaluate.ts"
import { features } from "../../src/pipelines/evaluate/Features.ts"
import { finetune } from "../../src/pipelines/Finetune.ts"
import { pretrain } from "../../src/pipelines/Pretrain.ts"
import type { Tokenizer } from "../../src/pipelines/trained/Tokenizer.ts"
import type { StageOptions } from "../../src/pipelines/training/Stage.ts"
import { trainTokenizer } from "../../src/pipelines/TrainTokenizer.ts"
import { digestOf } from "../layers/weights/digestOf.ts"
import { machine, micro, set } from "./kit.ts"

const EVERY = 2

const STEPS = 26

const preset = micro({ duration: STEPS })

const held = set("val", 6)

const digested = ({ optimizer, weights, ...rest }: Snapshot) => ({
  ...rest,
  optimizer: digestOf(optimizer),
  weights: digestOf(weights)
})

const fresh = Effect.provide(Runs.layerMemory(), { local: true })

const stages = {
  tokenizer: Effect.fnUntraced(function*(_tokenizer: Tokenizer, options: StageOptions) {
    const network = yield* trainTokenizer(preset.tokenizer, options)
    return { tensors: digestOf(network.tensors), found: (yield* evaluateTokenizer(network, held)).images }
  }),
  pretrain: Effect.fnUntraced(function*(tokenizer: Tokenizer, options: StageOptions) {
    const network = yield* pretrain(preset.pretrain, tokenizer, options)
    return { tensors: digestOf(network.tensors), found: yield* features(network, [held], preset.probe) }
  }),
  finetune: Effect.fnUntraced(function*(_tokenizer: Tokenizer, options: StageOptions) {
    const network = yield* finetune(preset.finetune, undefined, options)
    return { tensors: digestOf(network.tensors), found: yield* classify(network, [held]) }
  })
}

const everywhere = (calls: ReadonlyArray<string>, call: number) =>
  calls.flatMap((name) => ["before", "in"].map((when) => ({ point: `${when} ${name}`, call })))

const traps = [
  ...everywhere(["latest", "rewind"], 1),
  ...everywhere(["run", "log", "report"], 2),
  ...everywhere(["snapshot", "save"], 1),
  ...everywhere(["saveWeights", "done", "infer"], 1)
]

describe("a stage that is interrupted", () => {
  layer(machine)((it) => {
    it.effect.each(["tokenizer", "pretrain", "finetune"] as const)(
      "anywhere in %s ends with the bytes of one that never was",
      (stage) =>
        Effect.gen(function*() {
          const engine = yield* Engine
          const before = yield* engine.memory
          const tokenizer = yield* fresh(trainTokenizer(micro({ duration: 4 }).tokenizer))
          const whole = Effect.fnUntraced(function*(options: StageOptions) {
            return { ...(yield* stages[stage](tokenizer, options)), log: yield* (yield* Runs.Runs).readLog }
          })
          const kept = new Map<number, Snapshot>()
          const unbroken = yield* fresh(Effect.gen(function*() {
            const checkpoints = yield* Checkpoints
            return yield* whole({ checkpointEvery: 1 }).pipe(
              Effect.provideService(Checkpoints, {
                ...checkpoints,
                save: (snapshot) => Effect.sync(() => void kept.set(snapshot.step, snapshot))
              })
            )
          }))

          yield* fresh(Effect.gen(function*() {
            const { load, steps } = yield* Checkpoints
            const runs = yield* Runs.Runs
            let timed = 0
            const broken = whole({ checkpointEvery: EVERY })
            const timing = <A, E, R>(self: Effect.Effect<A, E, R>) =>
              Effect.suspend(() => {
                let steps = 0
                return Effect.provideService(self, Runs.Runs, {
                  ...runs,
                  timing: (row) => Effect.sync(() => void (steps = Number(row["steps"])))
                }).pipe(Effect.ensuring(Effect.sync(() => timed += steps)))
              })
            for (const trap of traps) {
              assert.isTrue(yield* timing(interruptedAt(trap, broken)), trap.point)
              const expected = kept.get((yield* steps(stage)).at(-1) ?? 0)
              if (expected !== undefined) {
                assert.deepStrictEqual(digested(yield* load(expected)), digested(expected), trap.point)
              }
              assert.deepStrictEqual(yield* engine.memory, before)
            }
            assert.deepStrictEqual(yield* timing(broken), unbroken)
            assert.strictEqual(timed, STEPS)
          }))
        })
    )
  })
})
