import { NodeServices } from "@effect/platform-node"
import { afterAll, assert, describe, layer } from "@effect/vitest"
import { Effect, Layer, ManagedRuntime, Runtime } from "effect"
import { DecoderConfig } from "../../src/domain/config/DecoderConfig.ts"
import * as Presets from "../../src/domain/config/presets/Presets.ts"
import { CodebookConfig, TokenizerConfig } from "../../src/domain/config/TokenizerConfig.ts"
import { VitConfig } from "../../src/domain/config/VitConfig.ts"
import * as Fidelity from "../../src/domain/fidelity/Fidelity.ts"
import * as Safetensors from "../../src/domain/weights/Safetensors.ts"
import * as Laws from "../../src/laws/index.ts"
import * as Images from "../../src/layers/images/Images.ts"
import * as Runs from "../../src/layers/run/Runs.ts"
import * as Weights from "../../src/layers/weights/Weights.ts"
import * as Parameter from "../../src/nn/blocks/Parameter.ts"
import { complete, type Completed } from "../../src/pipelines/completion/Complete.ts"
import * as CompletionView from "../../src/pipelines/completion/CompletionView.ts"
import * as PatchPlaces from "../../src/pipelines/completion/PatchPlaces.ts"
import { evaluateDecoder } from "../../src/pipelines/completion/Reconstruct.ts"
import { trainDecoder } from "../../src/pipelines/TrainDecoder.ts"
import * as Backbone from "../../src/pipelines/trained/Backbone.ts"
import * as Tokenizer from "../../src/pipelines/trained/Tokenizer.ts"
import type { StageOptions } from "../../src/pipelines/training/Stage.ts"
import * as Dim from "../../src/shapes/Dim.ts"
import { holds } from "../laws/kit.ts"
import { engine, micro, optimizer, sets } from "./kit.ts"

const preset = micro()

const config = new DecoderConfig({
  ...Presets.tiny.decoder!,
  width: 16,
  depth: 1,
  heads: 2,
  mlpRatio: 2,
  perceptual: 0.5,
  optimizer: optimizer({ duration: 6 })
})

const tokenizerOf = (config: TokenizerConfig): Tokenizer.Tokenizer => {
  const sizes = Tokenizer.sizes(config, 8)
  const { dim, size } = config.codebook
  const drawn = Parameter.initialise({
    ...Tokenizer.spec(sizes, { parameters: {}, state: {} }),
    quantize: { embedding: { weight: Parameter.normal([size, dim], { ...Parameter.finetuning, deviation: 1 }) } }
  }, 0)
  return { config, teacherWidth: Dim.named("teacherWidth", 8), tensors: Weights.flatten(drawn) }
}

const tokenizer = tokenizerOf(preset.tokenizer)
const backbone = Backbone.untrained(preset.pretrain, preset.tokenizer.codebook.size)

const machine = Layer.mergeAll(engine, NodeServices.layer, Images.layerMemory(sets))
const runtime = ManagedRuntime.make(machine)
afterAll(() => runtime.dispose())

holds(
  "training of a pixel decoder",
  Laws.stage(runtime, {
    train: (options: StageOptions) =>
      Effect.map(
        trainDecoder(config, tokenizer, options),
        ({ tensors }) => Buffer.from(Safetensors.encode(tensors)).toString("hex")
      ),
    steps: 6
  })
)

const inMemory = { local: true } as const

