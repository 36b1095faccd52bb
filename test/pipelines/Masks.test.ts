import { assert, describe, it as plainly, layer } from "@effect/vitest"
import { Effect, Result } from "effect"
import { columns } from "../../examples/ownMask.ts"
import { MaskConfig, PretrainConfig } from "../../src/domain/config/PretrainConfig.ts"
import * as Mask from "../../src/domain/method/Mask.ts"
import * as Safetensors from "../../src/domain/weights/Safetensors.ts"
import * as Runs from "../../src/layers/run/Runs.ts"
import { evaluatePretraining, evaluateTokenizer } from "../../src/pipelines/evaluate/Evaluate.ts"
import * as MaskedCodes from "../../src/pipelines/evaluate/MaskedCodes.ts"
import { pretrain } from "../../src/pipelines/Pretrain.ts"
import * as Backbone from "../../src/pipelines/trained/Backbone.ts"
import * as Masking from "../../src/pipelines/training/Masking.ts"
import { trainTokenizer } from "../../src/pipelines/TrainTokenizer.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import { machine, micro, sets } from "./kit.ts"

const preset = micro({ duration: 3 })

const patterned = (pattern: MaskConfig["pattern"]) =>
  new PretrainConfig({
    ...preset.pretrain,
    mask: new MaskConfig({ ...preset.pretrain.mask, ...(pattern && { pattern }) })
  })

const key = { seed: 0, purpose: "mask", epoch: 0, index: 0 }

type Asked = Parameters<Mask.Mask["draw"]>

const untaught = { config: preset.tokenizer, teacherWidth: 8, tensors: {} }

const alone = Effect.provide(Runs.layerMemory(), { local: true })

describe("masks of pretraining", () => {
  layer(machine)((it) => {
    it.effect("leave repeated images out of the loss", () =>
      Effect.gen(function*() {
        const network = Backbone.untrained(preset.pretrain, 16)
        const { imageSize, patches } = preset.pretrain.vit
        const length = 3 * imageSize ** 2
        const pixels = Float32Array.from({ length: 3 * length }, (_, at) => Math.sin(at * at))
        const truth = Array.from({ length: 3 * patches }, (_, at) => (7 * at) % 16)
        const lossOf = Effect.fnUntraced(function*(indices: ReadonlyArray<number>, valid: number) {
          const data = Float32Array.from(
            indices.flatMap((at) => Array.from(pixels.slice(at * length, (at + 1) * length)))
          )
          const normalised = HostTensor.make([indices.length, 3, imageSize, imageSize], "float32", data)
          const predict = yield* MaskedCodes.open(network, indices.length)
          const codes = indices.flatMap((at) => truth.slice(at * patches, (at + 1) * patches))
          return (yield* predict({ indices, normalised, valid }, codes)).loss
        })
        const each = yield* Effect.forEach([0, 1, 2], (index) => lossOf([index], 1))
        const mean = each.reduce((a, b) => a + b, 0) / 3
        assert.closeTo(yield* lossOf([0, 1, 2, 2, 2], 3), mean, 1e-5)
        assert.notEqual(each[0], each[2])
      }))

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
        const odd = { name: "odd", draw: (...asked: Asked) => columns.draw(...asked).slice(1) }
        const drawn = yield* Effect.flip(alone(pretrain(preset.pretrain, tokenizer, { mask: odd })))
        const again = { ...Backbone.untrained(preset.pretrain, 16), mask: odd }
        const evaluated = yield* Effect.flip(evaluatePretraining(again, images, sets[2]!))
        for (const error of [drawn, evaluated]) {
          assert.strictEqual(error._tag, "MaskError")
          assert.strictEqual(error.message, "the mask \"odd\": expected 16 patches, got 15; correct its function draw")
        }
      }), 120_000)

    it.effect("are named by the configuration or given in code", () =>
      Effect.gen(function*() {
        const refused = Effect.fnUntraced(function*(pattern: MaskConfig["pattern"], mask?: Mask.Mask) {
          const backbone = { ...Backbone.untrained(patterned(pattern), 16), ...(mask && { mask }) }
          const trained = yield* Effect.flip(alone(pretrain(backbone.config, untaught, mask ? { mask } : {})))
          const evaluated = yield* Effect.flip(evaluatePretraining(backbone, [], sets[2]!))
          assert.strictEqual(evaluated.message, trained.message)
          return trained.message
        })
        const contradiction = (asked: string, given: string) =>
          `mask.pattern: the configuration names the mask ${asked}, but ${given} is given in code; remove one of the two`
        assert.include(
          yield* refused({ kind: "own", name: "columns" }),
          "mask.pattern: expected the mask \"columns\" to be given in code: pretrain(config, tokenizer, { mask })"
        )
        assert.include(yield* refused({ kind: "random" }, columns), contradiction("random", "\"columns\""))
        assert.include(yield* refused({ kind: "random" }, Mask.blockwise), contradiction("random", "blockwise"))
        assert.include(yield* refused({ kind: "own", name: "rows" }, columns), contradiction("\"rows\"", "\"columns\""))
        assert.include(
          yield* refused(undefined, { ...columns, name: "" }),
          "mask.pattern: expected a name for the mask given in code, got \"\""
        )
      }))

    it.effect("are those of the checkpoint that a run goes on from", () =>
      Effect.gen(function*() {
        const tokenizer = yield* trainTokenizer(preset.tokenizer)
        yield* pretrain(preset.pretrain, tokenizer, { mask: columns })
        const refused = yield* Effect.flip(pretrain(preset.pretrain, tokenizer, { mask: Mask.random }))
        assert.include(refused.message, "mask.pattern.kind")
        assert.include(refused.message, "columns")
      }).pipe(alone), 120_000)
  })

  plainly.each<readonly [change: (mask: Uint8Array) => unknown, said: string]>([
    [(mask) => Uint8Array.of(...mask, 0), "expected 16 patches, got 17"],
    [(mask) => mask.map((one) => 2 * one), "expected 0 or 1 for each patch, got 2 for patch 0"],
    [(mask) => mask.fill(1), "expected 5 masked patches of 16, got 16"],
    [(mask) => Array.from(mask, (one) => one === 1), "expected a Uint8Array of 16 patches, got object"],
    [() => undefined, "expected a Uint8Array of 16 patches, got undefined"]
  ])("are what they are asked for: %s", (change, said) => {
    const draw = (...asked: Asked) => change(columns.draw(...asked)) as Uint8Array
    const error = Result.getOrThrow(Result.flip(Masking.draw({ name: "odd", draw }, preset.pretrain.masking, [key])))
    assert.strictEqual(error.message, `the mask "odd": ${said}; correct its function draw`)
  })

  plainly("need no least rectangle where they have none", () => {
    const mask = { count: 1, minBlock: 2, maxBlock: null, minAspect: 0.3 }
    const config = (pattern: MaskConfig["pattern"]) =>
      new PretrainConfig({ ...preset.pretrain, mask: new MaskConfig({ ...mask, ...(pattern && { pattern }) }) })
    assert.strictEqual(config({ kind: "random" }).mask.count, 1)
    assert.throws(() => config({ kind: "blockwise" }))
    assert.throws(() => config(undefined))
  })
})
