/**
 * Object storage with the protocol of S3: Amazon's, MinIO, Ceph, R2 and others. The server must know conditional writes
 * (`If-Match` and `If-None-Match` of PUT).
 *
 * Credentials and the address are those of the usual variables: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`,
 * `AWS_REGION` or `AWS_DEFAULT_REGION`, `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL`. A large file goes and comes part by part, so
 * the memory does not depend on its size. What the network or the server breaks is tried again.
 *
 * ```ts
 * import assert from "node:assert"
 * import { ConfigProvider, Effect } from "effect"
 * import { Files, S3 } from "patchword/layers"
 *
 * const nobody = ConfigProvider.layer(ConfigProvider.fromUnknown({}))
 * const opened = S3.open("s3://bucket/runs/one").pipe(Effect.provide([Files.layerNode, nobody]))
 * const error = await Effect.runPromise(Effect.flip(opened))
 * assert.strictEqual(error.reason._tag, "NoCredentials")
 * ```
 */
import { AwsV4Signer } from "aws4fetch"
import { Config, Effect, Layer, Option, Redacted, Schedule, Schema, Stream } from "effect"
import * as HttpBody from "effect/http/HttpBody"
import * as HttpClient from "effect/http/HttpClient"
import type { HttpClientError } from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import * as Files from "../files/Files.ts"
import { readAt } from "../files/ReadAt.ts"
import * as Address from "./Address.ts"
import { AddressInvalid, Damaged, EndpointInvalid, NoCredentials, Refused, S3Error, Unreachable } from "./S3Error.ts"

export {
  AddressInvalid,
  ChangedMeanwhile,
  Damaged,
  EndpointInvalid,
  InRun,
  NoCredentials,
  NoRun,
  Refused,
  S3Error,
  Unreachable
} from "./S3Error.ts"

/** A text with the tag of its version. */
export interface Tagged {
  readonly text: string
  readonly etag: string
}

/** The objects under one prefix. Keys are relative to it. */
export interface S3 {
  readonly url: string
  /** Reads a small object. */
  readonly read: (key: string) => Effect.Effect<Option.Option<Tagged>, S3Error>
  /**
   * Writes a small object if the present one has the tag `over`, or if there is none (`over` absent). Returns the new tag; none if
   * the condition does not hold. If the answer to a write is lost, it finds out whether its own text is there.
   */
  readonly replace: (key: string, text: string, over?: string) => Effect.Effect<Option.Option<string>, S3Error>
  /** Writes an object from the first `size` bytes of a file. */
  readonly upload: (key: string, file: string, size: number) => Effect.Effect<void, S3Error>
  /** Writes an object to a file. Fails with `Damaged` if it is missing, or has another SHA-256. */
  readonly download: (key: string, file: string, sha256: string) => Effect.Effect<void, S3Error>
  /** Writes the first bytes of an object of a known size to a file, `most` at most, and zeros in place of the others. */
  readonly head: (key: string, file: string, most: number, size: number) => Effect.Effect<void, S3Error>
  /** Lists the keys that begin with a text. */
  readonly list: (start: string) => Effect.Effect<ReadonlyArray<string>, S3Error>
  /** Removes an object, if there is one. */
  readonly remove: (key: string) => Effect.Effect<void, S3Error>
}

/** The address of a server may hold a password, which belongs into no message. */
const isServer = (endpoint: string): boolean => {
  if (!URL.canParse(endpoint)) return false
  const { password, protocol, username } = new URL(endpoint)
  return /^https?:$/.test(protocol) && username === "" && password === ""
}

/** Size of the parts of large objects. S3 takes at most 10 000 parts, of at least 5 MiB. */
const PART = 16 * 2 ** 20
const PARTS = 10_000

const text = (name: string) => Effect.orDie(Config.option(Config.String(name)))

const needed = Effect.fnUntraced(function*(variable: string) {
  const value = yield* Effect.orDie(Config.option(Config.Redacted(variable)))
  return Option.isNone(value) ? yield* new NoCredentials({ variable }) : value.value
})