describe("a pixel decoder", () => {
  layer(machine)((it) => {
    const load = (split: string) => Effect.flatMap(Images.Images, (images) => images.load(split))
    const learned = (duration: number) =>
      trainDecoder(
        new DecoderConfig({ ...config, perceptual: 0, optimizer: optimizer({ duration, lr: 1e-2 }) }),
        tokenizer
      ).pipe(Effect.provide(Runs.layerMemory(), inMemory))

    it.effect(
      "learns to draw better than it did, and better than the mean patches of codes",
      () =>
        Effect.gen(function*() {
          const decoder = yield* learned(120)
          const { images, methods, split } = yield* evaluateDecoder(decoder, tokenizer, yield* load("train"))
          assert.deepStrictEqual([split, images], ["train", 24])
          const early = yield* evaluateDecoder(yield* learned(3), tokenizer, yield* load("train"))
          assert.isAbove(methods.decoder.psnr.mean, early.methods.decoder.psnr.mean + 1)
          assert.isAbove(methods.decoder.psnr.mean, methods.meanPatch.psnr.mean)
          assert.deepStrictEqual(early.methods.meanColour, methods.meanColour)
          for (const { psnr: { interval, mean }, ssim } of Object.values(methods)) {
            assert.isBelow(interval![0], mean)
            assert.isAbove(interval![1], mean)
            assert.isBelow(ssim.mean, 1)
          }
        }),
      60_000
    )

    it.effect(
      "fills masked patches, keeps the others, and counts what the predictions are worth",
      () =>
        Effect.gen(function*() {
          const decoder = yield* learned(6)
          const [val, found] = [yield* load("val"), [] as Array<Completed>]
          const use = (some: ReadonlyArray<Completed>) => Effect.sync(() => void found.push(...some))
          const figures = yield* complete({ backbone, decoder, tokenizer }, val, {}, use)
          assert.deepStrictEqual(found.map(({ index }) => index), Array.from({ length: 12 }, (_, i) => i))
          assert.deepStrictEqual([figures.masked, figures.patches, figures.images], [5, 16, 12])
          const places = PatchPlaces.of(decoder)
          for (const { completed, mask, truth } of found) {
            assert.strictEqual(mask.reduce((a, b) => a + b), 5)
            const hidden = new Set(PatchPlaces.masked(places, mask))
            assert.strictEqual(hidden.size, 5 * 192)
            const changed = Array.from(truth.keys()).filter((at) => truth[at] !== completed[at])
            assert.isTrue(changed.every((at) => hidden.has(at)))
            assert.isAbove(changed.length, 4 * 192)
          }
          const redrawn: Array<Completed> = []
          const drawn = yield* complete({ backbone, decoder, tokenizer }, val, { visible: "decode" }, (some) =>
            Effect.sync(() =>
              void redrawn.push(...some)
            ))
          assert.deepStrictEqual([figures.visible, drawn.visible], ["keep", "decode"])
          const plain = Fidelity.tally()
          for (const { mask, truth } of redrawn) {
            const colour = PatchPlaces.meanColour(truth, places, (patch) =>
              mask[patch] === 0)
            plain.add(Fidelity.compare(
              truth,
              PatchPlaces.plain(colour, truth.length),
              { channels: 3, height: 32, width: 32 },
              PatchPlaces.masked(places, mask)
            ))
          }
          assert.deepStrictEqual(drawn.methods.meanColour, plain.figures())
          assert.deepStrictEqual(drawn.methods.meanColour.psnr, figures.methods.meanColour.psnr)
          assert.isBelow(drawn.methods.meanColour.ssim.mean, figures.methods.meanColour.ssim.mean)
          const { completed, mask, truth } = redrawn[0]!
          assert.deepStrictEqual(mask, found[0]!.mask)
          const same = truth.filter((value, at) => value === completed[at]).length
          assert.isBelow(same, 0.1 * truth.length)
        }),
      60_000
    )

    it.effect("gives the true picture of its codes where all predictions are right", () =>
      Effect.gen(function*() {
        const decoder = yield* learned(6)
        const one = tokenizerOf(
          new TokenizerConfig({
            ...preset.tokenizer,
            codebook: new CodebookConfig({ ...preset.tokenizer.codebook, size: 1 })
          })
        )
        const lone = yield* trainDecoder(config, one).pipe(Effect.provide(Runs.layerMemory(), inMemory))
        const sure = Backbone.untrained(preset.pretrain, 1)
        const found: Array<Completed> = []
        const figures = yield* complete(
          { backbone: sure, decoder: lone, tokenizer: one },
          yield* load("val"),
          { visible: "decode" },
          (some) => Effect.sync(() => void found.push(...some))
        )
        assert.strictEqual(figures.codeAccuracy, 1)
        assert.deepStrictEqual(found[3]!.completed, found[3]!.decoded)
        assert.deepStrictEqual(figures.methods.completed, figures.methods.trueCodes)
        assert.notStrictEqual(decoder.codes, lone.codes)
      }), 60_000)

    it.effect(
      "refuses another tokenizer, a network of another grid or of other codes, and unknown vectors",
      () =>
        Effect.gen(function*() {
          const decoder = yield* learned(3)
          const val = yield* load("val")
          const nothing = () => Effect.void
          const tensors = { ...tokenizer.tensors, extra: tokenizer.tensors["quantize.embedding.weight"]! }
          const other = yield* Effect.flip(evaluateDecoder(decoder, { ...tokenizer, tensors }, val))
          assert.strictEqual(other._tag, "OtherTokenizer")
          assert.strictEqual(other[Runtime.errorExitCode], 65)
          assert.include(other.message, "the pixel decoder belongs to other codes: to those of weights")
          const wide = new VitConfig({ ...preset.pretrain.vit, imageSize: 40 })
          const grid = Backbone.untrained({ ...preset.pretrain, vit: wide } as typeof preset.pretrain, 16)
          const cases = [
            [
              grid,
              "vit.imageSize: expected as many patches as the tokenizer's 32 pixels in patches of 8 make, got 40 in 8"
            ],
            [Backbone.untrained(preset.pretrain, 17), "codes: expected the 16 codes of the decoder, got 17"]
          ] as const
          for (const [network, said] of cases) {
            const error = yield* Effect.flip(complete({ backbone: network, decoder, tokenizer }, val, {}, nothing))
            assert.include(error.message, said)
          }
          const codebook = new CodebookConfig({
            ...preset.tokenizer.codebook,
            revival: null,
            quantizer: { kind: "own", name: "mine" }
          })
          const own = { ...tokenizer, config: new TokenizerConfig({ ...preset.tokenizer, codebook }) }
          const unknown = yield* Effect.flip(
            trainDecoder(config, own).pipe(Effect.provide(Runs.layerMemory(), inMemory))
          )
          assert.include(unknown.message, "tokenizer.codebook.quantizer: expected a quantizer of patchword")
        }),
      60_000
    )

    it.effect("draws the codes of finite scalars and of codes that learn by gradient", () =>
      Effect.gen(function*() {
        const quantizers = [
          {
            size: 12,
            dim: 2,
            decay: null,
            kmeans: false,
            revival: null,
            quantizer: { kind: "finiteScalar", levels: [4, 3] }
          },
          {
            size: 16,
            dim: 8,
            decay: null,
            kmeans: false,
            revival: null,
            quantizer: { kind: "gradient", commitment: 0.25 }
          }
        ] as const
        for (const given of quantizers) {
          const codebook = new CodebookConfig(given)
          const { tensors, ...made } = tokenizerOf(new TokenizerConfig({ ...preset.tokenizer, codebook }))
          const { "quantize.embedding.weight": embedding, ...others } = tensors
          const kept = given.quantizer.kind === "gradient"
            ? { ...others, "quantize.embedding.weight": embedding! }
            : others
          const decoder = yield* trainDecoder(config, { ...made, tensors: kept }).pipe(
            Effect.provide(Runs.layerMemory(), inMemory)
          )
          const { data, shape } = decoder.tensors.codebook!
          assert.deepStrictEqual(shape, [given.size, given.dim])
          if (given.quantizer.kind === "gradient") assert.closeTo(Math.hypot(...data.slice(0, 8)), 1, 1e-5)
          else assert.deepStrictEqual(Array.from(data.slice(0, 4)), [-1, -1, -0.5, -1])
        }
      }), 60_000)
  })
})

describe("the section of completed images", () => {
  layer(machine)((it) => {
    it.effect("escapes names, and shows four pictures of each image", () =>
      Effect.sync(() => {
        const one = { psnr: { mean: 12.5, interval: [12, 13] }, ssim: { mean: 0.75 } } as const
        const sample = {
          split: "<val>",
          images: 1200,
          masked: 14,
          patches: 36,
          codeAccuracy: 0.125,
          methods: { completed: one, meanColour: one },
          side: 48,
          shown: [{ name: "<b>\"x\"", original: "AAAA", decoded: "BBBB", masked: "CCCC", completed: "DDDD" }]
        } as const
        const { html } = CompletionView.render(sample)
        assert.strictEqual(html.match(/<img /g)?.length, 4)
        assert.notInclude(html, "<b>")
        assert.include(html, "&lt;val&gt;")
        assert.include(html, "12.50")
        assert.include(html, "mean colour of the visible patches")
        assert.notInclude(html, "Visible patches")
        const [kept, drawn] = (["keep", "decode"] as const).map((visible) =>
          CompletionView.render({ ...sample, visible }).html
        )
        assert.include(kept, "Visible patches stay as they are")
        assert.include(drawn, "Visible patches are drawn, too, by each row in its own way")
      }))
  })
})
