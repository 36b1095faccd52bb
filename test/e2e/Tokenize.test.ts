import { NodeServices } from "@effect/platform-node"
import { assert, describe, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Page } from "playwright-core"
import sharp from "sharp"
import * as KeyedRandom from "../../src/domain/values/KeyedRandom.ts"
import * as Images from "../../src/layers/images/Images.ts"
import * as Weights from "../../src/layers/weights/Weights.ts"
import * as Parameter from "../../src/nn/blocks/Parameter.ts"
import * as Vqkd from "../../src/nn/tokenizer/Vqkd.ts"
import { encode } from "../../src/pipelines/evaluate/Encode.ts"
import * as Tokenizer from "../../src/pipelines/trained/Tokenizer.ts"
import type * as HostTensor from "../../src/shapes/HostTensor.ts"
import * as Studio from "../../src/studio/Studio.ts"
import { engine, micro } from "../pipelines/kit.ts"
import { makeRun } from "../studio/kit.ts"
import * as Browser from "./browser.ts"

const { tokenizer: config } = micro()

const weights = Weights.flatten(Parameter.initialise(Vqkd.spec(Tokenizer.sizes(config, 8)), 3))

const tokenizer: Tokenizer.Tokenizer = {
  config,
  teacherWidth: 8,
  tensors: {
    ...Object.fromEntries(
      Object.entries(weights).map(([name, tensor]) => [name, {
        ...tensor,
        data: Float32Array.from(tensor.data, (value, i) => 20 * value + 0.05 * Math.sin(i))
      } as HostTensor.Any])
    ),
    "quantize.embedding.weight": {
      shape: [16, 8],
      dtype: "float32",
      data: Float32Array.from({ length: 128 }, (_, i) => Math.sin(i * i))
    }
  }
}

const SIZES = [[32, 32], [100, 60], [41, 90], [333, 200], [33, 34]] as const

/** Pictures of several sizes, half of them with transparency. */
const draw = async (folder: string): Promise<ReadonlyArray<string>> =>
  Promise.all(
    Array.from({ length: 10 }, async (_, index) => {
      const [width, height] = SIZES[index % SIZES.length]!
      const channels = index % 2 === 0 ? 3 : 4
      const { uniform } = KeyedRandom.generator({ seed: 0, purpose: "picture", epoch: 0, index })
      const waves = Array.from({ length: 12 }, () => 0.3 * uniform())
      const data = Uint8Array.from({ length: width * height * channels }, (_, i) => {
        const [x, y, c] = [Math.floor(i / channels) % width, Math.floor(i / channels / width), i % channels]
        return 128 + 90 * Math.sin(waves[c]! * x + waves[c + 4]! * y + c) + 37 * uniform()
      })
      const file = join(folder, `${index}.png`)
      await sharp(data, { raw: { width, height, channels } }).png().toFile(file)
      return file
    })
  )

const written = Effect.fnUntraced(function*(runs: string) {
  const run = yield* makeRun(join(runs, "demo"))
  const model = { _tag: "Tokenizer", config, teacherWidth: tokenizer.teacherWidth } as const
  const made = { stage: "tokenizer", configDigest: "c", dataDigest: "d", step: 1, seed: 0, model }
  yield* Weights.write(
    join(run, "stages", "tokenizer.safetensors"),
    Weights.make(tokenizer.tensors, new Weights.Provenance(made))
  )
})

