import { NodeServices } from "@effect/platform-node"
import { assert, describe, layer } from "@effect/vitest"
import { Effect, FileSystem, Redacted, Runtime } from "effect"
import { createHash } from "node:crypto"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import * as Hub from "../../../src/layers/files/Hub.ts"

const TOKEN = "hf_test"

interface Server {
  readonly hubUrl: string
  readonly repositories: Map<string, Map<string, Buffer>>
  breaking: boolean
}

const body = async (request: IncomingMessage): Promise<Buffer> => {
  const parts: Array<Buffer> = []
  for await (const part of request) parts.push(part)
  return Buffer.concat(parts)
}

const answered = async (server: Server, request: IncomingMessage, response: ServerResponse): Promise<void> => {
  const json = (value: unknown, status = 200) => {
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value))
  }
  const path = decodeURIComponent(new URL(request.url!, server.hubUrl).pathname)
  const stored = (name: string) => server.repositories.get(name)
  const authorised = request.headers.authorization === `Bearer ${TOKEN}`
  const content = await body(request)

  if (path === "/api/repos/create") {
    if (!authorised) return json({ error: "Invalid credentials" }, 401)
    const { name, organization } = JSON.parse(content.toString())
    const full = `${organization}/${name}`
    if (server.repositories.has(full)) return json({ error: "You already created this model repo" }, 409)
    server.repositories.set(full, new Map())
    return json({ url: `${server.hubUrl}/${full}`, id: full })
  }
  const tree = /^\/api\/models\/([^/]+\/[^/]+)\/tree\/main/.exec(path)
  if (tree !== null) {
    const files = stored(tree[1]!)
    if (files === undefined) return json({ error: "Repository not found" }, 404)
    return json(Array.from(files, ([name, { length }]) => ({ type: "file", path: name, size: length, oid: "0" })))
  }
  const resolved = /^\/([^/]+\/[^/]+)\/resolve\/main\/(.+)$/.exec(path)
  if (resolved !== null) {
    const file = stored(resolved[1]!)!.get(resolved[2]!)!
    const etag = `"${createHash("sha256").update(file).digest("hex")}"`
    if (request.headers.range === "bytes=0-0") {
      response.writeHead(206, { etag, "content-range": `bytes 0-0/${file.length}` }).end(file.subarray(0, 1))
      return
    }
    response.writeHead(200, { etag, "content-length": file.length })
    if (!server.breaking) return void response.end(file)
    response.write(file.subarray(0, file.length / 2), () => response.destroy())
    return
  }
  const committing = /^\/api\/models\/([^/]+\/[^/]+)\/(preupload|commit)\/main$/.exec(path)
  if (committing !== null) {
    const files = stored(committing[1]!)
    if (files === undefined || !authorised) return json({ error: "Forbidden" }, 403)
    if (committing[2] === "preupload") {
      const { files: sent } = JSON.parse(content.toString())
      return json({ files: sent.map((file: { path: string }) => ({ path: file.path, uploadMode: "regular" })) })
    }
    for (const line of content.toString().trim().split("\n").map((text) => JSON.parse(text))) {
      if (line.key === "file") files.set(line.value.path, Buffer.from(line.value.content, "base64"))
    }
    return json({ success: true, commitOid: "c0ffee", commitUrl: `${server.hubUrl}/commit/c0ffee`, hookOutput: "" })
  }
  json({ error: `no ${path}` }, 404)
}

const serving = Effect.acquireRelease(
  Effect.promise(async () => {
    const http = createServer()
    await new Promise<void>((ready) => http.listen(0, "127.0.0.1", ready))
    const { port } = http.address() as AddressInfo
    const server: Server = { hubUrl: `http://127.0.0.1:${port}`, repositories: new Map(), breaking: false }
    http.on("request", (request, response) => void answered(server, request, response))
    return { http, server }
  }),
  ({ http }) => Effect.promise(() => new Promise<void>((done) => http.close(() => done())))
).pipe(Effect.map(({ server }) => server))

const token = Redacted.make(TOKEN)

const model = Effect.fnUntraced(function*() {
  const fs = yield* FileSystem.FileSystem
  const folder = yield* fs.makeTempDirectoryScoped()
  yield* fs.writeFileString(`${folder}/config.json`, "{\"model_type\":\"beit\"}")
  yield* fs.writeFile(`${folder}/model.safetensors`, Uint8Array.from({ length: 5000 }, (_, i) => (i * 7) % 256))
  yield* fs.writeFileString(`${folder}/README.md`, "# Model\n")
  yield* fs.writeFileString(`${folder}/notes.txt`, "mine")
  return folder
})

describe("the Hub", () => {
  layer(NodeServices.layer)((it) => {
    it.effect("takes a model folder and gives it back", () =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const { hubUrl, repositories } = yield* serving
        const folder = yield* model()
        const address = yield* Hub.upload(folder, "someone/model", { hubUrl, token })
        assert.strictEqual(address, `${hubUrl}/commit/c0ffee`)
        assert.sameMembers([...repositories.get("someone/model")!.keys()], [
          "README.md",
          "config.json",
          "model.safetensors"
        ])
        yield* Hub.upload(folder, "someone/model", { hubUrl, token })

        const target = `${folder}/fetched`
        const names = yield* Hub.download("someone/model", target, { hubUrl })
        assert.sameMembers([...names], yield* fs.readDirectory(target))
        for (const name of names) {
          assert.deepStrictEqual(yield* fs.readFile(`${target}/${name}`), yield* fs.readFile(`${folder}/${name}`))
        }
      }))

    it.effect("leaves nothing of what broke off, and keeps what was there", () =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const server = yield* serving
        const { hubUrl } = server
        const folder = yield* model()
        yield* Hub.upload(folder, "someone/model", { hubUrl, token })
        const target = `${folder}/fetched`
        yield* Hub.download("someone/model", target, { hubUrl })
        server.breaking = true
        const error = yield* Effect.flip(Hub.download("someone/model", target, { hubUrl }))
        assert.strictEqual(error.reason._tag, "Unreachable")
        assert.strictEqual(error[Runtime.errorExitCode], 69)
        assert.strictEqual((yield* fs.readFile(`${target}/model.safetensors`)).length, 5000)
        assert.deepStrictEqual((yield* fs.readDirectory(folder)).filter((name) => name.startsWith(".tmp")), [])
      }))

    it.effect("says what is not there, and what is not allowed", () =>
      Effect.gen(function*() {
        const { hubUrl, repositories } = yield* serving
        const folder = yield* model()
        const missing = yield* Effect.flip(Hub.download("someone/nothing", `${folder}/x`, { hubUrl }))
        assert.match(missing.message, /^someone\/nothing: there is no such repository.*give a token/)
        assert.strictEqual(missing[Runtime.errorExitCode], 66)
        const refused = yield* Effect.flip(
          Hub.upload(folder, "someone/model", { hubUrl, token: Redacted.make("hf_wrong") })
        )
        assert.match(refused.message, /^someone\/model: the Hub refused \(Invalid credentials/)
        assert.strictEqual(refused[Runtime.errorExitCode], 69)
        repositories.set("someone/other", new Map([["data.csv", Buffer.from("1")]]))
        const empty = yield* Effect.flip(Hub.download("someone/other", `${folder}/x`, { hubUrl }))
        assert.include(empty.message, "none of the files of a model (data.csv)")
        const nowhere = yield* Effect.flip(Hub.upload(`${folder}/none`, "someone/model", { hubUrl, token }))
        assert.strictEqual(nowhere[Runtime.errorExitCode], 66)
      }))
  })
})
