import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import * as WeightDecay from "../../src/domain/method/WeightDecay.ts"

const stages = fc.constantFrom("tokenizer", "pretrain", "finetune" as const)
const path = fc.array(fc.constantFrom("encoder", "blocks", "0", "attn", "mlp", "fc1", "norm"), { maxLength: 4 })
const leaf = fc.constantFrom("weight", "qkv", "mask_token", "relative_position_bias_table", "lm_head", "proj")
const named = (parts: ReadonlyArray<string>, last: string) => [...parts, last].join(".")
const rank = fc.integer({ min: 0, max: 4 })

describe("weight decay", () => {
  it("never acts on a bias, whatever its shape", () => {
    fc.assert(fc.property(stages, path, rank, (stage, parts, axes) => {
      assert.isFalse(WeightDecay.decays(stage)(named([...parts, "fc"], "bias"), axes))
    }))
  })

  it("acts on what is no bias exactly where it has more than one axis", () => {
    fc.assert(fc.property(stages, path, leaf, rank, (stage, parts, last, axes) => {
      assert.strictEqual(WeightDecay.decays(stage)(named(parts, last), axes), axes > 1)
    }))
  })

  it("spares class tokens and positions of the network that it trains", () => {
    fc.assert(fc.property(stages, fc.constantFrom("cls_token", "pos_embed"), rank, (stage, name, axes) => {
      const own = stage === "tokenizer" ? [`encoder.${name}`, `decoder.${name}`] : [name]
      for (const one of own) assert.isFalse(WeightDecay.decays(stage)(one, axes))
    }))
  })
})
