/**
 * Metrics of a running training: metrics of Effect, which `effect/observability` exports, one series for each stage.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Effect, Metric } from "effect"
 * import { TrainingMetrics } from "patchword/pipelines"
 *
 * const program = Effect.gen(function*() {
 *   const { steps } = TrainingMetrics.of("pretrain")
 *   assert.strictEqual((yield* Metric.value(steps)).count, 0)
 * })
 * await Effect.runPromise(program)
 * ```
 */
import { Effect, Metric } from "effect"
import type { Memory } from "../../layers/engine/Engine.ts"

/** Returns the metrics of a stage. Metrics of the same name are the same series for all callers. */
export const of = (stage: string) => {
  const options = (unit: string, description: string) => ({
    description,
    attributes: { unit, "patchword.stage": stage }
  })
  const counter = (name: string, unit: string, description: string) =>
    Metric.counter(`patchword.training.${name}`, { ...options(unit, description), incremental: true })
  const gauge = (name: string, unit: string, description: string) =>
    Metric.gauge(`patchword.training.${name}`, options(unit, description))
  return {
    steps: counter("steps", "{step}", "Steps taken"),
    images: counter("images", "{image}", "Images that steps were taken on"),
    imagesPerSecond: gauge("images_per_second", "{image}/s", "Images per second since the training began"),
    loss: gauge("loss", "1", "The loss of the last step"),
    secondsWaitedForData: counter("data_wait", "s", "Time that steps waited for their batches"),
    bytesOfBatches: gauge("batches", "By", "Memory of the batches that are ready or in use"),
    engineTensors: gauge("engine.tensors", "{tensor}", "Arrays that the engine holds, at the last checkpoint"),
    engineBytes: gauge("engine.memory", "By", "Memory that the engine's arrays take, at the last checkpoint")
  }
}

/** A step that was taken. */
export interface Taken {
  readonly images: number
  readonly imagesPerSecond: number
  /** The loss; undefined if the stage measures none. */
  readonly loss: number | undefined
  readonly secondsWaitedForData: number
  readonly bytesOfBatches: number
}

/** Makes the recorder of a stage's metrics. */
export const recorder = (stage: string) => {
  const metrics = of(stage)
  return {
    /** Records a step. */
    step: (taken: Taken) =>
      Effect.all([
        Metric.update(metrics.steps, 1),
        Metric.update(metrics.images, taken.images),
        Metric.update(metrics.imagesPerSecond, taken.imagesPerSecond),
        taken.loss === undefined ? Effect.void : Metric.update(metrics.loss, taken.loss),
        Metric.update(metrics.secondsWaitedForData, taken.secondsWaitedForData),
        Metric.update(metrics.bytesOfBatches, taken.bytesOfBatches)
      ], { discard: true }),
    /** Records the memory in use. */
    memory: (memory: Memory) =>
      Effect.andThen(
        Metric.update(metrics.engineTensors, memory.tensors),
        Metric.update(metrics.engineBytes, memory.bytes)
      )
  }
}
