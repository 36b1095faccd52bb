import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import fc from "fast-check"
import { configurations, machine, outcomeOf, stages } from "./extremes.ts"

const drawn = fc.sample(configurations, { seed: 2, numRuns: 1 })

describe("extreme configurations", () => {
  layer(machine)((it) => {
    it.effect.each(stages)(
      "of %s end with finite weights, are refused, or fail again with the same batch",
      (stage) =>
        Effect.gen(function*() {
          for (const given of drawn) {
            const { kind, said } = yield* outcomeOf(stage, given)
            assert.include(["finite", "NonFinite", "refused"], kind, `${JSON.stringify(given)}: ${said}`)
          }
        })
    )

    it.effect("of a learning rate beyond all measure fail again with the same batch", () =>
      Effect.gen(function*() {
        const given = { ...drawn[0]!, look: "drawn", labels: "several", lr: 1e30, clipNorm: null, warmup: 0 } as const
        const { kind } = yield* outcomeOf("finetune", { ...given, batchSize: 2, accumulate: 1, layerScale: 0 })
        assert.strictEqual(kind, "NonFinite")
      }))
  })
})