const ENTITIES: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: "\"", apos: "'" }

/** Returns the texts of all elements of a name in an answer of the server. */
const elements = (xml: string, name: string): ReadonlyArray<string> =>
  Array.from(
    xml.matchAll(new RegExp(`<${name}>([^<]*)</${name}>`, "g")),
    ([, content]) =>
      content!.replaceAll(/&(?:#(\d+)|#x([\da-f]+)|(\w+));/gi, (all, decimal, hex, entity) =>
        decimal !== undefined
          ? String.fromCodePoint(Number(decimal))
          : hex !== undefined
          ? String.fromCodePoint(parseInt(hex, 16))
          : ENTITIES[entity] ?? all)
  )

const encoded = (key: string): string => key.split("/").map(encodeURIComponent).join("/")

// The fetch of Node.js 22 ends the process when a server closes a connection whose answer is not read to its end yet.
const http = Layer.unwrap(
  // It is loaded where object storage is used, and not with the package.
  Effect.map(
    Effect.promise(() => import("@effect/platform-node/NodeHttpClient")),
    (NodeHttpClient) =>
      NodeHttpClient.layerNodeHttpNoAgent.pipe(Layer.provide(NodeHttpClient.layerAgentOptions({ keepAlive: true })))
  )
)

const again = Schedule.exponential("200 millis").pipe(Schedule.jittered)

type Reason = S3Error["reason"]

/** Returns the message of the innermost cause. Those around it tell the address of the request. */
const causeOf = (error: Error): string => error.cause instanceof Error ? causeOf(error.cause) : error.message

const reached = Effect.mapError((error: Reason | HttpClientError): Reason =>
  error._tag === "HttpClientError" ? new Unreachable({ detail: causeOf(error) }) : error
)

type Use<A> = (answer: HttpClientResponse) => Effect.Effect<A, Reason | HttpClientError>

interface Call {
  readonly method: "GET" | "PUT" | "POST" | "DELETE"
  readonly key: string
  readonly query?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array
}

/**
 * Opens the storage at an address, `s3://BUCKET/PREFIX`. It sends nothing yet. Fails with `AddressInvalid` and with `NoCredentials`.
 */
export const open = Effect.fn("patchword.ObjectStorage.open")(
  function*(url: string) {
    const { bucket, prefix } = yield* Effect.mapError(
      Schema.decodeEffect(Address.Address)(url),
      () => new AddressInvalid()
    )
    const files = yield* Files.make
    const { fs } = files
    const client = yield* HttpClient.HttpClient
    const accessKeyId = yield* needed("AWS_ACCESS_KEY_ID")
    const secret = yield* needed("AWS_SECRET_ACCESS_KEY")
    const token = yield* text("AWS_SESSION_TOKEN")
    const region = Option.getOrElse(yield* text("AWS_REGION"), () => undefined) ??
      Option.getOrElse(yield* text("AWS_DEFAULT_REGION"), () => "us-east-1")
    const own = yield* text("AWS_ENDPOINT_URL_S3")
    const endpoint = Option.getOrUndefined(Option.isSome(own) ? own : yield* text("AWS_ENDPOINT_URL"))
    if (endpoint !== undefined && !isServer(endpoint)) {
      return yield* new EndpointInvalid({ variable: Option.isSome(own) ? "AWS_ENDPOINT_URL_S3" : "AWS_ENDPOINT_URL" })
    }
    // Amazon's server has the bucket in its name. Others need not.
    const root = endpoint === undefined
      ? `https://${bucket}.s3.${region}.amazonaws.com`
      : `${endpoint.replace(/\/$/, "")}/${bucket}`
    const full = (key: string) => (prefix === "" ? key : `${prefix}/${key}`)

    const at = (key: string) =>
      Effect.mapError((reason: Reason) =>
        new S3Error({ url: key === "" ? url : `s3://${bucket}/${full(key)}`, reason })
      )

    /** Sends a request once. `use` reads the answer, also that of status 404 and 412. */
    const once = <A>(call: Call, use: Use<A>) =>
      Effect.gen(function*() {
        const { body = new Uint8Array(), headers, key, method, query = {} } = call
        const place = new URL(key === "" ? root : `${root}/${encoded(full(key))}`)
        for (const [name, value] of Object.entries(query)) place.searchParams.set(name, value)
        const signed = yield* Effect.promise(() =>
          new AwsV4Signer({
            url: place.href,
            method,
            headers: { ...headers, "x-amz-content-sha256": Files.sha256(body) },
            accessKeyId: Redacted.value(accessKeyId),
            secretAccessKey: Redacted.value(secret),
            ...(Option.isSome(token) && { sessionToken: token.value }),
            service: "s3",
            region
          }).sign()
        )
        const request = HttpClientRequest.make(method)(signed.url, {
          headers: Object.fromEntries(signed.headers),
          ...(method === "PUT" || method === "POST" ? { body: HttpBody.uint8Array(body) } : {})
        })
        const answer = yield* client.execute(request)
        const { status } = answer
        if (status < 300 || status === 404 || status === 412) return yield* use(answer)
        const code = elements(yield* answer.text, "Code")[0] ?? ""
        // 409: another request on the same object is under way.
        return yield* status >= 500 || status === 429 || status === 409 || code === "RequestTimeout"
          ? new Unreachable({ detail: `${status} ${code}` })
          : new Refused({ status, code })
      }).pipe(
        reached,
        Effect.timeoutOrElse({
          duration: "10 minutes",
          orElse: () => Effect.fail(new Unreachable({ detail: "no answer in 10 minutes" }))
        })
      )

    const send = <A>(call: Call, use: Use<A>) =>
      Effect.retry(once(call, use), {
        schedule: again,
        times: 6,
        while: (error) => error instanceof Unreachable
      })

    const absent = (key: string) =>
      new Refused({ status: 404, code: `there is no ${key === "" ? "bucket" : "object"}` })

    /** Sends a request whose answer has to be a success. */
    const succeed = (call: Call) =>
      send<{ readonly content: string; readonly etag: string }>(
        call,
        (answer) =>
          Effect.flatMap(answer.text, (content) =>
            answer.status < 300
              ? Effect.succeed({ content, etag: answer.headers["etag"] ?? "" })
              : Effect.fail(absent(call.key)))
      )

    const read: S3["read"] = (key) =>
      send<Tagged | undefined>({ method: "GET", key }, (answer) =>
        Effect.gen(function*() {
          const text = yield* answer.text
          if (answer.status === 200) return { text, etag: answer.headers["etag"] ?? "" }
          const code = elements(text, "Code")[0]
          return code === "NoSuchBucket" ? yield* new Refused({ status: 404, code }) : undefined
        })).pipe(Effect.map(Option.fromNullishOr), at(key))

    const replace: S3["replace"] = Effect.fnUntraced(function*(key, content, over) {
      const condition = over === undefined ? { "if-none-match": "*" } : { "if-match": over }
      const call: Call = { method: "PUT", key, headers: condition, body: new TextEncoder().encode(content) }
      const put = yield* at(key)(
        send(call, (answer) => Effect.map(answer.text, () => answer.status < 300 ? answer.headers["etag"] : undefined))
      )
      if (put !== undefined) return Option.some(put)
      // The answer to an earlier try may have been lost.
      return Option.flatMap(yield* read(key), ({ etag, text }) => text === content ? Option.some(etag) : Option.none())
    })

    const large = Effect.fnUntraced(function*(
      key: string,
      part: (position: number, length: number) => Effect.Effect<Uint8Array, Files.FileError>,
      size: number
    ) {
      const { content } = yield* succeed({ method: "POST", key, query: { uploads: "" } })
      const uploadId = elements(content, "UploadId")[0]
      if (uploadId === undefined) return yield* new Refused({ status: 200, code: "no UploadId" })
      const length = Math.max(PART, Math.ceil(size / PARTS))
      const numbers = Array.from({ length: Math.ceil(size / length) }, (_, i) => i + 1)
      const sent = Effect.forEach(
        numbers,
        Effect.fnUntraced(function*(number) {
          const from = (number - 1) * length
          const body = yield* part(from, Math.min(length, size - from))
          const query = { partNumber: String(number), uploadId }
          const { etag } = yield* succeed({ method: "PUT", key, query, body })
          return `<Part><PartNumber>${number}</PartNumber><ETag>${etag.replaceAll("\"", "&quot;")}</ETag></Part>`
        }),
        { concurrency: 2 }
      )
      const whole = Effect.gen(function*() {
        const list = `<CompleteMultipartUpload>${(yield* sent).join("")}</CompleteMultipartUpload>`
        const body = new TextEncoder().encode(list)
        const { content } = yield* succeed({ method: "POST", key, query: { uploadId }, body })
        // This answer begins before the server knows whether it succeeds.
        const code = elements(content, "Code")[0]
        if (code !== undefined) return yield* new Refused({ status: 200, code })
      })
      yield* Effect.onError(whole, () => Effect.ignore(succeed({ method: "DELETE", key, query: { uploadId } })))
    })

    const upload: S3["upload"] = (key, file, size) =>
      Effect.gen(function*() {
        const handle = yield* Files.onFailure(file)(fs.open(file))
        const part = (position: number, length: number) => Files.onFailure(file)(readAt(handle, position, length))
        if (size > PART) return yield* large(key, part, size)
        yield* succeed({ method: "PUT", key, body: yield* part(0, size) })
      }).pipe(Effect.scoped, at(key))

    /** Gives a file the time at which its object was stored. */
    const dated = (file: string, { headers }: HttpClientResponse) => {
      const seconds = Date.parse(headers["last-modified"] ?? "") / 1000
      return Number.isNaN(seconds) ? Effect.void : Files.onFailure(file)(fs.utimes(file, seconds, seconds))
    }

    const missing = (answer: HttpClientResponse) =>
      Effect.andThen(answer.text, Effect.fail(new Damaged({ problem: "it is missing" })))

    const download: S3["download"] = (key, file, sha256) =>
      send({ method: "GET", key }, (answer) =>
        Effect.gen(function*() {
          if (answer.status !== 200) return yield* missing(answer)
          const hash = Files.hasher()
          const parts = Stream.tap(answer.stream, (part) => Effect.sync(() => hash.update(part)))
          yield* Files.onFailure(file)(Stream.run(parts, fs.sink(file)))
          if (hash.digest("hex") !== sha256) return yield* new Damaged({ problem: "it differs from what was stored" })
          yield* dated(file, answer)
        })).pipe(at(key))

    const head: S3["head"] = (key, file, most, size) =>
      send({ method: "GET", key, headers: { range: `bytes=0-${most - 1}` } }, (answer) =>
        Effect.gen(function*() {
          if (answer.status >= 300) return yield* missing(answer)
          yield* Files.onFailure(file)(Stream.run(answer.stream, fs.sink(file)))
          yield* Files.onFailure(file)(fs.truncate(file, size))
          yield* dated(file, answer)
        })).pipe(at(key))

    const list: S3["list"] = (start) =>
      Effect.gen(function*() {
        const found: Array<string> = []
        let next: string | undefined
        do {
          const query = { "list-type": "2", "prefix": full(start), ...(next && { "continuation-token": next }) }
          const { content } = yield* succeed({ method: "GET", key: "", query })
          found.push(...elements(content, "Key"))
          next = elements(content, "NextContinuationToken")[0]
        } while (next !== undefined)
        return found.map((key) => key.slice(full("").length))
      }).pipe(at(""))

    const remove: S3["remove"] = (key) =>
      send({ method: "DELETE", key }, (answer) => Effect.asVoid(answer.text)).pipe(at(key))

    const storage: S3 = { url, read, replace, upload, download, head, list, remove }
    return storage
  },
  (self, url) =>
    self.pipe(
      Effect.mapError((reason) => new S3Error({ url: Address.masked(url), reason })),
      Effect.provide(http)
    )
)
