import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as Config from "../../src/domain/config/Config.ts"
import { Preset } from "../../src/domain/config/Preset.ts"
import * as Presets from "../../src/domain/config/presets/Presets.ts"
import * as BlockMask from "../../src/domain/method/BlockMask.ts"

const names = Object.keys(Presets.all)

describe("Presets", () => {
  it.effect.each(names)("%s survives JSON and validation", (name) =>
    Effect.gen(function*() {
      const preset = yield* Presets.preset(name)
      const text = JSON.stringify(Schema.encodeSync(Preset)(preset))
      assert.deepStrictEqual(yield* Config.decodeJson(Preset, name)(text), preset)
    }))

  it.effect.each(names)("%s has one grid and one network throughout", (name) =>
    Effect.gen(function*() {
      const { finetune, pretrain, tokenizer } = yield* Presets.preset(name)
      assert.deepStrictEqual(tokenizer.encoder.grid, pretrain.vit.grid)
      assert.deepStrictEqual(tokenizer.decoder.grid, tokenizer.encoder.grid)
      const { depth, heads, width } = pretrain.vit
      assert.deepInclude(finetune.vit, { depth, heads, width, patchSize: pretrain.vit.patchSize })
    }))

  it("has the tables' values where paper and repository agree", () => {
    const { base, large } = Presets
    assert.deepInclude(base.pretrain.vit, { width: 768, depth: 12, heads: 12, layerScale: 0.1, dropPath: 0.1 })
    assert.deepInclude(large.pretrain.vit, { width: 1024, depth: 24, heads: 16, layerScale: 1e-5, dropPath: 0.1 })
    assert.deepInclude(base.pretrain.optimizer, { lr: 1.5e-3, batchSize: 2048, duration: 1600, clipNorm: 3 })
    assert.deepInclude(base.tokenizer.optimizer, { lr: 2e-4, batchSize: 512, duration: 100, weightDecay: 1e-4 })
    assert.strictEqual(large.pretrain.aggregation?.earlyLayer, 21)
  })

  it("keeps paper and repository apart where they disagree", () => {
    const { base, base300, basePaper, large, large300, largePaper } = Presets
    assert.deepStrictEqual([base.tokenizer.optimizer.warmup, basePaper.tokenizer.optimizer.warmup], [10, 5])
    assert.deepStrictEqual([base, base300, basePaper].map((p) => p.finetune.layerDecay), [0.6, 0.65, 0.65])
    assert.deepStrictEqual([base, base300, basePaper].map((p) => p.finetune.vit.dropPath), [0.2, 0.1, 0.1])
    assert.deepStrictEqual([large, large300, largePaper].map((p) => p.finetune.optimizer.lr), [2e-4, 5e-4, 5e-4])
    assert.deepStrictEqual([base, base300, basePaper].map((p) => p.pretrain.optimizer.betas[1]), [0.999, 0.98, 0.999])
    assert.deepStrictEqual([base, base300].map((p) => p.pretrain.vit.dropPath), [0.1, 0])
  })

  it("makes the demo's masks of rectangles, not of single patches", () => {
    let blocks = 0
    let covered = 0
    const masks = 2000
    for (let index = 0; index < masks; index++) {
      const draws = BlockMask.draws({ seed: 0, purpose: "mask", epoch: 0, index })
      BlockMask.make(Presets.tiny.pretrain.masking, draws, (block) => {
        blocks++
        covered += block.added
      })
    }
    assert.isAbove(covered / masks, 13.5)
    assert.isAbove(covered / blocks, 3.5)
  })

  it.effect("names the nearest preset", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Presets.preset("larg"))
      assert.match(error.message, /got "larg"; did you mean large\?/)
      assert.match((yield* Effect.flip(Presets.preset("toString"))).message, /expected one of tiny, base/)
    }))
})
