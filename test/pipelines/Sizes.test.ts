import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Graph from "../../src/compiler/graph/Graph.ts"
import * as Trace from "../../src/compiler/trace/Trace.ts"
import * as Presets from "../../src/domain/config/presets/Presets.ts"
import * as FinetuneStep from "../../src/nn/finetune/FinetuneStep.ts"
import * as Mim from "../../src/nn/pretrain/Mim.ts"
import * as Vqkd from "../../src/nn/tokenizer/Vqkd.ts"
import * as Backbone from "../../src/pipelines/trained/Backbone.ts"
import * as Classifier from "../../src/pipelines/trained/Classifier.ts"
import * as Tokenizer from "../../src/pipelines/trained/Tokenizer.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import * as Tree from "../../src/shapes/Tree.ts"

const count = (spec: object) => Tree.leaves(spec).reduce((sum, [, { shape }]) => sum + HostTensor.size(shape), 0)

const classifier = (name: string) =>
  Effect.map(Presets.preset(name), ({ finetune }) => FinetuneStep.logits(Classifier.sizes(finetune, 1000), 1))

describe("the published networks", () => {
  it.effect.each(
    [
      ["base", 86_530_984],
      ["large", 304_430_568],
      ["24x544", 86_658_408],
      ["huge14", 632_251_368],
      ["giant14", 1_012_922_856]
    ] as const
  )("%s classifies with %d parameters", ([name, parameters]) =>
    Effect.gen(function*() {
      assert.strictEqual(count((yield* classifier(name)).weights), parameters)
    }))

  it.effect.each([["base", 17.5], ["large", 61.6]] as const)(
    "%s takes %d billion multiply-adds",
    ([name, published]) =>
      Effect.gen(function*() {
        const flops = Graph.flops(Trace.inference(yield* classifier(name)).graph)
        assert.closeTo(flops / 2e9, published, 0.1)
      })
  )

  it.each([["base", Presets.base, 106_143_056], ["large", Presets.large, 336_728_512]] as const)(
    "%s is pretrained with %d parameters",
    (_, { pretrain, tokenizer }, parameters) => {
      const sizes = Backbone.sizes(pretrain, tokenizer.codebook.size)
      assert.strictEqual(count(Mim.spec(sizes)), parameters)
      const plain = Mim.spec({ ...sizes, aggregation: null })
      assert.strictEqual(count(plain), parameters === 106_143_056 ? 91_965_776 : 311_534_016)
    }
  )

  it("learn the words of a tokenizer with the published number of parameters", () => {
    const sizes = Tokenizer.sizes(Presets.base.tokenizer, 512)
    assert.strictEqual(count(Vqkd.spec(sizes)), 108_829_216)
    assert.strictEqual(count(Vqkd.spec({ ...sizes, decoderDepth: 1 })), 94_655_008)
  })
})
