import { assert, describe, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { extname } from "node:path"
import type { Page } from "playwright-core"
import { build } from "vite"
import * as Engine from "../../src/layers/engine/Engine.ts"
import * as Browser from "./browser.ts"
import { agree } from "./webAgree.ts"
import { all } from "./webPrograms.ts"

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".wasm": "application/wasm"
}

const bundled = Effect.promise(async () => {
  const built = await build({
    configFile: false,
    logLevel: "error",
    root: import.meta.dirname,
    build: {
      write: false,
      minify: false,
      target: "esnext",
      rolldownOptions: { input: `${import.meta.dirname}/webPage.ts`, output: { entryFileNames: "page.js" } }
    }
  })
  if (!("output" in built)) throw new Error("a bundle was expected")
  return new Map<string, string | Uint8Array>([
    ["/", "<!doctype html><link rel=\"icon\" href=\"data:,\"><script type=\"module\" src=\"/page.js\"></script>"],
    ...built.output.map((file) => [`/${file.fileName}`, file.type === "chunk" ? file.code : file.source] as const)
  ])
})

const served = (files: ReadonlyMap<string, string | Uint8Array>) =>
  Effect.acquireRelease(
    Effect.callback<ReturnType<typeof createServer>>((resume) => {
      const server = createServer(({ url = "/" }, response) => {
        const file = files.get(url)
        response.writeHead(file === undefined ? 404 : 200, { "content-type": TYPES[extname(url)] ?? "text/html" })
        response.end(file)
      })
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.promise(() => new Promise((resolve) => server.close(resolve)))
  )

class Fixture extends Context.Service<Fixture, {
  readonly page: Page
  readonly requests: ReadonlyArray<string>
  readonly origin: string
}>()("test/Fixture") {
  static readonly layer = Layer.effect(
    Fixture,
    Effect.gen(function*() {
      const server = yield* served(yield* bundled)
      const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
      const browser = yield* Browser.launch
      const page = yield* Effect.promise(() => browser.newPage())
      const requests: Array<string> = []
      page.on("request", (request) => requests.push(request.url()))
      yield* Effect.promise(() => page.goto(`${origin}/`, { waitUntil: "load" }))
      return { page, requests, origin }
    })
  )
}

const inBrowser = Effect.fnUntraced(function*(options: Engine.OnnxWebOptions) {
  const { page } = yield* Fixture
  return yield* Effect.promise(() => page.evaluate((given) => globalThis.patchword(given), options))
})

describe("in a browser", () => {
  layer(Fixture.layer, { timeout: 60_000 })((it) => {
    it.effect("codes and steps are Node's", () =>
      Effect.gen(function*() {
        const found = yield* inBrowser({})
        agree(found, yield* Effect.provide(all, Engine.layerOnnx()))
      }))

    it.effect("a provider that cannot be had is not replaced by another", () =>
      Effect.gen(function*() {
        const { page } = yield* Fixture
        const message = yield* Effect.promise(() =>
          page.evaluate(() => globalThis.patchword({ provider: "webgpu" }).then(() => "", String))
        )
        assert.match(message, /the provider "webgpu" cannot be used \(.*Failed to get GPU adapter/)
      }))

    it.effect("nothing is asked of anyone else", () =>
      Effect.gen(function*() {
        const { origin, requests } = yield* Fixture
        assert.isAbove(requests.length, 2)
        assert.deepStrictEqual(requests.filter((url) => !/^(?:data|blob):/.test(url) && !url.startsWith(origin)), [])
      }))
  })
})
