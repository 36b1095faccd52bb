import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Runtime } from "effect"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import sharp from "sharp"
import { afterAll, beforeAll } from "vitest"
import { VitConfig } from "../../src/domain/config/VitConfig.ts"
import * as Weights from "../../src/layers/weights/Weights.ts"
import * as Backbone from "../../src/pipelines/trained/Backbone.ts"
import { micro, set } from "../pipelines/kit.ts"
import { found, said } from "./kit.ts"

const folder = mkdtempSync(join(tmpdir(), "patchword-segment-"))
const at = (...names: ReadonlyArray<string>) => join(folder, ...names)

const { pretrain: shallow } = micro()
const pretrain = { ...shallow, vit: new VitConfig({ ...shallow.vit, depth: 4, dropPath: 0 }) } as typeof shallow

const segmentation = {
  vit: { imageSize: 32, width: 16, heads: 2, depth: 4, mlpRatio: 2 },
  taps: [1, 2, 3, 4],
  batchSize: 4,
  steps: 2,
  warmup: 1,
  stride: 16,
  frozen: { imageSize: 32, images: 6, iterations: 5 }
}

const common = ["segment", "--from", at("run"), "--images", at("images.yaml"), "--config", at("settings.json")]
const flags = [...common, "--threads", "1", "--tests", "val"]

interface Found {
  readonly page: string
  readonly found: ReadonlyArray<
    {
      readonly split: string
      readonly meanIou: number
      readonly foregroundIou: number
      readonly iou: ReadonlyArray<number>
    }
  >
  readonly random?: ReadonlyArray<object>
}

const drawn = async (split: string, length: number) => {
  const images = set(split, length)
  for (const kind of ["images", "labels"]) mkdirSync(at(kind, split), { recursive: true })
  for (let index = 0; index < length; index++) {
    const { data, height, width } = await Effect.runPromise(images.image(index))
    await sharp(data, { raw: { width, height, channels: 3 } }).png().toFile(at("images", split, `${index}.png`))
    const labels = Uint8Array.from({ length: width * height }, (_, i) => data[3 * i]! > 127 ? 1 : 0)
    await sharp(labels, { raw: { width, height, channels: 1 } }).toColourspace("b-w").png()
      .toFile(at("labels", split, `${index}.png`))
  }
}

describe("patchword segment", () => {
  beforeAll(async () => {
    await drawn("train", 8)
    await drawn("val", 4)
    const splits = ["train", "val"].map((name) =>
      `  ${name}: { folder: images/${name}, annotations: labels/${name} }\n`
    )
    writeFileSync(at("images.yaml"), `pixelClasses: [background, <light>]\nsplits:\n${splits.join("")}`)
    writeFileSync(at("settings.json"), JSON.stringify({ segmentation }))
    mkdirSync(at("run", "stages"), { recursive: true })
    writeFileSync(at("run", "config.json"), "{}")
    const model = { _tag: "Backbone", config: pretrain, codes: 16 } as const
    const made = { stage: "pretrain", configDigest: "", dataDigest: "", step: 1, seed: 0, model }
    const { tensors } = Backbone.untrained(pretrain, 16)
    const file = at("run", "stages", "pretrain.safetensors")
    await Effect.runPromise(
      Effect.provide(Weights.write(file, Weights.make(tensors, new Weights.Provenance(made))), NodeServices.layer)
    )
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it.live("trains all of a network, and shows images beside their labels", () =>
    Effect.gen(function*() {
      const first = (yield* found(...flags, "--random-baseline", "--out", at("all"))) as unknown as Found
      assert.deepStrictEqual(first.found.map(({ split }) => split), ["val"])
      assert.strictEqual(first.found[0]!.iou.length, 2)
      assert.strictEqual(first.random?.length, 1)
      const page = readFileSync(first.page, "utf8")
      assert.strictEqual(page.match(/<img src="data:image\/png/g)?.length, 4)
      const { foregroundIou, iou } = first.found[0]!
      assert.strictEqual(foregroundIou, iou[1])
      assert.include(page, "Foreground IoU, %</th>")
      assert.isTrue(page.includes("&lt;light&gt;</th>") && !page.includes("<light>"))
      const again = yield* said(...flags, "--out", at("all"))
      assert.include(again, (100 * first.found[0]!.meanIou).toFixed(1))
      assert.include(again, "foreground IoU, %")
    }).pipe(Effect.provide(NodeServices.layer)), 60_000)

  it.live("learns the head of a frozen network", () =>
    Effect.gen(function*() {
      const frozen = (yield* found(...flags, "--frozen", "--multi-scale", "--out", at("frozen"))) as unknown as Found
      assert.isAbove(frozen.found[0]!.meanIou, 0.2)
      assert.include(frozen.page, "segment-frozen.html")
    }).pipe(Effect.provide(NodeServices.layer)), 60_000)

  it.live("refuses images without annotations, and a configuration without settings", () =>
    Effect.gen(function*() {
      const plain = ["segment", "--from", at("run"), "--images", at("images"), "--config", at("settings.json")]
      const none = yield* Effect.flip(said(...plain, "--threads", "1", "--out", at("none")))
      assert.strictEqual((none as { readonly [Runtime.errorExitCode]?: number })[Runtime.errorExitCode], 66)
      writeFileSync(at("null.json"), JSON.stringify({ segmentation: null }))
      const bare = yield* Effect.flip(said(...common.slice(0, -1), at("null.json"), "--out", at("none")))
      assert.include((bare as Error).message, "expected settings, but this configuration has none")
    }).pipe(Effect.provide(NodeServices.layer)), 60_000)
})
