import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { columns } from "../../examples/ownMask.ts"
import { MaskConfig, PretrainConfig } from "../../src/domain/config/PretrainConfig.ts"
import * as Safetensors from "../../src/domain/weights/Safetensors.ts"
import * as Runs from "../../src/layers/run/Runs.ts"
import { evaluatePretraining, evaluateTokenizer } from "../../src/pipelines/evaluate/Evaluate.ts"
import { pretrain } from "../../src/pipelines/Pretrain.ts"
import { trainTokenizer } from "../../src/pipelines/TrainTokenizer.ts"
import { machine, micro, sets } from "./kit.ts"

const preset = micro({ duration: 3 })

const patterned = (pattern: MaskConfig["pattern"]) =>
  new PretrainConfig({
    ...preset.pretrain,
    mask: new MaskConfig({ ...preset.pretrain.mask, ...(pattern && { pattern }) })
  })

const key = { seed: 0, purpose: "mask", epoch: 0, index: 0 }

const alone = Effect.provide(Runs.layerMemory(), { local: true })

describe("masks of pretraining", () => {
  layer(machine)((it) => {
    it.effect("are blocks, random patches, or one's own", () =>
      Effect.gen(function*() {
        const tokenizer = yield* alone(trainTokenizer(preset.tokenizer))
        const { images } = yield* evaluateTokenizer(tokenizer, sets[2]!)
        const networks = {
          blockwise: yield* alone(pretrain(patterned(undefined), tokenizer)),
          random: yield* alone(pretrain(patterned({ kind: "random" }), tokenizer)),
          own: yield* alone(pretrain(patterned(undefined), tokenizer, { mask: columns }))
        }
        const different = new Set(
          Object.values(networks).map(({ tensors }) => Buffer.from(Safetensors.encode(tensors)).toString("base64"))
        )
        assert.strictEqual(different.size, 3)
        assert.deepStrictEqual(networks.own.config.mask.pattern, { kind: "own", name: "columns" })
        for (const network of Object.values(networks)) {
          const masked = (yield* evaluatePretraining(network, images, sets[2]!)).images
          const own = network === networks.own
          for (const { mask } of masked) {
            assert.strictEqual(mask.reduce((a, b) => a + b, 0), 5)
            if (own) assert.deepStrictEqual(mask, columns.draw({ ...preset.pretrain.masking }, key))
          }
        }
        const refused = yield* Effect.flip(alone(pretrain(networks.own.config, tokenizer)))
        assert.include(refused.message, "mask.pattern: expected the mask \"columns\" to be given in code")
      }), 120_000)
  })
})
