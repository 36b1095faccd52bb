import { Effect } from "effect"
import { createHash } from "node:crypto"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"

export interface Asked {
  readonly method: string
  readonly key: string
  readonly query: URLSearchParams
  readonly headers: IncomingMessage["headers"]
}

export interface Server {
  readonly endpoint: string
  readonly objects: Map<string, Buffer>
  before: (asked: Asked) => Promise<"fail" | "refuse" | "cut" | void> | "refuse" | void
}

const etagOf = (body: Buffer): string => `"${createHash("md5").update(body).digest("hex")}"`

const problem = (status: number, code: string) => ({ status, body: `<Error><Code>${code}</Code></Error>` })

export const serve = Effect.acquireRelease(
  Effect.promise(async () => {
    const objects = new Map<string, Buffer>()
    const uploads = new Map<string, Map<number, Buffer>>()
    const answer = ({ headers, key, method, query }: Asked, body: Buffer): {
      readonly status: number
      readonly body?: string | Buffer
      readonly etag?: string
      readonly modified?: string
    } => {
      const present = objects.get(key)
      if (!key.startsWith("bucket")) return problem(404, "NoSuchBucket")
      if (headers.authorization?.startsWith("AWS4-HMAC-SHA256 Credential=me/") !== true) {
        return problem(403, "AccessDenied")
      }
      if (createHash("sha256").update(body).digest("hex") !== headers["x-amz-content-sha256"]) {
        return problem(400, "XAmzContentSHA256Mismatch")
      }
      if (query.has("list-type")) {
        const keys = [...objects.keys()].map((one) => one.slice("bucket/".length)).toSorted()
        const found = keys.filter((one) => one.startsWith(query.get("prefix") ?? ""))
        const from = Number(query.get("continuation-token") ?? 0)
        const more = from + 2 < found.length ? `<NextContinuationToken>${from + 2}</NextContinuationToken>` : ""
        return { status: 200, body: found.slice(from, from + 2).map((one) => `<Key>${one}</Key>`).join("") + more }
      }
      const upload = uploads.get(query.get("uploadId") ?? "")
      if (method === "POST" && query.has("uploads")) {
        uploads.set(String(uploads.size), new Map())
        return { status: 200, body: `<UploadId>${uploads.size - 1}</UploadId>` }
      }
      if (method === "PUT" && upload !== undefined) {
        upload.set(Number(query.get("partNumber")), body)
        return { status: 200, etag: etagOf(body) }
      }
      if (method === "POST" && upload !== undefined) {
        const parts = [...upload].toSorted(([a], [b]) => a - b)
        const listed = parts.every(([number, part]) =>
          body.includes(`<PartNumber>${number}</PartNumber><ETag>${etagOf(part).replaceAll("\"", "&quot;")}</ETag>`)
        )
        if (!listed) return problem(400, "InvalidPart")
        objects.set(key, Buffer.concat(parts.map(([, part]) => part)))
        return { status: 200, body: "<CompleteMultipartUploadResult/>" }
      }
      if (method === "PUT") {
        const match = headers["if-match"]
        if (headers["if-none-match"] === "*" && present !== undefined) return problem(412, "PreconditionFailed")
        if (match !== undefined && present === undefined) return problem(404, "NoSuchKey")
        if (match !== undefined && match !== etagOf(present!)) return problem(412, "PreconditionFailed")
        objects.set(key, body)
        return { status: 200, etag: etagOf(body) }
      }
      if (method === "DELETE") {
        objects.delete(key)
        return { status: 204 }
      }
      if (present === undefined) return problem(404, "NoSuchKey")
      const [, last] = /^bytes=0-(\d+)$/.exec(headers.range ?? "") ?? []
      const found = { etag: etagOf(present), modified: "Sat, 01 Nov 2025 10:00:00 GMT" }
      return last === undefined
        ? { status: 200, body: present, ...found }
        : { status: 206, body: present.subarray(0, Number(last) + 1), ...found }
    }
    const handle = async (request: IncomingMessage, response: ServerResponse) => {
      const parts: Array<Buffer> = []
      for await (const part of request) parts.push(part as Buffer)
      const { pathname, searchParams: query } = new URL(request.url!, "http://host")
      const { headers, method = "" } = request
      const asked = { method, key: decodeURIComponent(pathname.slice(1)), query, headers }
      const fault = await server.before(asked)
      if (fault === "refuse") return response.writeHead(403).end("<Error><Code>AccessDenied</Code></Error>")
      if (fault === "fail") return response.writeHead(503).end("<Error><Code>SlowDown</Code></Error>")
      const { body, etag, modified, status } = answer(asked, Buffer.concat(parts))
      if (fault === "cut") return request.socket.destroy()
      response.writeHead(status, {
        ...(etag && { etag }),
        ...(modified && { "last-modified": modified })
      }).end(body)
    }
    const http = createServer((request, response) => void handle(request, response))
    await new Promise<void>((done) => http.listen(0, "127.0.0.1", done))
    const server: Server = {
      endpoint: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
      objects,
      before: () => undefined
    }
    return { server, http }
  }),
  ({ http }) =>
    Effect.sync(() => {
      http.close()
      http.closeAllConnections()
    })
).pipe(Effect.map(({ server }) => server))
