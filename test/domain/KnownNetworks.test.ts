import { assert, describe, it } from "@effect/vitest"
import * as KnownNetworks from "../../src/domain/weights/KnownNetworks.ts"
import * as Golden from "../parity/golden.ts"

const state = (fixture: string): KnownNetworks.Shapes => {
  const golden = Golden.tensors(fixture)
  const keys = Golden.keys(fixture).filter((key) => key.startsWith("state/"))
  return Object.fromEntries(keys.map((key) => [key.slice("state/".length), golden(key).shape]))
}

const without = (shapes: KnownNetworks.Shapes, ...names: ReadonlyArray<string>): KnownNetworks.Shapes =>
  Object.fromEntries(Object.entries(shapes).filter(([name]) => !names.includes(name)))

const dino = state("teacher_dino")

describe("KnownNetworks", () => {
  it.each(
    [
      ["mim_cls_shared", "pretrained", "official", { width: 32, depth: 4, headDepth: 2, codes: 64 }],
      ["mim_plain_abs", "pretrained", "official", { tokens: 17, depth: 1 }],
      ["finetune_meanpool", "classifier", "official", { classes: 10, relativePositions: 52 }],
      ["vqkd_clip_dec1", "tokenizer", "official", { codes: 64, codeWidth: 8, teacherWidth: 24, decoderDepth: 1 }],
      ["hf_beit_classifier", "classifier", "huggingface", { classes: 10, patch: 8 }],
      ["hf_beit_mim", "pretrained", "huggingface", { codes: 64 }],
      ["teacher_clip", "clip", "official", { out: 24, hidden: 128, depth: 2 }],
      ["hf_clip_vision", "clip", "huggingface", { out: 24, hidden: 128, depth: 2 }],
      ["teacher_dino", "dino", "official", { width: 24, patch: 8 }],
      ["hf_dino_vit", "dino", "huggingface", { width: 24, patch: 8 }]
    ] as const
  )("recognise %s as %s, %s", (fixture, network, naming, sizes) => {
    const [first, second] = KnownNetworks.recognise(state(fixture))
    assert.deepInclude(first, { share: 1, missing: [], unexpected: [], misshaped: [] })
    assert.deepInclude(first?.known, { network, naming })
    assert.deepInclude(first?.sizes, sizes)
    assert.isTrue(second === undefined || (second.share < 1 && second.known.network !== network))
  })

  it("recognise CLIP as timm names it", () => {
    const [first] = KnownNetworks.recognise(Golden.json("timm_clip_names").keys)
    assert.deepInclude(first?.known, { network: "clip", naming: "timm" })
    assert.strictEqual(first?.share, 1)
  })

  it("say what is missing, too many and of another shape, and by how much", () => {
    const [first] = KnownNetworks.recognise({
      ...without(dino, "norm.bias"),
      "cls_token": [1, 24],
      "blocks.1.attn.qkv.weight": [72, 25],
      "ls.gamma": [24]
    })
    assert.deepInclude(first, {
      missing: ["norm.bias"],
      unexpected: ["ls.gamma"],
      misshaped: [
        { name: "blocks.1.attn.qkv.weight", expected: "[72, 24]", given: "[72, 25]" },
        { name: "cls_token", expected: "[1, 1, 24]", given: "[1, 24]" }
      ]
    })
    const there = Object.keys(dino).length
    assert.closeTo(first!.share, (there - 3) / (there + 1), 1e-12)
  })

  it("put the network in words, and nothing where nothing is near", () => {
    assert.strictEqual(
      KnownNetworks.describe(dino),
      "a DINO vision transformer under its official names (all of its tensors)"
    )
    assert.strictEqual(
      KnownNetworks.describe({ ...without(state("hf_clip_vision"), "visual_projection.weight"), extra: [1] }),
      "the image tower of CLIP under the names of Hugging Face (93 % of its tensors; visual.proj is missing)"
    )
    assert.isUndefined(KnownNetworks.describe({ "conv1.weight": [64, 3, 7, 7], "fc.bias": [1000] }))
    assert.isUndefined(KnownNetworks.describe({}))
  })
})
