import { NodeServices } from "@effect/platform-node"
import { assert, describe, layer } from "@effect/vitest"
import { Effect, FileSystem, Layer, Runtime } from "effect"
import sharp from "sharp"
import * as KeyedRandom from "../../src/domain/values/KeyedRandom.ts"
import type * as ImageSet from "../../src/layers/images/reading/ImageSet.ts"
import type { Network } from "../../src/pipelines/evaluate/NetworkRows.ts"
import { type Attention, attention, type AttentionOptions } from "../../src/pipelines/look/Attention.ts"
import * as LookFolder from "../../src/pipelines/look/LookFolder.ts"
import * as LookPictures from "../../src/pipelines/look/LookPictures.ts"
import * as LookView from "../../src/pipelines/look/LookView.ts"
import { type Colours, pca, type PcaOptions } from "../../src/pipelines/look/Pca.ts"
import * as Backbone from "../../src/pipelines/trained/Backbone.ts"
import * as Trained from "../../src/pipelines/trained/Network.ts"
import type * as HostTensor from "../../src/shapes/HostTensor.ts"
import { ended, watched } from "../layers/machine/workers.ts"
import { classes, engine, micro, set } from "./kit.ts"

const preset = micro()

const shaken = <N extends Trained.Network>(network: N): N => {
  const untrained = Trained.untrained(network)
  return {
    ...untrained,
    tensors: Object.fromEntries(
      Object.entries(untrained.tensors).map(([name, tensor]) => {
        const { normal } = KeyedRandom.generator({ seed: 1, purpose: name, epoch: 0, index: 0 })
        return [name, { ...tensor, data: Float32Array.from(tensor.data, (value) => value + 0.3 * normal()) }]
      })
    ) as Readonly<Record<string, HostTensor.Any>>
  }
}

const backbone = shaken({ _tag: "Backbone", ...Backbone.untrained(preset.pretrain, 16) })
const classifier = shaken({ _tag: "Classifier", config: preset.finetune, classes, tensors: {} })
const tokenizer = shaken({ _tag: "Tokenizer", config: preset.tokenizer, teacherWidth: 8, tensors: {} })

const few = set("few", 35)

const looked = Effect.fnUntraced(function*(network: Network, images: ImageSet.ImageSet, options?: AttentionOptions) {
  const parts: Array<ReadonlyArray<Attention>> = []
  yield* attention(network, images, (some) => Effect.sync(() => void parts.push(some)), options)
  return parts
})

const coloured = Effect.fnUntraced(function*(images: ImageSet.ImageSet, options?: PcaOptions) {
  const all: Array<Colours> = []
  const figures = yield* pca(backbone, images, (some) => Effect.sync(() => void all.push(...some)), options)
  return { all, figures }
})

