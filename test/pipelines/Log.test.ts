import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { TokenizerConfig } from "../../src/domain/config/TokenizerConfig.ts"
import { Progress } from "../../src/layers/run/Progress.ts"
import * as Runs from "../../src/layers/run/Runs.ts"
import { trainTokenizer } from "../../src/pipelines/TrainTokenizer.ts"
import { machine, micro } from "./kit.ts"

const logOf = (preset: ReturnType<typeof micro>) =>
  trainTokenizer(preset.tokenizer).pipe(
    Effect.andThen(Runs.Runs.use(({ readLog }) => readLog)),
    Effect.provide(Runs.layerMemory(), { local: true })
  )

describe("the log of a stage", () => {
  layer(machine)((it) => {
    it.effect("has the learning rate and the weight decay of each step", () =>
      Effect.gen(function*() {
        const preset = micro({ duration: 4, warmup: 2 })
        const rate = preset.tokenizer.optimizer.learningRate(3)
        const rows = yield* logOf(preset)
        assert.deepStrictEqual(rows.map(({ lr }) => lr), [0, 1, 2, 3].map(rate))
        assert.deepStrictEqual(rows.map(({ weightDecay }) => weightDecay), [1e-4, 1e-4, 1e-4, 1e-4])
        assert.isTrue(rows.every((row) => Number(row["gradientNorm"]) > 0))
      }))

    it.effect("has the norm of the whole gradient, where that makes an update", () =>
      Effect.gen(function*() {
        const rows = yield* logOf(micro({ duration: 2, warmup: 1, batchSize: 4, accumulate: 3 }))
        assert.deepStrictEqual(
          rows.map(({ step, ...row }) => [step, "gradientNorm" in row]),
          [[1, false], [2, false], [3, true], [4, false], [5, false], [6, true]]
        )
      }))

    it.effect("says that codes begin alike", () =>
      Effect.gen(function*() {
        const said: Array<string> = []
        const progress = {
          report: () => Effect.void,
          message: (text: string) => Effect.sync(() => void said.push(text))
        }
        const { tokenizer } = micro({ duration: 1, warmup: 0 })
        const train = (size: number) =>
          trainTokenizer(new TokenizerConfig({ ...tokenizer, codebook: { ...tokenizer.codebook, size } })).pipe(
            Effect.provideService(Progress, progress),
            Effect.provide(Runs.layerMemory(), { local: true })
          )
        yield* train(128)
        assert.deepStrictEqual(said, [])
        yield* train(129)
        assert.match(
          said.join(),
          /^tokenizer: 129 codes begin with the 128 vectors of the first batch, so that some begin alike/
        )
      }))
  })
})
