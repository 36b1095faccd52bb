import { assert, describe, it } from "@effect/vitest"
import * as OtherWeights from "../../src/pipelines/artifacts/OtherWeights.ts"

const now = [
  { stage: "decoder", kind: "PixelDecoder", digest: "d" },
  { stage: "finetune", kind: "Classifier", digest: "f" },
  { stage: "pretrain", kind: "Backbone", digest: "p" },
  { stage: "tokenizer", kind: "Tokenizer", digest: "t" }
]

const sample = (weights: { readonly tokenizer: string; readonly backbone: string }) =>
  OtherWeights.completion({
    split: "val",
    images: 1,
    masked: 1,
    patches: 4,
    codeAccuracy: 0,
    methods: {},
    side: 8,
    shown: [],
    weights
  })

const look = (network: string, weights: string) =>
  OtherWeights.look({ kind: "pca", network, weights, split: "val", images: "i", shown: [] })

const told = (...made: ReadonlyArray<OtherWeights.Made>) =>
  OtherWeights.sentences(made, now).map((sentence) => /^(.*) was made.*SHA-256 (.*)\)/.exec(sentence)!.slice(1))

describe("what was made of other weights", () => {
  it("names the stage that it was made of, and no other", () => {
    assert.deepStrictEqual(told(...sample({ tokenizer: "t", backbone: "old" })), [
      ["the completion of val (its network)", "old; now pretrain p"]
    ])
    assert.deepStrictEqual(told(look("finetune", "old"), look("pretrain", "f")), [
      ["the picture of components of finetune", "old; now finetune f"],
      ["the picture of components of pretrain", "f; now pretrain p"]
    ])
    assert.deepStrictEqual(
      told(...sample({ tokenizer: "t", backbone: "p" }), look("pretrain", "p"), look("gone", "t")),
      []
    )
    assert.deepStrictEqual(told(look("gone", "old")), [
      ["the picture of components of gone", "old; now decoder d, finetune f, pretrain p, tokenizer t"]
    ])
  })
})
