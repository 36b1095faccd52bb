/**
 * Downloads and uploads folders of the Hugging Face Hub. A download is atomic; an upload is one commit.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Effect } from "effect"
 * import { Files, Hub } from "patchword/layers"
 *
 * const hubUrl = "http://127.0.0.1:9"
 * const fetched = Hub.download("someone/model", "model", { hubUrl }).pipe(Effect.provide(Files.layerNode))
 * const error = await Effect.runPromise(Effect.flip(fetched))
 * assert.strictEqual(error.reason._tag, "Unreachable")
 * ```
 */
import { Effect, type FileSystem, type Path, Redacted, Runtime, Schema, Stream } from "effect"
import * as Secrets from "../../domain/values/Secrets.ts"
import { TaggedError } from "../../domain/values/TaggedError.ts"
import * as Files from "./Files.ts"

/** The repository, revision or file does not exist. */
export class NotThere extends TaggedError<NotThere>()("NotThere", { detail: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 66
  get finding() {
    return `there is no such repository, revision or file (${this.detail})`
  }
  get remedy() {
    return "check the name, or give a token if it is private"
  }
}

/** The Hub does not know the token, or refuses this operation for it. */
export class NotAllowed extends TaggedError<NotAllowed>()("NotAllowed", {
  detail: Schema.String,
  /** True if the token is missing, wrong or expired; false if it lacks the permission. */
  unknown: Schema.Boolean
}) {
  override readonly [Runtime.errorExitCode] = 69
  get finding() {
    return `the Hub refused (${this.detail})`
  }
  get remedy() {
    return this.unknown
      ? "the token is missing, wrong or expired: make one at https://huggingface.co/settings/tokens and give it as HF_TOKEN"
      : "make a token with this permission at https://huggingface.co/settings/tokens and give it as HF_TOKEN"
  }
}

/** The Hub cannot be reached, or the connection broke. */
export class Unreachable extends TaggedError<Unreachable>()("Unreachable", { detail: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 69
  get finding() {
    return `the Hub was not reached (${this.detail})`
  }
  get remedy() {
    return "check the network and try again"
  }
}

/** The server answers with an error of its own, or not as the Hub does. */
export class WrongAnswer extends TaggedError<WrongAnswer>()("WrongAnswer", { detail: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 69
  get finding() {
    return `the server answered, but not as the Hub does (${this.detail})`
  }
  get remedy() {
    return "try again later, and check the address in HF_ENDPOINT and proxies between"
  }
}

/** Number of files that a message names. */
const NAMED = 20

/** The repository holds none of the files of a model. */
export class Empty extends TaggedError<Empty>()("Empty", { found: Schema.Array(Schema.String) }) {
  override readonly [Runtime.errorExitCode] = 66
  get finding() {
    const more = this.found.length > NAMED ? `, and ${this.found.length - NAMED} more` : ""
    return `the repository holds none of the files of a model (${
      this.found.slice(0, NAMED).join(", ") || "it is empty"
    }${more})`
  }
  get remedy() {
    return "check its name"
  }
}

/** A download or upload failed. The exit code is that of the reason. */
export class HubError extends TaggedError<HubError>()("HubError", {
  repository: Schema.String,
  reason: Schema.Union([NotThere, NotAllowed, Unreachable, WrongAnswer, Empty, Files.FileError])
}) {
  override readonly [Runtime.errorExitCode] = this.reason[Runtime.errorExitCode]
  get finding() {
    return this.reason._tag === "FileError" ? this.reason.finding : `${this.repository}: ${this.reason.finding}`
  }
  get remedy() {
    return this.reason.remedy
  }
}

/** Options of downloads and uploads. */
export interface Options {
  /** Access token of the Hub, for private repositories and for uploads. */
  readonly token?: Redacted.Redacted
  /** Address of another server with the same protocol; default `https://huggingface.co`. */
  readonly hubUrl?: string
  /** Branch, tag or commit; default `main`. */
  readonly revision?: string
}

const DESCRIPTION = /^(?:README\.md|(?:preprocessor_)?config\.json)$/
const SAFETENSORS = /^model(?:-\d+-of-\d+)?\.safetensors(?:\.index\.json)?$/
const PICKLED = "pytorch_model.bin"

/** Returns the files of a model folder; none if there are no weights. Other files of a repository are ignored. */
const modelFiles = (names: ReadonlyArray<string>): ReadonlyArray<string> => {
  const safe = names.filter((name) => SAFETENSORS.test(name))
  const weights = safe.length > 0 ? safe : names.filter((name) => name === PICKLED)
  return weights.length === 0 ? [] : [...names.filter((name) => DESCRIPTION.test(name)), ...weights].toSorted()
}

const reasonOf = (cause: unknown): NotThere | NotAllowed | Unreachable | WrongAnswer => {
  if (cause instanceof WrongAnswer) return cause
  // The client tells the address that it asked, and the words of the server.
  const detail = Secrets.mask(cause instanceof Error ? cause.message.split("\n")[0]! : String(cause))
  const status = cause instanceof Error && "statusCode" in cause ? cause.statusCode : undefined
  if (status === 404) return new NotThere({ detail })
  if (status === 401 || status === 403) return new NotAllowed({ detail, unknown: status === 401 })
  if (typeof status === "number") return new WrongAnswer({ detail: `${status}, ${detail}` })
  // The answer is no JSON.
  return cause instanceof SyntaxError ? new WrongAnswer({ detail }) : new Unreachable({ detail })
}

const asked = <A>(run: () => Promise<A>) => Effect.tryPromise({ try: run, catch: reasonOf })

const client = Effect.promise(() => import("@huggingface/hub"))

const HUB = "https://huggingface.co"

/** Greatest number of requests for one list of files. Each answers up to 1000 names. */
const LONGEST_LIST = 200

/**
 * Makes the function that sends requests. It sends the token to the Hub alone. An answer can name any other server, as the place
 * of the next part of a list or of a file, and the client would send it there as well.
 */
const sender = (hubUrl = HUB): typeof fetch => {
  let lists = 0
  return (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input)
    if (url.pathname.includes("/tree/") && ++lists > LONGEST_LIST) {
      throw new WrongAnswer({ detail: `a list of files has no end after ${LONGEST_LIST} parts` })
    }
    if (URL.canParse(hubUrl) && url.origin === new URL(hubUrl).origin) return fetch(input, init)
    const headers = new Headers(init?.headers ?? (input instanceof Request ? input.headers : undefined))
    headers.delete("authorization")
    return fetch(input, { ...init, headers })
  }
}

const credentials = ({ hubUrl, token }: Options) => ({
  fetch: sender(hubUrl),
  ...(hubUrl === undefined ? {} : { hubUrl }),
  ...(token === undefined ? {} : { accessToken: Redacted.value(token) })
})

const isNamed = Schema.is(Schema.Struct({ path: Schema.String }))

const within = (repository: string) =>
  Effect.mapError((reason: HubError["reason"]) => new HubError({ repository, reason }))

/**
 * Downloads the model folder of a repository (`owner/name`). The folder on disk is replaced once all files have arrived.
 * Returns the names of the files.
 *
 * Fails with
 * - `NotThere` if the repository does not exist,
 * - `Empty` if it holds no model,
 * - `NotAllowed` if the Hub refuses,
 * - `Unreachable` if the Hub cannot be reached,
 * - `WrongAnswer` if the server fails, or is not the Hub,
 * - `FileError` if the folder cannot be written.
 */
export const download: (
  repository: string,
  folder: string,
  options?: Options
) => Effect.Effect<ReadonlyArray<string>, HubError, FileSystem.FileSystem | Path.Path> = Effect.fn(
  "patchword.Hub.download"
)(
  function*(repository, folder, options = {}) {
    const files = yield* Files.make
    const { downloadFile, listFiles } = yield* client
    const common = { repo: repository, revision: options.revision ?? "main", ...credentials(options) }
    const listed = yield* Stream.runCollect(
      Stream.fromAsyncIterable(listFiles(common), reasonOf).pipe(
        Stream.mapEffect((entry) =>
          isNamed(entry)
            ? Effect.succeed(entry.path)
            : Effect.fail(new WrongAnswer({ detail: "a file in its list has no name" }))
        )
      )
    )
    const wanted = modelFiles(listed)
    if (wanted.length === 0) return yield* new Empty({ found: listed })
    yield* files.writeFolder(folder, (temporary) =>
      Effect.forEach(wanted, (path) =>
        Effect.gen(function*() {
          const blob = yield* asked(() => downloadFile({ ...common, path, xet: false }))
          if (blob === null) return yield* new NotThere({ detail: path })
          const file = files.path.join(temporary, path)
          const parts = Stream.fromReadableStream({ evaluate: () => blob.stream(), onError: reasonOf })
          yield* Stream.run(parts, files.fs.sink(file)).pipe(Files.onFailure(file))
          const { size } = yield* Files.onFailure(file)(files.fs.stat(file))
          if (Number(size) !== blob.size) {
            return yield* new Unreachable({ detail: `${path} broke off after ${size} of ${blob.size} bytes` })
          }
        }), { concurrency: 4, discard: true }))
    return wanted
  },
  (self, repository) => within(repository)(self)
)

/** A file of a model folder that is to be uploaded. */
export interface Sent {
  readonly name: string
  readonly bytes: number
}

const sentOf = Effect.fnUntraced(function*(folder: string) {
  const { fs, path } = yield* Files.make
  const names = yield* Files.onFailure(folder)(fs.readDirectory(folder))
  const wanted = modelFiles(names)
  if (wanted.length === 0) return yield* new Empty({ found: names })
  return yield* Effect.forEach(wanted, (name) => {
    const file = path.join(folder, name)
    return Effect.map(Files.onFailure(file)(fs.stat(file)), ({ size }): Sent => ({ name, bytes: Number(size) }))
  })
})

/**
 * Returns the files of a model folder that {@link upload} would upload. Fails with `FileError` if the folder is missing, and
 * with `Empty` if it holds no weights.
 */
export const sent: (
  folder: string
) => Effect.Effect<ReadonlyArray<Sent>, HubError, FileSystem.FileSystem | Path.Path> = Effect.fn("patchword.Hub.sent")(
  function*(folder) {
    return yield* within(folder)(sentOf(folder))
  }
)

/**
 * Uploads the files of a model folder to a repository (`owner/name`) as one commit. Creates the repository if needed, as a
 * private one unless the options say otherwise. Returns the address of the commit.
 *
 * Fails with `FileError` if the folder is missing, and with `Empty` if it holds no model. Fails with `NotAllowed` or
 * `Unreachable` if the Hub refuses or cannot be reached.
 */
export const upload: (
  folder: string,
  repository: string,
  options: Options & { readonly token: Redacted.Redacted; readonly public?: boolean; readonly title?: string }
) => Effect.Effect<string, HubError, FileSystem.FileSystem | Path.Path> = Effect.fn("patchword.Hub.upload")(
  function*(folder, repository, { public: open = false, revision = "main", title = "Upload model", ...options }) {
    const { fs, path } = yield* Files.make
    const { createRepo, uploadFiles } = yield* client
    const contents = yield* Effect.forEach(yield* sentOf(folder), ({ name }) => {
      const file = path.join(folder, name)
      return Effect.map(
        Files.onFailure(file)(fs.readFile(file)),
        (bytes) => ({ path: name, content: new Blob([new Uint8Array(bytes)]) })
      )
    })
    const common = { repo: repository, accessToken: Redacted.value(options.token), ...credentials(options) }
    yield* asked(() => createRepo({ ...common, visibility: open ? "public" : "private" })).pipe(
      // The repository may already exist.
      Effect.catchIf((reason) => /already (?:created|exist)/i.test(reason.message), () => Effect.void)
    )
    const commit = yield* asked(() =>
      uploadFiles({ ...common, files: contents, branch: revision, commitTitle: title, useXet: false })
    )
    return commit?.commit.url ?? ""
  },
  (self, _, repository) => within(repository)(self)
)