describe("looking at what a network sees", () => {
  layer(Layer.merge(engine, NodeServices.layer))((it) => {
    it.effect("gives the attention of the class token for each kind of network, some images at a time", () =>
      Effect.gen(function*() {
        for (const network of [backbone, classifier, tokenizer]) {
          const parts = yield* looked(network, few)
          assert.deepStrictEqual(parts.map(({ length }) => length), [32, 3])
          const images = parts.flat()
          assert.deepStrictEqual(images.map(({ index }) => index), Array.from({ length: 35 }, (_, i) => i))
          for (const { grid, heads, mean } of images) {
            assert.deepStrictEqual([heads.length, grid], [2, { height: 4, width: 4 }])
            for (const { patches, self } of [...heads, mean]) {
              assert.lengthOf(patches, 16)
              assert.approximately(patches.reduce((sum, weight) => sum + weight, self), 1, 1e-5)
            }
            heads[0]!.patches.forEach((weight, i) =>
              assert.approximately(mean.patches[i]!, (weight + heads[1]!.patches[i]!) / 2, 1e-6)
            )
          }
          assert.notDeepEqual(images[0]!.heads[0]!.patches, images[1]!.heads[0]!.patches)
          assert.deepStrictEqual(images[3]!.picture, yield* few.image(3))
        }
      }))

    it.effect("gives any block, and the patches that hold most of the mass", () =>
      Effect.gen(function*() {
        const [[last], [named], [first]] = yield* Effect.all([
          looked(backbone, set("few", 2)),
          looked(backbone, set("few", 2), { block: 1, keep: 0.6 }),
          looked(backbone, set("few", 2), { block: 0 })
        ])
        assert.deepStrictEqual(named![0]!.heads[1]!.patches, last![0]!.heads[1]!.patches)
        assert.notDeepEqual(first![0]!.heads[1]!.patches, last![0]!.heads[1]!.patches)
        assert.isUndefined(last![0]!.mean.kept)
        const { kept, patches } = named![0]!.heads[0]!
        const mass = (marked: number) => patches.reduce((sum, weight, i) => kept![i] === marked ? sum + weight : sum, 0)
        assert.isAtLeast(mass(1) / (mass(0) + mass(1)), 0.6)
        const refused = yield* Effect.flip(looked(backbone, few, { block: 2 }))
        assert.strictEqual(
          refused.message,
          "attention: block: expected a block of the network, 0 to 1, got 2; choose another block (--block)"
        )
        assert.strictEqual(refused[Runtime.errorExitCode], 64)
      }))

    it.effect("gives colours of patches by the components of the first images", () =>
      Effect.gen(function*() {
        const { answering } = yield* watched
        const { all, figures } = yield* coloured(few)
        ended(answering)
        assert.strictEqual(figures.fitted, 32)
        assert.isUndefined(figures.ground)
        assert.isTrue(figures.explained.every((share, i) => share > 0 && share <= (figures.explained[i - 1] ?? 1)))
        assert.lengthOf(all, 35)
        const fitted = all.slice(0, 32).flatMap(({ values }) => [...values])
        for (const channel of [0, 1, 2]) {
          const values = fitted.filter((_, i) => i % 3 === channel)
          assert.deepStrictEqual([Math.min(...values), Math.max(...values)], [0, 1])
        }
        const later = yield* coloured(set("few", 40), { fitOn: 32 })
        assert.deepStrictEqual(later.all.slice(0, 35).map(({ values }) => values), all.map(({ values }) => values))
        const front = yield* coloured(few, { foreground: "inner" })
        assert.isAbove(front.figures.ground!, 0)
        const [{ foreground, values }] = front.all as [Colours]
        foreground.forEach((one, i) =>
          one === 1 || assert.deepStrictEqual(values.slice(3 * i, 3 * i + 3), new Float32Array(3))
        )
        assert.includeMembers([...foreground], [0, 1])
      }))

    it.effect("keeps pictures in a folder, and shows them on a page", () =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const run = yield* fs.makeTempDirectoryScoped()
        const folder = `${run}/look/attention-pretrain`
        const [[one] = []] = yield* looked(backbone, set("few", 1), { keep: 0.6 })
        const about = {
          kind: "attention",
          network: "pretrain",
          weights: "w",
          split: "few",
          images: "i",
          block: 1,
          keep: 0.6
        } as const
        const name = "cats/<b>.png"
        yield* LookFolder.write(folder, about, (put) => put(LookPictures.ofAttention(name, one!)))
        const [[found]] = yield* LookFolder.ofRun(run)
        assert.strictEqual(found!.folder, folder)
        const { shown: [shown], ...rest } = found!.look
        assert.deepStrictEqual(rest, about)
        assert.strictEqual(shown!.name, name)
        assert.deepStrictEqual(
          shown!.maps.map(({ title }) => title),
          ["mean", "mean kept", "head 0", "head 0 kept", "head 1", "head 1 kept"]
        )
        const pixels = yield* Effect.promise(() => sharp(`${folder}/${shown!.picture}`).raw().toBuffer())
        assert.deepStrictEqual(new Uint8Array(pixels), one!.picture.data)
        const page = LookView.section(found!.look, (file) => `/look/${file}`).html
        for (const { file } of shown!.maps) assert.include(page, `src="/look/${file}"`)
        assert.include(page, "cats/&lt;b&gt;.png")
        assert.notInclude(page, "<b>")

        const colours = {
          kind: "pca",
          network: "pretrain",
          weights: "w",
          split: "few",
          images: "i",
          shown: []
        } as const
        assert.include(LookView.section({ ...colours, fitted: 32 }, String).html, "of the first 32 images together")
        assert.notInclude(LookView.section(colours, String).html, "all images")

        yield* fs.writeFileString(
          `${folder}/look.json`,
          JSON.stringify({ ...about, shown: [{ ...shown, picture: "../a.png" }] })
        )
        const [whole, [damaged]] = yield* LookFolder.ofRun(run)
        assert.deepStrictEqual(whole, [])
        assert.include(damaged!.message, "look.json: this is not a look of patchword, or it is damaged")
        assert.strictEqual(damaged![Runtime.errorExitCode], 65)
      }))
  })
})
