import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import fc from "fast-check"
import * as ImageProcessor from "../../src/domain/huggingface/ImageProcessor.ts"

describe("ImageProcessor", () => {
  it("gives back the sides and the filter that it was given", () => {
    const sizes = fc.tuple(fc.integer({ min: 1, max: 1024 }), fc.integer({ min: 0, max: 1024 }))
    const sides = fc.constantFrom("shorter" as const, "both" as const)
    const interpolation = fc.constantFrom("bilinear" as const, "bicubic" as const, "lanczos" as const)
    fc.assert(fc.property(sizes, sides, interpolation, ([crop, more], evaluationSides, interpolation) => {
      const side = crop + more
      const mean = [0.1, 0.2, 0.3] as const
      const std = [0.4, 0.5, 0.6] as const
      const size = evaluationSides === "both" ? { height: side, width: side } : { shortest_edge: side }
      const given = { evaluationCrop: crop / (side + 0.5), evaluationSides, interpolation, mean, std }
      const written = {
        ...ImageProcessor.write({ ...given, evaluationCrop: Math.min(1, given.evaluationCrop) }, crop),
        size
      }
      const read = Effect.runSync(ImageProcessor.read(written, "preprocessor_config.json", crop))
      assert.deepInclude(read, { evaluationSides, interpolation, mean, std })
      assert.strictEqual(Math.trunc(crop / read.evaluationCrop), side)
      assert.isAtMost(read.evaluationCrop, 1)
      assert.deepStrictEqual(ImageProcessor.write(read, crop), written)
    }))
  })
})
