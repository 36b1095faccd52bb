import { Effect } from "effect"
import { createHash } from "node:crypto"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"

export const TOKEN = "hf_test"

interface Server {
  readonly hubUrl: string
  readonly repositories: Map<string, Map<string, Buffer>>
  readonly visibility: Map<string, string>
  breaking: boolean
  answer: { readonly status: number; readonly text: string } | undefined
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

  const { answer } = server
  if (answer !== undefined) {
    response.writeHead(answer.status, { "content-type": "text/html" }).end(answer.text)
    return
  }
  if (path === "/api/repos/create") {
    if (!authorised) return json({ error: "Invalid credentials" }, 401)
    const { name, organization, visibility } = JSON.parse(content.toString())
    const full = `${organization}/${name}`
    if (server.repositories.has(full)) return json({ error: "You already created this model repo" }, 409)
    server.repositories.set(full, new Map())
    server.visibility.set(full, visibility)
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

/** A server that stands for the Hub. */
export const serving = Effect.gen(function*() {
  const http = createServer()
  yield* Effect.addFinalizer(() => Effect.promise(() => new Promise<void>((done) => http.close(() => done()))))
  yield* Effect.promise(() => new Promise<void>((ready) => http.listen(0, "127.0.0.1", ready)))
  const { port } = http.address() as AddressInfo
  const server: Server = {
    hubUrl: `http://127.0.0.1:${port}`,
    repositories: new Map(),
    visibility: new Map(),
    breaking: false,
    answer: undefined
  }
  http.on("request", (request, response) => void answered(server, request, response))
  return server
})