class Fixture extends Context.Service<Fixture, {
  readonly page: Page
  readonly folder: string
  readonly files: ReadonlyArray<string>
  readonly complaints: ReadonlyArray<string>
  readonly requests: ReadonlyArray<string>
  readonly origin: string
}>()("test/Fixture") {
  static readonly layer = Layer.effect(
    Fixture,
    Effect.gen(function*() {
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "patchword-tokenize-"))),
        (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
      )
      const files = yield* Effect.promise(() => draw(folder))
      const runs = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "patchword-tokenize-runs-"))),
        (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
      )
      yield* written(runs)
      const { address: origin } = Context.get(
        yield* Layer.build(Studio.layer({ runs: [runs], port: 0 })),
        Studio.Studio
      )
      const browser = yield* Browser.launch
      const page = yield* Effect.promise(() => browser.newPage())
      const complaints: Array<string> = []
      const requests: Array<string> = []
      page.on("console", (message) => message.type() === "error" && complaints.push(message.text()))
      page.on("pageerror", (error) => complaints.push(error.message))
      page.on("request", (request) => requests.push(request.url()))
      yield* Effect.promise(() => page.goto(`${origin}runs/demo/tokenize`, { waitUntil: "load" }))
      return { page, folder, files, complaints, requests, origin }
    })
  ).pipe(Layer.provide(NodeServices.layer))
}

const status = "[data-tokenize=status]"

describe("tokenizing an own picture in a browser", () => {
  layer(Layer.mergeAll(Fixture.layer, engine, NodeServices.layer), { timeout: 60_000 })((it) => {
    it.effect("gives the codes that patchword encode gives", () =>
      Effect.gen(function*() {
        const { complaints, files, folder, origin, page, requests } = yield* Fixture
        const set = yield* Effect.flatMap(Images.Images, ({ load }) => load("train")).pipe(
          Effect.provide(Images.layerFolder(folder))
        )
        const expected: Array<string> = []
        yield* encode(tokenizer, set, (some) =>
          Effect.sync(() =>
            some.forEach(({ codes, index }) => (expected[index] = codes.join(" ")))
          ))
        for (const [index, file] of files.entries()) {
          assert.strictEqual(set.describe(index), `${index}.png`)
          const found = yield* Effect.promise(async () => {
            await page.setInputFiles("[data-tokenize=file]", file)
            await page.waitForFunction(
              ([selector, name]) => document.querySelector(selector!)!.textContent!.startsWith(`${name}: `),
              [status, `${index}.png`]
            )
            return page.getAttribute("[data-tokenize=root]", "data-codes")
          })
          assert.strictEqual(found, expected[index], file)
        }
        assert.isAbove(new Set(expected.join(" ").split(" ")).size, 5)
        assert.deepStrictEqual(complaints, [])
        assert.deepStrictEqual(requests.filter((url) => !/^(?:data|blob):/.test(url) && !url.startsWith(origin)), [])
      }))

    it.effect("tells the code of each patch by keyboard, and what cannot be read", () =>
      Effect.gen(function*() {
        const { files, folder, page } = yield* Fixture
        const broken = join(folder, "no.txt")
        writeFileSync(broken, "no picture")
        const [readout, codes, refused] = yield* Effect.promise(async () => {
          await page.setInputFiles("[data-tokenize=file]", files[0]!)
          await page.waitForFunction((s) => document.querySelector(s)!.textContent!.startsWith("0.png: 16"), status)
          await page.focus("[data-tokenize=map]")
          await page.keyboard.press("ArrowDown")
          await page.keyboard.press("ArrowRight")
          const told = await page.textContent("[data-tokenize=readout]")
          const all = await page.getAttribute("[data-tokenize=root]", "data-codes")
          await page.setInputFiles("[data-tokenize=file]", broken)
          await page.waitForFunction((s) => document.querySelector(s)!.textContent!.includes("cannot"), status)
          return [told, all, await page.textContent(status)]
        })
        assert.match(readout!, new RegExp(`^row 2, column 2: code ${codes!.split(" ")[5]}, `))
        assert.match(refused!, /^no\.txt cannot be tokenized: the page reads whole JPEG, PNG, .* patchword encode/)
        const told = yield* Effect.promise(async () => {
          const file = join(folder, "print.jpg")
          await sharp(files[0]!).toColourspace("cmyk").jpeg().toFile(file)
          await page.setInputFiles("[data-tokenize=file]", file)
          await page.waitForFunction((s) => document.querySelector(s)!.textContent!.startsWith("print.jpg: 16"), status)
          return page.textContent(status)
        })
        assert.include(told!, "Careful: this is a CMYK JPEG. patchword encode can give other codes")
      }))
  })
})
