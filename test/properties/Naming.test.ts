import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import fc from "fast-check"
import * as Naming from "../../src/domain/weights/Naming.ts"

const float = (shape: ReadonlyArray<number>) => {
  const length = shape.reduce((product, dim) => product * dim, 1)
  return fc.float32Array({ minLength: length, maxLength: length, noNaN: true })
    .map((data) => ({ shape, dtype: "float32" as const, data }))
}

const block = (prefix: string, names: Readonly<Record<string, ReadonlyArray<number>>>) => (i: number) =>
  Object.fromEntries(Object.entries(names).map(([name, shape]) => [`${prefix}.${i}.${name}`, shape]))

const beitBlock = block("blocks", {
  "norm1.weight": [2],
  "norm1.bias": [2],
  "attn.qkv.weight": [6, 2],
  "attn.q_bias": [2],
  "attn.v_bias": [2],
  "attn.proj.weight": [2, 2],
  "attn.proj.bias": [2],
  "attn.relative_position_bias_table": [12, 1],
  "norm2.weight": [2],
  "mlp.fc1.weight": [4, 2],
  "mlp.fc2.bias": [2],
  gamma_1: [2],
  gamma_2: [2]
})

const dinoBlock = block("blocks", {
  "norm1.weight": [2],
  "attn.qkv.weight": [6, 2],
  "attn.qkv.bias": [6],
  "attn.proj.weight": [2, 2],
  "mlp.fc1.weight": [4, 2],
  "mlp.fc2.weight": [2, 4]
})

const clipBlock = block("visual.transformer.resblocks", {
  "ln_1.weight": [2],
  "attn.in_proj_weight": [6, 2],
  "attn.in_proj_bias": [6],
  "attn.out_proj.weight": [2, 2],
  "ln_2.bias": [2],
  "mlp.c_fc.weight": [4, 2],
  "mlp.c_proj.bias": [2]
})

const common = { cls_token: [1, 1, 2], pos_embed: [1, 5, 2], "patch_embed.proj.bias": [2] }
const beit = { ...common, "rel_pos_bias.relative_position_bias_table": [12, 1] }

const networks = [
  ["classifier", ["timm", "huggingface"], beitBlock, {
    ...beit,
    "fc_norm.weight": [2],
    "norm.bias": [2],
    "head.weight": [3, 2]
  }],
  ["pretrained", ["huggingface"], beitBlock, {
    ...beit,
    mask_token: [1, 1, 2],
    "norm.weight": [2],
    "lm_head.weight": [3, 2]
  }],
  ["clip", ["timm", "huggingface"], clipBlock, {
    "visual.class_embedding": [2],
    "visual.positional_embedding": [5, 2],
    "visual.ln_pre.weight": [2],
    "visual.ln_post.bias": [2],
    "visual.proj": [2, 3]
  }],
  ["dino", ["timm", "huggingface"], dinoBlock, { ...common, "norm.weight": [2] }]
] as const

const sorted = (tensors: Naming.Tensors) =>
  Object.entries(tensors).toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([name, tensor]) => [name, tensor])

describe("Naming", () => {
  it.each(networks)(
    "of a %s network there and back is the identity, whatever of it there is",
    (network, namings, of, more) => {
      const marker = network === "clip" ? "visual.conv1.weight" : "patch_embed.proj.weight"
      const names = fc.uniqueArray(fc.nat(99), { maxLength: 4 }).chain((blocks) =>
        fc.subarray(
          Object.entries({ ...more, ...Object.assign({}, ...blocks.map(of)) }) as Array<[string, Array<number>]>
        )
      )
      const tensors = names.chain((chosen) =>
        fc.record({
          [marker]: float([2, 3, 1, 1]),
          ...Object.fromEntries(chosen.map(([name, shape]) => [name, float(shape)]))
        })
      )
      fc.assert(fc.property(tensors, fc.constantFrom(...namings), (given, naming) => {
        const there = Result.getOrThrow(Naming.to(naming, given, network))
        assert.deepStrictEqual(sorted(Result.getOrThrow(Naming.official(there, network))), sorted(given))
        const again = Result.getOrThrow(Naming.to(naming, Result.getOrThrow(Naming.official(there, network)), network))
        assert.deepStrictEqual(sorted(again), sorted(there))
      }))
    }
  )
})
