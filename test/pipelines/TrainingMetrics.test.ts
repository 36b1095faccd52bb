import { assert, describe, layer } from "@effect/vitest"
import { Effect, Metric } from "effect"
import * as Runs from "../../src/layers/run/Runs.ts"
import * as TrainingMetrics from "../../src/pipelines/training/TrainingMetrics.ts"
import { trainTokenizer } from "../../src/pipelines/TrainTokenizer.ts"
import { machine, micro } from "./kit.ts"

const fresh = Effect.provideService(Metric.MetricRegistry, new Map())

describe("the metrics of a training", () => {
  layer(machine, { excludeTestServices: true })((it) => {
    it.effect("tell of its steps, by stage", () =>
      Effect.gen(function*() {
        yield* trainTokenizer(micro({ duration: 4, warmup: 1 }).tokenizer, { stage: "first", checkpointEvery: 2 })
        const metrics = TrainingMetrics.of("first")
        assert.strictEqual((yield* Metric.value(metrics.steps)).count, 4)
        assert.strictEqual((yield* Metric.value(metrics.images)).count, 32)
        const last = (yield* (yield* Runs.Runs).readLog).at(-1)!
        assert.strictEqual((yield* Metric.value(metrics.loss)).value, last["loss"])
        assert.isAbove((yield* Metric.value(metrics.imagesPerSecond)).value, 0)
        assert.isAbove((yield* Metric.value(metrics.secondsWaitedForData)).count, 0)
        assert.isAtLeast((yield* Metric.value(metrics.bytesOfBatches)).value, 8 * 3 * 32 * 32 * 4)
        assert.isAbove((yield* Metric.value(metrics.engineTensors)).value, 0)
        assert.isAbove((yield* Metric.value(metrics.engineBytes)).value, 0)
        assert.strictEqual((yield* Metric.value(TrainingMetrics.of("second").steps)).count, 0)
        const names = (yield* Metric.snapshot).map(({ id }) => id)
        assert.isTrue(names.every((name) => name.startsWith("patchword.training.")), names.join(", "))
      }).pipe(fresh, Effect.provide(Runs.layerMemory(), { local: true })))
  })
})
