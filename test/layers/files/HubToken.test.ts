import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Redacted } from "effect"
import { createServer, type IncomingMessage, type RequestListener } from "node:http"
import type { AddressInfo } from "node:net"
import * as Hub from "../../../src/layers/files/Hub.ts"

const TOKEN = "hf_ThisIsAPlantedTokenOfTheTest"

const serve = Effect.fnUntraced(function*(listener: RequestListener) {
  const server = createServer(listener)
  yield* Effect.addFinalizer(() =>
    Effect.promise(() => {
      server.closeAllConnections()
      return new Promise<void>((done) => void server.close(() => done()))
    })
  )
  yield* Effect.promise(() => new Promise<void>((ready) => void server.listen(0, "127.0.0.1", ready)))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})

const names = ["config.json", "model.safetensors"]
const listing = (some: ReadonlyArray<string>) =>
  JSON.stringify(some.map((path) => ({ type: "file", path, size: 2, oid: "0" })))
const WHOLE = { etag: "\"0\"", "content-range": "bytes 0-1/2" }

const isList = ({ url = "" }: IncomingMessage) => url.startsWith("/api/")

type Way = (other: string) => RequestListener

const ways: ReadonlyArray<readonly [string, Way]> = [
  ["the next part of the list", (other) => (request, response) => {
    if (!isList(request)) return void response.writeHead(200, WHOLE).end("{}")
    response.writeHead(200, { link: `<${other}/api/models/a/b/tree/main?cursor=1>; rel="next"` }).end(listing(names))
  }],
  ["a redirect of the list", (other) => (request, response) => {
    if (isList(request)) return void response.writeHead(302, { location: `${other}${request.url}` }).end()
    response.writeHead(200, WHOLE).end("{}")
  }],
  ["a redirect of a file", (other) => (request, response) => {
    if (isList(request)) return void response.end(listing(names))
    response.writeHead(307, { location: `${other}${request.url}` }).end()
  }]
]

const cached = (request: IncomingMessage) => isList(request) ? {} : { ...WHOLE, "x-cache": "Hit from cloudfront" }

describe("the token of the Hub", () => {
  it.effect.each(ways)("never reaches another server: %s", ([, way]) =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const own: Array<string> = []
      const other = yield* serve((request, response) => {
        seen.push(JSON.stringify(request.headers))
        response.writeHead(200, cached(request)).end(isList(request) ? listing(names) : "{}")
      })
      const hubUrl = yield* serve((request, response) => {
        own.push(String(request.headers.authorization))
        way(other)(request, response)
      })
      const fs = yield* FileSystem.FileSystem
      const folder = `${yield* fs.makeTempDirectoryScoped()}/model`
      yield* Effect.exit(Hub.download("someone/model", folder, { hubUrl, token: Redacted.make(TOKEN) }))
      assert.isAbove(seen.length, 0)
      assert.notInclude(seen.join(), TOKEN)
      assert.include(own, `Bearer ${TOKEN}`)
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)))

  it.effect("stands in no error, nor does the password of an address", () =>
    Effect.gen(function*() {
      const hubUrl = yield* serve((request, response) => {
        const { authorization } = request.headers
        response.writeHead(418, { "content-type": "application/json" })
          .end(JSON.stringify({ error: `no ${authorization} at http://me:planted-password@there/` }))
      })
      const fs = yield* FileSystem.FileSystem
      const folder = yield* fs.makeTempDirectoryScoped()
      yield* fs.writeFileString(`${folder}/config.json`, "{}")
      yield* fs.writeFileString(`${folder}/model.safetensors`, "{}")
      const token = Redacted.make(TOKEN)
      const named = hubUrl.replace("http://", "http://me:planted-password@")
      const asked = [hubUrl, named, "http://me:planted-password@127.0.0.1:1"]
      for (const address of asked) {
        const down = yield* Effect.flip(Hub.download("someone/model", `${folder}/model`, { hubUrl: address, token }))
        const up = yield* Effect.flip(Hub.upload(folder, "someone/model", { hubUrl: address, token }))
        for (const error of [down, up]) {
          assert.notInclude(`${error.message} ${JSON.stringify(error)}`, TOKEN)
          assert.notInclude(`${error.message} ${JSON.stringify(error)}`, "planted-password")
        }
      }
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)))
})
