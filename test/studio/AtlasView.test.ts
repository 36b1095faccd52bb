import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Layer, Path } from "effect"
import sharp from "sharp"
import * as Weights from "../../src/layers/weights/Weights.ts"
import * as PartProblems from "../../src/pipelines/artifacts/PartProblems.ts"
import * as Atlas from "../../src/pipelines/atlas/Atlas.ts"
import * as Sprites from "../../src/pipelines/atlas/Sprites.ts"
import * as Registry from "../../src/pipelines/runs/Registry.ts"
import * as Exported from "../../src/studio/Exported.ts"
import * as Opened from "../../src/studio/server/Opened.ts"
import * as Studio from "../../src/studio/Studio.ts"
import { CODES, HOSTILE, write } from "../e2e/atlasSample.ts"
import { digestOf } from "../layers/weights/digestOf.ts"
import { micro } from "../pipelines/kit.ts"
import { ask, makeRun } from "./kit.ts"

const serve = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const root = yield* fs.makeTempDirectoryScoped()
  const [demo, bare] = [path.join(root, "demo"), path.join(root, "bare")]
  yield* makeRun(demo)
  yield* makeRun(bare)
  yield* write(demo, [49, 99])
  const context = yield* Layer.build(Studio.layer({ port: 0, runs: [root] }))
  const address = yield* Effect.provideContext(Effect.map(Studio.Studio, (studio) => studio.address), context)
  return { address, root }
})

