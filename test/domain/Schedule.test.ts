import { assert, describe, it } from "@effect/vitest"
import * as LayerDecay from "../../src/domain/method/LayerDecay.ts"
import * as Schedule from "../../src/domain/method/Schedule.ts"

const closeTo = (actual: ReadonlyArray<number>, expected: ReadonlyArray<number>) => {
  assert.strictEqual(actual.length, expected.length)
  actual.forEach((value, i) => assert.closeTo(value, expected[i]!, 5e-7))
}

const layers = (name: string) => LayerDecay.layer(name, 12)

describe("Schedule", () => {
  it("is at the peak twice and never at the floor within the run", () => {
    const rate = Schedule.cosine({ peak: 1, floor: 0.1, warmup: 4, total: 10 })
    closeTo(Array.from({ length: 10 }, (_, step) => rate(step)), [
      0,
      0.333333,
      0.666667,
      1,
      1,
      0.939711,
      0.775,
      0.55,
      0.325,
      0.160289
    ])
    assert.strictEqual(rate(10), 0.1)
  })

  it("starts a warm-up of one step at 0, and no warm-up at the peak", () => {
    assert.strictEqual(Schedule.cosine({ peak: 1, floor: 0, warmup: 1, total: 3 })(0), 0)
    assert.strictEqual(Schedule.cosine({ peak: 1, floor: 0, warmup: 1, total: 3 })(1), 1)
    assert.strictEqual(Schedule.cosine({ peak: 1, floor: 0, warmup: 0, total: 3 })(0), 1)
  })

  it("never drops the first block", () => {
    closeTo(Schedule.dropPathRates(0.1, 12).slice(0, 2), [0, 0.1 / 11])
    closeTo(Schedule.dropPathRates(0.1, 1), [0])
  })

  it("continues the rates in the aggregation blocks", () => {
    closeTo(Schedule.aggregationDropPathRates(0.1, 12, 9, 2), [0.1 * (9 / 11), 0.1 * (10 / 11)])
    closeTo(Schedule.aggregationDropPathRates(0.1, 24, 21, 2), [0.1 * (21 / 23), 0.1 * (22 / 23)])
    closeTo(Schedule.aggregationDropPathRates(0.1, 4, 4, 2), [0.08, 0.1])
  })
})

describe("LayerDecay", () => {
  it("tells layers by official names", () => {
    assert.deepStrictEqual(["cls_token", "mask_token", "pos_embed", "patch_embed.proj.bias"].map(layers), [0, 0, 0, 0])
    assert.deepStrictEqual(["blocks.0.gamma_1", "blocks.11.attn.relative_position_bias_table"].map(layers), [1, 12])
    assert.deepStrictEqual(["fc_norm.weight", "head.bias", "rel_pos_bias.relative_position_bias_table"].map(layers), [
      13,
      13,
      13
    ])
  })
})
