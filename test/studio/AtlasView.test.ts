import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Layer, Path } from "effect"
import * as Exported from "../../src/studio/Exported.ts"
import * as Opened from "../../src/studio/server/Opened.ts"
import * as Studio from "../../src/studio/Studio.ts"
import { CODES, HOSTILE, write } from "../e2e/atlasSample.ts"
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
      assert.strictEqual(list.text.split("<li data-code=").length, CODES)
      assert.include(list.text, `src="/runs/demo/files/atlas/patches/49.webp"`)
      assert.include(list.text, "pipelines/atlas/browser/CodeSearch")
      const picture = yield* ask(address, "/runs/demo/files/atlas/patches/49.webp")
      assert.deepStrictEqual([picture.text, picture.headers["content-type"]], ["picture 49", "image/webp"])
      const map = yield* ask(address, "/runs/demo/atlas/map")
      assert.include(map.text, `"code":"/runs/demo/atlas/codes/{code}"`)
      const script = /src="([^"]*MapCanvas[^"]*)"/.exec(map.text)?.[1]
      assert.include((yield* ask(address, script!)).text, "getContext")
      assert.include((yield* ask(address, "/runs/demo/atlas/codes/3")).text, "Near misses")
      const image = yield* ask(address, "/runs/demo/atlas/images/1")
      assert.include(image.text, "/runs/demo/atlas/codes/4")
      for (const page of [list, map, image]) assert.notInclude(page.text, HOSTILE)
      for (const inner of [`codes/${CODES}`, "codes/x", "images/99", "codes/1/2", "none"]) {
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

  it.effect("says how to make an atlas that is not there", () =>
    Effect.gen(function*() {
      const { address } = yield* serve
      assert.match(
        (yield* ask(address, "/runs/bare/atlas")).text,
        /<code>patchword atlas .*bare --images IMAGES<\/code>/
      )
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)))

  it.effect("is in one file with the pictures of its most frequent codes", () =>
    Effect.gen(function*() {
      const { root } = yield* serve
      const html = yield* Exported.render([root])
      const list = html.slice(html.indexOf(`id="run-`), html.length)
      assert.include(list, `src="data:image/webp;base64,${Buffer.from("picture 49").toString("base64")}"`)
      assert.strictEqual(list.split("<li data-code=").length - 1, 48)
      assert.notInclude(html, HOSTILE)
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)))
})