describe("the atlas in the studio", () => {
  it.effect("has a list, a map, and a page for each code and image", () =>
    Effect.gen(function*() {
      const { address } = yield* serve
      const list = yield* ask(address, "/runs/demo/atlas")
      assert.strictEqual(list.text.split("<li id=\"code-").length, 1 + 96)
      assert.match(list.text, /url\(&quot;\/runs\/demo\/atlas-parts\/strips\/49-99-[\d-]+\.webp/)
      const rest = yield* ask(address, "/runs/demo/atlas/list/576")
      assert.strictEqual(rest.text.split("<li id=\"code-").length, 1 + CODES - 1 - 576)
      assert.include(rest.text, `<a href="/runs/demo/atlas/list/480">More frequent codes</a>`)
      assert.include(list.text, "pipelines/atlas/browser/CodeSearch")
      const picture = yield* ask(address, "/runs/demo/files/atlas/patches/49.webp")
      assert.deepStrictEqual([picture.status, picture.headers["content-type"]], [200, "image/webp"])
      const map = yield* ask(address, "/runs/demo/atlas/map")
      assert.include(map.text, `"code":"/runs/demo/atlas/codes/{code}"`)
      const script = /src="([^"]*MapCanvas[^"]*)"/.exec(map.text)?.[1]
      assert.include((yield* ask(address, script!)).text, "getContext")
      assert.include((yield* ask(address, "/runs/demo/atlas/codes/3")).text, "Near misses")
      const image = yield* ask(address, "/runs/demo/atlas/images/1")
      assert.include(image.text, "/runs/demo/atlas/codes/4")
      for (const page of [list, map, image]) assert.notInclude(page.text, HOSTILE)
      for (
        const inner of [
          `list/${CODES}`,
          "list/x",
          `codes/${CODES}`,
          "codes/x",
          "images/99",
          "images/from/7",
          "codes/3/images/x",
          "codes/3/other/0",
          "codes/1/2",
          "none"
        ]
      ) {
        assert.strictEqual((yield* ask(address, `/runs/demo/atlas/${inner}`)).status, 404, inner)
      }
      for (const code of [String(CODES), "-1", "x"]) {
        assert.include(
          (yield* ask(address, `/runs/demo/atlas/codes/${code}`)).text,
          `There is no code ${code}. The codes of this atlas are 0 to ${CODES - 1}.`
        )
      }
      assert.include(
        (yield* ask(address, "/runs/demo/atlas/images/99")).text,
        "There is no image 99. The images of this atlas are 0 to 6."
      )
      assert.include(
        (yield* ask(address, "/runs/demo/atlas/codes/3")).text,
        "patches/3.webp is damaged (it is missing)"
      )
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)))

  it.effect("has one picture for many codes, and one for an image", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const { root } = yield* serve
      const atlas = yield* Atlas.open(`${root}/demo`)
      const decode = (bytes: Uint8Array) =>
        Effect.promise(() => sharp(bytes).ensureAlpha().raw().toBuffer({ resolveWithObject: true }))
      const { data, info } = yield* decode(yield* Sprites.strips(atlas, [49, 3, 99]))
      const at = (x: number, y: number) => Array.from(data.subarray(4 * (y * info.width + x)).subarray(0, 4))
      assert.deepStrictEqual([info.width, info.height], [17, 26])
      const [red, none, cross] = [[255, 0, 0, 255], [0, 0, 0, 0], [224, 32, 32, 255]]
      assert.deepStrictEqual([at(0, 0), at(16, 7), at(0, 8), at(0, 18)], [red, red, none, red])
      assert.deepStrictEqual([at(0, 9), at(7, 9), at(3, 9)], [cross, cross, none])
      const image = { image: 0, name: "", label: "", grid: { height: 1, width: 2 }, codes: [3, 99] }
      const mosaic = yield* decode(yield* Sprites.mosaic(atlas, image))
      assert.deepStrictEqual([mosaic.info.width, mosaic.info.height], [16, 8])
      assert.deepStrictEqual(Array.from(mosaic.data.subarray(0, 8)), [...cross, ...none])
      assert.deepStrictEqual(Array.from(mosaic.data.subarray(4 * 12, 4 * 13)), red)
      yield* fs.writeFileString(`${root}/demo/atlas/patches/99.webp`, "no picture")
      const damaged = yield* decode(yield* Sprites.strips(atlas, [99]))
      assert.deepStrictEqual(Array.from(damaged.data.subarray(0, 4)), cross)
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)))

  it.effect("serves no part that does not exist", () =>
    Effect.gen(function*() {
      const { address } = yield* serve
      const parts = "/runs/demo/atlas-parts"
      for (const name of ["codes.json", "strips/49-99.webp", "strips/3.webp", "mosaics/1.webp", "thumbnails/6.webp"]) {
        const first = yield* ask(address, `${parts}/${name}`)
        assert.strictEqual(first.status, 200, name)
        const again = { headers: { "if-none-match": String(first.headers["etag"]) } }
        assert.strictEqual((yield* ask(address, `${parts}/${name}`, again)).status, 304, name)
      }
      const many = Array.from({ length: 65 }, (_, code) => code).join("-")
      for (
        const name of [
          "none",
          "strips/.webp",
          "strips/600.webp",
          "strips/1-.webp",
          `strips/${many}.webp`,
          "mosaics/7.webp",
          "thumbnails/7.webp"
        ]
      ) {
        assert.strictEqual((yield* ask(address, `${parts}/${name}`)).status, 404, name)
      }
      assert.include((yield* ask(address, "/runs/bare/atlas-parts/codes.json")).text, "there is no atlas in it")
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)))

  it.effect("is opened once, and again when it was made again or removed", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const { address, root } = yield* serve
      const opened: Array<string> = []
      const counting = FileSystem.make({
        ...fs,
        open: (file, options) => {
          opened.push(file)
          return fs.open(file, options)
        }
      })
      const run = `${root}/demo`
      const readers = yield* Opened.make
      const times = readers.atlas(run).pipe(
        Effect.provideService(FileSystem.FileSystem, counting),
        Effect.map(() => opened.filter((file) => file.endsWith("codes.safetensors")).length)
      )
      assert.deepStrictEqual(yield* Effect.all([times, times, times], { concurrency: 2 }), [1, 1, 1])
      const told = ask(address, "/runs/demo/atlas").pipe(
        Effect.map(({ text }) => /among the (.*?) patches|(This run has no atlas)/.exec(text)?.slice(1))
      )
      assert.deepStrictEqual(yield* told, ["28", undefined])
      yield* write(run, [49, 99], { patches: 56 })
      assert.strictEqual(yield* times, 2)
      assert.deepStrictEqual(yield* told, ["56", undefined])
      yield* fs.remove(`${run}/atlas`, { recursive: true })
      const error = yield* Effect.flip(readers.atlas(run))
      assert.strictEqual(error._tag === "AtlasError" && error.reason._tag, "NoAtlas")
      assert.deepStrictEqual(yield* told, [undefined, "This run has no atlas"])
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)))

  it.effect("is told to be that of another tokenizer than the run has", () =>
    Effect.gen(function*() {
      const { address, root } = yield* serve
      const { tokenizer: config } = micro()
      const put = (value: number) => {
        const tensors = { weight: { shape: [1], dtype: "float32", data: Float32Array.of(value) } } as const
        const model = { _tag: "Tokenizer", config, teacherWidth: 8 } as const
        const made = { stage: "tokenizer", configDigest: "c", dataDigest: "d", step: 1, seed: 0, model }
        const weights = Weights.make(tensors, new Weights.Provenance(made))
        return Effect.as(Weights.write(`${root}/demo/stages/tokenizer.safetensors`, weights), digestOf(tensors))
      }
      const page = ask(address, "/runs/demo/atlas").pipe(
        Effect.map(({ text }) => /Careful: the atlas was made of other weights[^<]*/.exec(text)?.[0])
      )
      assert.isUndefined(yield* page)
      const digest = yield* put(1)
      const told = `other weights than the run has now (SHA-256 0; now tokenizer ${digest.slice(0, 12)})`
      assert.include(yield* page, told)
      const problems = Effect.flatMap(Registry.read(`${root}/demo`), PartProblems.of)
      assert.include((yield* problems).join("\n"), told)
      assert.include(yield* Exported.render([root]), told)
      yield* write(`${root}/demo`, [49], {}, digest)
      assert.isUndefined(yield* page)
      assert.notInclude((yield* problems).join("\n"), "other weights")
      yield* put(2)
      assert.isDefined(yield* page)
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)))

  it.effect("says how to make an atlas that is not there", () =>
    Effect.gen(function*() {
      const { address } = yield* serve
      assert.match(
        (yield* ask(address, "/runs/bare/atlas")).text,
        /<code>patchword atlas .*bare --images IMAGES<\/code>/
      )
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)))

  it.effect("is in one file with its map and the pictures of its codes", () =>
    Effect.gen(function*() {
      const { root } = yield* serve
      const html = yield* Exported.render([root])
      assert.strictEqual(html.split("<li id=\"run-1-atlas-code-").length, CODES)
      assert.isAbove(html.split("url(&quot;data:image/webp;base64,").length, CODES / 32)
      assert.include(html, "All 599 codes that occur are in this file.")
      assert.include(html, `"code":"#run-1-atlas-code-{code}"`)
      assert.notInclude(html, HOSTILE)
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)))
})
