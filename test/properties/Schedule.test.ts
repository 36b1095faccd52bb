import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import * as LayerDecay from "../../src/domain/method/LayerDecay.ts"
import * as Schedule from "../../src/domain/method/Schedule.ts"
import * as WeightDecay from "../../src/domain/method/WeightDecay.ts"
import * as Laws from "../../src/laws/index.ts"
import { holds } from "../laws/kit.ts"

holds("Schedule.cosine", Laws.schedule(Schedule.cosine))

describe("Schedule", () => {
  it("spaces drop-path rates evenly from 0 to the rate", () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 0.9, noNaN: true }), fc.integer({ min: 2, max: 48 }), (rate, depth) => {
        const all = Schedule.dropPathRates(rate, depth)
        assert.strictEqual(all.length, depth)
        assert.strictEqual(all[0], 0)
        assert.closeTo(all[depth - 1]!, rate, 1e-12)
        all.slice(1).forEach((r, i) => assert.closeTo(r - all[i]!, rate / (depth - 1), 1e-12))
      })
    )
  })

  it("gives aggregation blocks the rates of the depths they continue", () => {
    const sizes = fc.tuple(fc.integer({ min: 1, max: 24 }), fc.nat(), fc.integer({ min: 1, max: 3 }))
    fc.assert(fc.property(sizes, ([depth, draw, headDepth]) => {
      const earlyLayer = 1 + (draw % depth)
      const all = Schedule.aggregationDropPathRates(0.3, depth, earlyLayer, headDepth)
      assert.strictEqual(all.length, headDepth)
      if (earlyLayer + headDepth <= depth) {
        assert.deepStrictEqual(all, Schedule.dropPathRates(0.3, depth).slice(earlyLayer, earlyLayer + headDepth))
      } else assert.closeTo(all[headDepth - 1]!, 0.3, 1e-12)
    }))
  })
})

describe("LayerDecay", () => {
  it("is geometric, from the embedding up to 1 at the head", () => {
    const decays = fc.double({ min: 0.3, max: 1, noNaN: true })
    fc.assert(fc.property(decays, fc.integer({ min: 1, max: 40 }), (decay, depth) => {
      const all = LayerDecay.scales({ decay, depth })
      assert.strictEqual(all.length, depth + 2)
      assert.strictEqual(all.at(-1), 1)
      all.slice(1).forEach((scale, i) => assert.closeTo(all[i]! / scale, decay, 1e-9))
      assert.strictEqual(LayerDecay.scale("pos_embed", { decay, depth }), all[0])
      assert.strictEqual(LayerDecay.scale("head.weight", { decay, depth }), 1)
      for (let block = 0; block < depth; block++) {
        assert.strictEqual(LayerDecay.scale(`blocks.${block}.mlp.fc1.bias`, { decay, depth }), all[block + 1])
      }
    }))
  })
})

describe("WeightDecay", () => {
  it("spares every vector and every bias in every stage", () => {
    const stages = fc.constantFrom<WeightDecay.Stage>("tokenizer", "pretrain", "finetune")
    fc.assert(fc.property(stages, fc.string(), fc.nat(4), (stage, name, rank) => {
      assert.isFalse(WeightDecay.decays(stage)(name, Math.min(rank, 1)))
      assert.isFalse(WeightDecay.decays(stage)(`${name}.bias`, rank))
      assert.strictEqual(WeightDecay.decays(stage)(`${name}.weight`, rank), rank > 1)
    }))
  })
})
