/** Answers of the studio: pages, assets, files, refusals. */
import { Effect, FileSystem } from "effect"
import { type HttpServerRequest, HttpServerResponse } from "effect/http"
import type { Asset } from "./Assets.ts"
import * as Headers from "./Headers.ts"
import type { Served } from "./RunFiles.ts"

type Request = HttpServerRequest.HttpServerRequest
type Response = HttpServerResponse.HttpServerResponse

/** Adds the headers of all answers. An answer that has one of them keeps its own. */
export const secured = (response: Response): Response =>
  HttpServerResponse.setHeaders(response, { ...Headers.security, ...response.headers })

/** Answers with one sentence, for readers who have no page to see. */
export const sentence = (text: string, status: number, headers: Readonly<Record<string, string>> = {}): Response =>
  HttpServerResponse.text(`${text}\n`, {
    status,
    contentType: "text/plain; charset=utf-8",
    headers: { "cache-control": "no-store", ...headers }
  })

const kept = (tag: string) => ({ "cache-control": Headers.REVALIDATED, etag: tag })

const unchanged = (tag: string): Response => HttpServerResponse.empty({ status: 304, headers: kept(tag) })

/** Answers with a script or a style. */
export const asset = (request: Request, found: Asset): Response =>
  Headers.isKnown(request.headers["if-none-match"], found.tag)
    ? unchanged(found.tag)
    : HttpServerResponse.text(found.content, { contentType: found.type, headers: kept(found.tag) })

/** Answers with a page. */
export const page = (request: Request, markup: string, status = 200): Response => {
  const contentType = "text/html; charset=utf-8"
  if (status !== 200) {
    return HttpServerResponse.text(markup, { status, contentType, headers: { "cache-control": "no-store" } })
  }
  return asset(request, { type: contentType, content: markup, tag: Headers.tagOf(markup) })
}

/** What is made for an answer. */
export interface Made<E, R> {
  readonly type: string
  readonly bytes: Effect.Effect<Uint8Array, E, R>
  /** A text that changes with the content. */
  readonly version: Effect.Effect<string, E, R>
}

/** Answers with bytes that are made for the answer. They are not made for a browser that has them. */
export const made = Effect.fnUntraced(function*<E, R>(request: Request, found: Made<E, R>) {
  const { bytes, type, version } = found
  const tag = Headers.tagOf(yield* version)
  if (Headers.isKnown(request.headers["if-none-match"], tag)) return unchanged(tag)
  return HttpServerResponse.uint8Array(yield* bytes, { contentType: type, headers: kept(tag) })
})

/** Answers with a file, part by part. */
export const file = Effect.fnUntraced(function*(request: Request, found: Served) {
  const { path, size, tag, type } = found
  if (Headers.isKnown(request.headers["if-none-match"], tag)) return unchanged(tag)
  const fs = yield* FileSystem.FileSystem
  // A file that grows meanwhile is sent as long as it was said to be.
  const bytes = fs.stream(path, { bytesToRead: size })
  return HttpServerResponse.stream(bytes, { contentType: type, contentLength: size, headers: kept(tag) })
})
