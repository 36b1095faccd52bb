import { assert, describe, it } from "@effect/vitest"
import * as Card from "../../../src/layers/pjrt/Card.ts"

describe("a card", () => {
  it("is described by its own numbers", () => {
    const text = Card.describe(Card.cards.h200)
    assert.include(text, "name: \"NVIDIA H200 141GB HBM3e\"")
    assert.include(text, "cuda_compute_capability { major: 9 minor: 0 feature_extension: ACCELERATED_FEATURES }")
    assert.include(text, "memory_bandwidth: 4800000000000\n")
    assert.include(
      text,
      "rate_infos { key: 16 value { clock_rate_ghz: 1.8295201 units_per_core: 4 ops_per_clock: 512 } }"
    )
    assert.strictEqual(text.match(/[{]/g)!.length, text.match(/[}]/g)!.length)
  })

  it("has no rates of products where OpenXLA tells none", () => {
    const text = Card.describe(Card.cards.a100)
    assert.include(text, "cuda_compute_capability { major: 8 minor: 0 }")
    assert.notInclude(text, "rate_infos")
  })
})
