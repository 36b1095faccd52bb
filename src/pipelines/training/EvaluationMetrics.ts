/**
 * Metrics of commands that evaluate whole sets of images without training, one series for each split.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Effect, Metric } from "effect"
 * import { EvaluationMetrics } from "patchword/pipelines"
 *
 * const { images } = EvaluationMetrics.of("val")
 * assert.strictEqual((await Effect.runPromise(Metric.value(images))).count, 0)
 * ```
 */
import { Metric } from "effect"

/** Returns the metrics of a split. Metrics of the same name are the same series for all callers. */
export const of = (split: string) => {
  const options = (unit: string, description: string) => ({
    description,
    attributes: { unit, "patchword.split": split }
  })
  return {
    images: Metric.counter("patchword.evaluation.images", {
      ...options("{image}", "Images that were evaluated"),
      incremental: true
    }),
    imagesPerSecond: Metric.gauge(
      "patchword.evaluation.images_per_second",
      options("{image}/s", "Images per second since the start of the set")
    )
  }
}
