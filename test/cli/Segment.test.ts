import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Runtime } from "effect"
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import sharp from "sharp"
import { afterAll, beforeAll } from "vitest"
import { VitConfig } from "../../src/domain/config/VitConfig.ts"
import * as Annotation from "../../src/layers/images/reading/Annotation.ts"
import * as Weights from "../../src/layers/weights/Weights.ts"
import * as Backbone from "../../src/pipelines/trained/Backbone.ts"
import { micro, set } from "../pipelines/kit.ts"
import { found, hearing, said } from "./kit.ts"

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

interface Line {
  readonly image: string
  readonly shares: ReadonlyArray<{ readonly class: string; readonly share: number }>
}

interface Named {
  readonly label: number
  readonly class: string
  readonly colour: Array<number>
}

const bounds = { pixelLimit: 1e6, minimumSide: 1, colour: "managed" } as const

const awaited = <A>(promise: Promise<A>) => Effect.promise(() => promise)

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

  it.live("changes nothing where it is refused, and says in plain lines what it takes", () =>
    Effect.gen(function*() {
      const out = ["--out", at("kept")]
      const config = () => readFileSync(at("kept", "config.json"), "utf8")
      yield* found(...flags, "--frozen", ...out)
      const before = config()
      for (const other of [["--set", "segmentation.steps=3"], ["--frozen", "--set", "segmentation.frozen.l2=0.5"]]) {
        const error = yield* Effect.flip(said(...flags, ...other, ...out))
        assert.strictEqual((error as { readonly code?: number }).code, 73)
        assert.strictEqual(config(), before)
      }
      rmSync(at("kept", "stages", "segment-frozen.json"))
      rmSync(at("kept", "stages", "segment-frozen.safetensors"))
      const told: Array<string> = []
      const lost = said(
        ...common,
        "--threads",
        "1",
        "--frozen",
        "--tests",
        "lost",
        "--set",
        "segmentation.frozen.l2=0.5",
        ...out
      )
      yield* Effect.flip(lost.pipe(hearing(told)))
      assert.include(
        told,
        `run folder ${at("kept")}: takes other settings for what has not begun (segmentation.frozen.l2: ${
          (JSON.parse(before) as { segmentation: { frozen: { l2: number } } }).segmentation.frozen.l2
        } before, 0.5 now)`
      )
      assert.strictEqual(config(), before)
    }).pipe(Effect.provide(NodeServices.layer)), 60_000)

  it.live("is described, predicts, and is exported", () =>
    Effect.gen(function*() {
      yield* found(...flags, "--out", at("used"))
      const stage = at("used", "segment")
      const told = yield* said("inspect", stage)
      assert.match(told, /head +linear, on block 4/)
      assert.match(told, /pixel classes +2: background, <light>/)
      assert.match(told, /use it for +predict/)

      const images = ["--images", at("images", "val"), "--threads", "1"]
      const lines = (yield* said("predict", stage, ...images, "--json")).split("\n").map((line) =>
        JSON.parse(line) as Line
      )
      assert.lengthOf(lines, 4)
      for (const { shares } of lines) {
        assert.approximately(shares.reduce((sum, { share }) => sum + share, 0), 1, 1e-9)
      }
      const out = at("labels-of-val")
      const written = yield* found("predict", stage, ...images, "--out", out)
      const maps = ["0.png", "1.png", "2.png", "3.png"].map((name) => ({ image: name, map: name }))
      assert.deepInclude(written, { folder: out, images: 4, maps })
      const described = JSON.parse(readFileSync(join(out, "classes.json"), "utf8")) as {
        readonly classes: ReadonlyArray<Named>
        readonly images: ReadonlyArray<object>
      }
      assert.deepStrictEqual(described.images, maps)
      const named = described.classes
      assert.deepStrictEqual(named.map((one) => [one.label, one.class]), [[0, "background"], [1, "<light>"]])
      for (const { image, shares } of lines) {
        const file = join(out, image)
        const coloured = awaited(sharp(file).removeAlpha().raw().toBuffer())
        const bytes = readFileSync(file)
        const map = yield* Annotation.read(bytes, readFileSync(at("images", "val", image)), bounds)
        const pixels = yield* coloured
        map.data.forEach((label, i) =>
          assert.deepStrictEqual([...pixels.subarray(3 * i, 3 * i + 3)], named[label]!.colour)
        )
        const light = map.data.filter((label) => label === 1).length / map.data.length
        assert.approximately(shares.find((one) => one.class === "<light>")?.share ?? 0, light, 1e-9)
      }
      const again = yield* Effect.flip(said("predict", stage, ...images, "--out", out))
      assert.include(String(again), "there are files in this folder already")
      yield* found("predict", stage, ...images, "--out", out, "--replace")

      const file = at("segmenter.onnx")
      yield* found("export", stage, "--what", "segmentation", "--batch", "1", "--out", file)
      const inspected = yield* said("inspect", file)
      assert.match(inspected, /outputs +logits \[1, 2, 32, 32\]; labels \[1, 32, 32\]/)
      assert.notInclude(inspected, "teacher of a tokenizer")
    }).pipe(Effect.provide(NodeServices.layer)), 60_000)

  it.live("learns the head of a frozen network", () =>
    Effect.gen(function*() {
      const frozen = (yield* found(...flags, "--frozen", "--multi-scale", "--out", at("frozen"))) as unknown as Found
      assert.isAbove(frozen.found[0]!.meanIou, 0.2)
      assert.include(frozen.page, "segment-frozen.html")
    }).pipe(Effect.provide(NodeServices.layer)), 60_000)

  it.live(
    "refuses a tested split that ignores all pixels before it trains, where it opens images",
    () =>
      Effect.gen(function*() {
        mkdirSync(at("labels", "void"))
        for (const name of ["0.png", "1.png", "2.png", "3.png"]) {
          const { height, width } = yield* awaited(sharp(at("images", "val", name)).metadata())
          const raw = { width, height, channels: 1 } as const
          const blank = sharp(new Uint8Array(width * height).fill(255), { raw }).toColourspace("b-w").png()
          yield* awaited(blank.toFile(at("labels", "void", name)))
        }
        const splits = "  train: { folder: images/train, annotations: labels/train }\n" +
          "  val: { folder: images/val, annotations: labels/val }\n  void: { folder: images/val, annotations: labels/void }\n"
        writeFileSync(at("void.yaml"), `pixelClasses: [background, <light>]\nsplits:\n${splits}`)
        const asked = ["segment", "--from", at("run"), "--images", at("void.yaml"), "--config", at("settings.json")]
        for (const frozen of [[], ["--frozen"]]) {
          const out = at(`void${frozen.length}`)
          const given = [...asked, ...frozen, "--threads", "1", "--tests", "val,void", "--out", out]
          const error = yield* Effect.flip(said(...given))
          assert.strictEqual((error as { readonly [Runtime.errorExitCode]?: number })[Runtime.errorExitCode], 66)
          assert.include((error as Error).message, "void: no pixel of its annotations has a class")
          assert.isFalse(existsSync(out))
        }
        const late = [
          ...asked,
          "--frozen",
          "--check",
          "names",
          "--threads",
          "1",
          "--tests",
          "void",
          "--out",
          at("late")
        ]
        assert.include(
          ((yield* Effect.flip(said(...late))) as Error).message,
          "void: no pixel of its annotations has a class"
        )
        assert.isTrue(existsSync(at("late", "stages", "segment-frozen.safetensors")))
      }).pipe(Effect.provide(NodeServices.layer)),
    60_000
  )

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
