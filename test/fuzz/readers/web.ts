/** Readers of the network: answers of the Hub, and requests to the studio. */
import { Effect, Layer, ManagedRuntime } from "effect"
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs"
import { createServer, type Server } from "node:http"
import { type AddressInfo, connect } from "node:net"
import { dirname, join } from "node:path"
import * as Hub from "../../../src/layers/files/Hub.ts"
import * as Studio from "../../../src/studio/Studio.ts"
import type { Files, Reader, Shown } from "../Case.ts"
import type { Draw } from "../Draw.ts"
import * as Hostile from "../Hostile.ts"
import * as Mutation from "../Mutation.ts"
import { makeRun } from "./runs.ts"
import * as Seeds from "./seeds.ts"

interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** What the server answers: to the list of files, and to each file. */
interface Script {
  readonly tree: Answer
  readonly file: Answer
}

const json = (value: unknown): Answer => ({
  status: 200,
  headers: { "content-type": "application/json" },
  body: JSON.stringify(value)
})

const tree = (names: ReadonlyArray<string>): Answer =>
  json(names.map((path) => ({ type: "file", path, size: 5, oid: "0" })))

const whole = (body: string): Answer => ({
  status: 200,
  headers: { etag: "\"0\"", "content-length": String(Buffer.byteLength(body)) },
  body
})

const scriptOf = (script: Script): Files => ({ "script.json": JSON.stringify(script) })

const headersOf = (draw: Draw): Readonly<Record<string, string>> => ({
  [
    draw.of([
      "content-type",
      "etag",
      "link",
      "location",
      "content-length",
      "content-range",
      "x-linked-size",
      "x-linked-etag",
      "x-xet-hash",
      "content-encoding",
      "x-repo-commit"
    ])
  ]: draw.of([
    "application/json",
    "text/html",
    "<http://127.0.0.1:1/next>; rel=\"next\"",
    "<@self/api/models/a/b/tree/main>; rel=\"next\"",
    "</api/models/a/b/tree/main?cursor=1>; rel=\"next\"",
    "http://127.0.0.1:1/",
    "/a/b/resolve/main/config.json",
    "file:///etc/passwd",
    "99999999999999999999",
    "-1",
    "gzip",
    "br",
    "bytes 0-0/18446744073709551616",
    "bytes 0-0/5",
    "\"x\""
  ])
})

const scriptMade = (draw: Draw): Files => {
  const answer = (usual: Answer): Answer => {
    if (draw.chance(0.4)) return usual
    const status = draw.chance(0.5)
      ? usual.status
      : draw.of([200, 204, 206, 302, 307, 401, 403, 404, 416, 429, 500, 503])
    const headers = draw.chance(0.5) ? usual.headers : { ...usual.headers, ...headersOf(draw) }
    return {
      status,
      headers,
      body: draw.chance(0.5) ? usual.body : draw.chance(0.7) ? Mutation.json(draw, usual.body) : Hostile.json(draw)
    }
  }
  const names = draw.chance(0.5)
    ? ["config.json", "model.safetensors"]
    : [
      Hostile.name(draw),
      "config.json",
      draw.of(["model.safetensors", "../outside/model.safetensors", "model-1-of-2.safetensors"])
    ]
  return scriptOf({ tree: answer(tree(names)), file: answer(whole("{\"a\":1}")) })
}

let hubServer: Promise<Server> | undefined
let script: Script | undefined

const serve = (): Promise<Server> =>
  hubServer ??= new Promise((resolve) => {
    const server = createServer((request, response) => {
      const { body, headers, status } = (request.url ?? "").startsWith("/api/") ? script!.tree : script!.file
      request.resume()
      const known = Number.isInteger(status) && status >= 200 && status < 600 ? status : 200
      try {
        response.writeHead(
          known,
          "said",
          Object.fromEntries(
            Object.entries(headers).map((
              [name, value]
            ) => [name, value.replace("@self", `http://${request.headers.host}`)])
          )
        )
      } catch {
        response.writeHead(known, "said")
      }
      response.end(known === 204 || known === 304 ? undefined : typeof body === "string" ? body : "")
    })
    server.unref()
    server.listen(0, "127.0.0.1", () => resolve(server))
  })

export const hub: Reader = {
  name: "hub",
  tests: 40,
  seeds:
    async () => [scriptOf({ tree: tree(["config.json", "model.safetensors", "README.md"]), file: whole("hello") })],
  make: (draw) => scriptMade(draw),
  read: (folder) =>
    Effect.gen(function*() {
      const server = yield* Effect.promise(serve)
      try {
        script = JSON.parse(readFileSync(join(folder, "script.json"), "utf8"))
        if (typeof script?.tree?.status !== "number" || typeof script?.file?.status !== "number") return {}
      } catch {
        return {}
      }
      const { port } = server.address() as AddressInfo
      const names = yield* Hub.download("someone/model", join(folder, "model"), { hubUrl: `http://127.0.0.1:${port}` })
      const strange = names.find((name) => dirname(name) !== "." || !existsSync(join(folder, "model", name)))
      return strange === undefined ? {} : { wrong: `a file has the place ${strange}` }
    })
}

const REQUEST = "request.txt"

const PATHS = [
  "/",
  "/runs/demo/overview",
  "/runs/demo/training",
  "/runs/demo/atlas/codes/1",
  "/runs/demo/files/atlas/patches/0.webp",
  "/runs/demo/report.html",
  "/runs/demo/notes",
  "/compare?run=demo",
  "/assets/style.css",
  "/runs/demo/tokenize/x.json"
]

const SEGMENTS = [
  "..",
  ".",
  "%2e%2e",
  "%2F",
  "%5c",
  "%00",
  "%",
  "%zz",
  "demo",
  "files",
  "atlas",
  "outside",
  "secret.json",
  "config.json",
  "",
  "a".repeat(5000),
  "%ff%fe",
  "?x",
  "#y",
  ";",
  "con",
  "a:b",
  "__proto__",
  "constructor"
]

const requestMade = (draw: Draw): Files => {
  const path = draw.chance(0.4)
    ? draw.of(PATHS)
    : `${draw.of([...PATHS, "/runs/demo/files/", "/assets/", "/runs/"])}/${
      Array.from({ length: 1 + draw.below(6) }, () =>
        draw.chance(0.7) ? draw.of(SEGMENTS) : encodeURIComponent(Hostile.name(draw).replaceAll("\ud800", ""))).join(
          "/"
        )
    }`
  const method = draw.of(["GET", "GET", "GET", "HEAD", "POST", "PUT", "OPTIONS", "TRACE", "DELETE", "get"])
  const body = draw.chance(0.6)
    ? ""
    : draw.of([
      `tag=${encodeURIComponent(Hostile.MARKUP)}`,
      `note=${encodeURIComponent(`${Hostile.MARKUP} x${Hostile.ATTRIBUTE}`)}`,
      "untag=good",
      "forget=1",
      "note=%",
      "a&b&c",
      "x".repeat(200_000)
    ])
  const headers = [
    `Host: ${
      draw.chance(0.85) ? "127.0.0.1" : draw.of(["evil.example", "", "127.0.0.1:99999", "[::1]", "localhost."])
    }`,
    ...(draw.chance(0.5) ? ["Origin: http://127.0.0.1"] : []),
    ...(draw.chance(0.3)
      ? [
        draw.of([
          "Range: bytes=0-",
          "Range: bytes=5-2",
          "Range: bytes=-99999999999",
          "If-None-Match: *",
          "Cookie: a=b; __proto__=1",
          "Accept-Encoding: gzip",
          "Transfer-Encoding: chunked",
          "Content-Type: application/x-www-form-urlencoded",
          "Expect: 100-continue",
          "Last-Event-ID: 9999999999999999999"
        ])
      ]
      : []),
    `Content-Length: ${body.length}`,
    "Connection: close"
  ]
  const text = [`${method} ${path} HTTP/1.1`, ...headers, "", body].join("\r\n")
  return { [REQUEST]: draw.chance(0.15) ? Mutation.bytes(draw, Buffer.from(text)) : text }
}

interface Served {
  readonly port: number
}

let studio: Promise<Served> | undefined

const begin = (folder: string): Promise<Served> =>
  studio ??= (async () => {
    const runs = join(dirname(folder), "..", `${dirname(folder).split("/").at(-1)}-studio`)
    await Seeds.written((scratch) => makeRun(`${scratch}/x`))
    const NodeServices = await import("@effect/platform-node/NodeServices")
    mkdirSync(`${runs}/runs`, { recursive: true })
    process.once("exit", () => rmSync(runs, { recursive: true, force: true }))
    await Effect.runPromise(Effect.provide(makeRun(`${runs}/runs/demo`), NodeServices.layer))
    const runtime = ManagedRuntime.make(Studio.layer({ runs: [`${runs}/runs`], port: 0 }) as Layer.Layer<Studio.Studio>)
    const { address } = await runtime.runPromise(Studio.Studio)
    return { port: Number(new URL(address).port) }
  })()

const LONGEST_ANSWER = 2000

const asked = (port: number, request: Uint8Array): Promise<string> =>
  new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1")
    const chunks: Array<Uint8Array> = []
    const done = () => {
      socket.destroy()
      resolve(Buffer.concat(chunks).toString())
    }
    socket.setTimeout(LONGEST_ANSWER, done)
    socket.on("data", (chunk) => void chunks.push(chunk))
    socket.on("error", done)
    socket.on("close", done)
    socket.end(request)
  })

const judged = (answer: string): Shown => {
  const [head = "", body = ""] = answer.split(/\r\n\r\n(.*)/s, 2)
  const status = Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1])
  if (status >= 500 && body === "") return { wrong: `the studio fails: ${head.slice(0, 200)}` }
  if (status === 200 && !/content-security-policy/i.test(head)) {
    return { wrong: `an answer has no policy: ${head.slice(0, 200)}` }
  }
  return { html: body }
}

export const studioRequests: Reader = {
  name: "studio",
  tests: 60,
  seeds: async () =>
    PATHS.map((path) => ({ [REQUEST]: `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n` })),
  make: (draw) => requestMade(draw),
  read: (folder) =>
    Effect.promise(async () => {
      const { port } = await begin(folder)
      try {
        return judged(await asked(port, readFileSync(join(folder, REQUEST))))
      } catch {
        return {}
      }
    })
}
