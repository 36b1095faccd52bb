/**
 * The studio: a local web page that shows runs while they train and afterwards. It reads run folders and asks no other server.
 *
 * An app mounts the pages among its own routes (`routes`), and decides itself who may see them. `layer` is a server of its own, for the
 * reader of this machine. If it listens to others, it asks them for a token.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Effect, Layer } from "effect"
 * import { Studio } from "patchword/studio"
 *
 * const asked = Effect.gen(function*() {
 *   const { address } = yield* Studio.Studio
 *   const page = yield* Effect.promise(() => fetch(address).then((response) => response.text()))
 *   assert.match(page, /There is no run/)
 * })
 * await Effect.runPromise(Effect.provide(asked, Studio.layer({ runs: ["examples"], port: 0 })))
 * ```
 */
import { Context, Effect, FileSystem, Layer, Option, Path, Predicate, Redacted, Runtime, Stream } from "effect"
import { SecureRandom } from "effect/crypto"
import { Base64Url } from "effect/encoding"
import {
  HttpMiddleware,
  HttpRouter,
  HttpServer,
  HttpServerError,
  type HttpServerRequest,
  HttpServerResponse
} from "effect/http"
import * as os from "node:os"
import type { Told } from "../domain/values/TaggedError.ts"
import * as Files from "../layers/files/Files.ts"
import * as BrowserModules from "../pipelines/report/BrowserModules.ts"
import * as ListenError from "./ListenError.ts"
import * as Atlased from "./pages/Atlased.ts"
import * as Compared from "./pages/Compared.ts"
import * as Frame from "./pages/Frame.ts"
import * as Links from "./pages/Links.ts"
import { failed, missing } from "./pages/Missing.ts"
import type { Module } from "./pages/Modules.ts"
import * as RunList from "./pages/RunList.ts"
import * as Tokenized from "./pages/Tokenized.ts"
import * as Views from "./pages/Views.ts"
import * as Access from "./server/Access.ts"
import * as Answers from "./server/Answers.ts"
import * as Assets from "./server/Assets.ts"
import * as AtlasParts from "./server/AtlasParts.ts"
import * as Changes from "./server/Changes.ts"
import * as Events from "./server/Events.ts"
import * as Headers from "./server/Headers.ts"
import * as Inside from "./server/Inside.ts"
import * as News from "./server/News.ts"
import * as Opened from "./server/Opened.ts"
import * as RunFiles from "./server/RunFiles.ts"
import * as Shelf from "./server/Shelf.ts"

/** Folders with copies of runs that are elsewhere, such as in object storage. */
export interface Copies {
  /** Has the copies follow the runs. It runs every ten seconds while somebody has a page open. */
  readonly renew: Effect.Effect<void>
  /** Replaces the folders of copies in a text by the places of the runs. */
  readonly shown: (text: string) => string
}

/** Options of the pages. */
export interface Options {
  /** Run folders, and folders that hold some. */
  readonly runs: ReadonlyArray<string>
  /** The path below which the pages lie; default that of the whole server. */
  readonly prefix?: `/${string}`
  /** The requests that are answered; default those to a name of this machine, without a token. */
  readonly access?: Access.Rules
  /** Given if the folders hold copies. */
  readonly copies?: Copies
}

type Io = FileSystem.FileSystem | Path.Path

type Request = HttpServerRequest.HttpServerRequest
type Response = HttpServerResponse.HttpServerResponse

const LIST: Module = "studio/browser/LiveList"

const LOCAL: Access.Rules = { hosts: Access.LOOPBACK }

/** An error of the request itself has the exit code of a wrong command line. */
const statusOf = (error: Told): 400 | 500 =>
  Predicate.hasProperty(error, Runtime.errorExitCode) && error[Runtime.errorExitCode] === 64 ? 400 : 500

const frame = (title: string, main: Frame.Page["main"]): Frame.Page => ({ title, heading: title, main })

/** Makes the routes of the pages. */
const make = Effect.fnUntraced(function*(options: Options) {
  const { access = LOCAL, copies, runs } = options
  const { renew, shown = (text: string) => text } = copies ?? {}
  const prefix = (options.prefix ?? "").replace(/\/+$/, "")
  const assets = yield* Assets.read
  const opened = yield* Opened.make
  const news = yield* News.make(runs, { renew, shown })
  const links = Links.served(prefix)
  const asset = (name: string) => `${prefix}/assets/${name}`

  const show = (
    request: Request,
    page: Frame.Page,
    modules: ReadonlyArray<string> = [],
    status = 200
  ): Response =>
    Answers.page(
      request,
      shown(Frame.render(page, links, {
        style: asset(Assets.STYLE),
        charts: asset(Assets.CHARTS),
        modules: modules.map(asset)
      })),
      status
    )

  const lost = (request: Request, what: string) =>
    show(request, frame("Not found", missing(`${what} is not here.`)), [], 404)

  const answered = (
    request: Request,
    answer: Effect.Effect<Response, Told, Io>
  ): Effect.Effect<Response, never, Io> => {
    const { cookies, headers, method, url } = request
    const asked = { method, url: `${prefix}${url}`, host: headers["host"], origin: headers["origin"], cookies }
    const verdict = Access.judge(asked, access)
    if (verdict._tag === "Refused") {
      const allowed: Readonly<Record<string, string>> = verdict.status === 405 ? { allow: "GET, HEAD" } : {}
      return Effect.succeed(Answers.sentence(verdict.why, verdict.status, allowed))
    }
    if (verdict._tag === "Entered") {
      const entered = HttpServerResponse.empty({
        status: 303,
        headers: { location: verdict.location, "cache-control": "no-store" }
      })
      return Effect.succeed(HttpServerResponse.setCookieUnsafe(entered, verdict.cookie, Redacted.value(access.token!), {
        httpOnly: true,
        path: `${prefix}/`,
        sameSite: "strict"
      }))
    }
    return answer.pipe(
      Effect.catch((error) => Effect.succeed(show(request, frame("Not possible", failed(error)), [], statusOf(error))))
    )
  }

  const route = (
    method: "GET" | "HEAD" | "POST" | "*",
    path: `/${string}` | "*",
    answer: (
      request: Request,
      params: Readonly<Record<string, string | undefined>>
    ) => Effect.Effect<Response, Told, Io>
  ) =>
    HttpRouter.route(
      method,
      path,
      (request) =>
        Effect.flatMap(
          HttpRouter.params,
          (params) => Effect.map(answered(request, Effect.suspend(() => answer(request, params))), Answers.secured)
        )
    )

  const reading = (path: `/${string}`, answer: Parameters<typeof route>[2]) => [
    route("GET", path, answer),
    route("HEAD", path, answer)
  ]

  const ofRun = (
    request: Request,
    id: string | undefined,
    answer: (found: Links.Named) => Effect.Effect<Response, Told, Io>
  ): Effect.Effect<Response, Told, Io> =>
    Effect.flatMap(
      Shelf.find(runs, id ?? "", shown),
      (found) =>
        found === undefined
          ? Effect.succeed(lost(request, `The run ${id ?? ""}`))
          : Inside.within([found.run.path])(answer(found))
    )

  return [
    ...reading("/compare", (request) =>
      Effect.gen(function*() {
        const chosen = [...new Set(new URLSearchParams(request.url.split("?")[1] ?? "").getAll("run"))]
        const known = new Map((yield* Shelf.all(runs, shown)).map((named) => [named.id, named]))
        const found = chosen.flatMap((id) => known.get(id) ?? [])
        const absent = chosen.filter((id) => !known.has(id))
        const page = Inside.within(found.map(({ run }) => run.path))(Compared.page(found, absent, links))
        return show(request, yield* page, [], absent.length === 0 ? 200 : 404)
      })),
    ...reading("/assets/*", (request, { "*": name = "" }) => {
      const found = assets.get(name)
      return Effect.succeed(found === undefined ? lost(request, "The file") : Answers.asset(request, found))
    }),
    ...reading(
      "/runs/:run",
      (request, { run }) =>
        ofRun(request, run, ({ id }) => Effect.succeed(HttpServerResponse.redirect(links.run(id, Views.all[0]!.id))))
    ),
    route(
      "POST",
      "/runs/:run/notes",
      (request, { run }) =>
        ofRun(
          request,
          run,
          ({ id, run: { path: folder } }) => Changes.answer(request, folder, links.run(id, "overview"))
        )
    ),
    ...reading(
      "/runs/:run/report.html",
      (request, { run }) =>
        ofRun(
          request,
          run,
          Effect.fnUntraced(function*({ run: { path: folder } }) {
            const found = yield* RunFiles.report(folder)
            if (found === undefined) return lost(request, "The report")
            return HttpServerResponse.setHeader(
              yield* Answers.file(request, found),
              "content-security-policy",
              Headers.SANDBOX
            )
          })
        )
    ),
    ...reading(
      "/runs/:run/events",
      (request, { run }) =>
        ofRun(
          request,
          run,
          ({ run: found }) => Effect.succeed(Events.answer(request, Events.ofRun(news.ofRun(found.path))))
        )
    ),
    ...reading("/events", (request) => {
      const lists = Stream.map(news.ofRuns, (found) => RunList.content(found, runs, links))
      return Effect.succeed(Events.answer(request, Events.ofList(lists)))
    }),
    ...reading(
      "/runs/:run/files/*",
      (request, { "*": name = "", run }) =>
        ofRun(
          request,
          run,
          Effect.fnUntraced(function*({ run: { path: folder } }) {
            const found = yield* RunFiles.find(folder, name)
            return found === undefined ? lost(request, "The file") : yield* Answers.file(request, found)
          })
        )
    ),
    ...reading(
      `/runs/:run/${Tokenized.FILES}/*`,
      (request, { "*": name = "", run }) =>
        ofRun(
          request,
          run,
          Effect.fnUntraced(function*({ run: { path: folder } }) {
            const found = yield* opened.tokenizer(folder, name)
            return found === undefined ? lost(request, "The file") : yield* Answers.made(request, found)
          })
        )
    ),
    ...reading(
      `/runs/:run/${Atlased.PARTS}/*`,
      (request, { "*": name = "", run }) =>
        ofRun(
          request,
          run,
          Effect.fnUntraced(function*({ run: { path: folder } }) {
            const found = yield* AtlasParts.find(opened.atlas, folder, name)
            return found === undefined ? lost(request, "The file") : yield* Answers.made(request, found)
          })
        )
    ),
    ...reading(
      "/runs/:run/:view/*",
      (request, { "*": inner = "", run, view = "" }) =>
        ofRun(
          request,
          run,
          Effect.fnUntraced(function*(named) {
            const found = Views.find(view)
            const shown = found &&
              (yield* Views.page(found, {
                ...named,
                links,
                atlas: opened.atlas,
                digests: opened.digests,
                from: 0,
                inner
              }))
            if (shown === undefined) return lost(request, `The view ${view}`)
            const answer = show(request, shown.page, shown.modules.map(BrowserModules.nameOf), shown.isLost ? 404 : 200)
            return shown.runsWasm
              ? HttpServerResponse.setHeader(answer, "content-security-policy", Headers.WASM)
              : answer
          })
        )
    ),
    // The router takes this one for the first page, too, where the pages have a prefix.
    route("*", "*", (request) => {
      const { method, url } = request
      if (method !== "GET" && method !== "HEAD") {
        return Effect.succeed(Answers.sentence("The studio answers GET and HEAD.", 405, { allow: "GET, HEAD" }))
      }
      return /^\/(?:\?|$)/.test(url)
        ? Effect.map(
          Shelf.all(runs, shown),
          (found) => show(request, RunList.page(found, runs, links), [BrowserModules.nameOf(LIST)])
        )
        : Effect.succeed(lost(request, "The page"))
    })
  ]
})

/** The routes of the pages, to be mounted in a router. Fails with a `FileError` if a script of the pages is missing. */
export const routes = (options: Options) => HttpRouter.addAll(make(options), { prefix: options.prefix })

/** Options of a server of its own. */
export interface ServerOptions extends Pick<Options, "runs" | "prefix" | "copies"> {
  /** The address to listen at; default 127.0.0.1. Any but those of the machine itself makes it ask for a token. */
  readonly host?: string
  /** The port; default 7007. With 0, the system takes a free one. */
  readonly port?: number
}

/** The default port. */
export const PORT = 7007

/** The server of the studio. */
export class Studio extends Context.Service<Studio, {
  /** The address to open. It holds the token, if there is one. */
  readonly address: string
  /** All addresses at which it can be reached, the same one first. */
  readonly addresses: ReadonlyArray<string>
}>()("patchword/studio/Studio") {}

const TOKEN_BYTES = 32

const isLoopback = (host: string): boolean => /^(?:localhost|::1|127(?:\.\d{1,3}){3})$/.test(host)

/** The addresses by which a server is reached. One that listens at all addresses of its machine has several. */
const reached = (host: string): ReadonlyArray<string> => {
  if (host !== "0.0.0.0" && host !== "::") return [host]
  const outer = Object.values(os.networkInterfaces()).flatMap((found = []) =>
    found.filter(({ address, family, internal }) =>
      !internal && (family === "IPv4" || host === "::" && !address.startsWith("fe80:"))
    )
  )
  return ["localhost", ...outer.map(({ address }) => address)]
}

const isUnread = (error: unknown): boolean =>
  HttpServerError.isHttpServerError(error) && error.reason._tag === "RouteNotFound"

// The router asks no route for an address that it cannot decode.
const unread = HttpRouter.middleware(
  (answer) =>
    Effect.catch(answer, (error) =>
      isUnread(error)
        ? Effect.succeed(Answers.secured(Answers.sentence("This address cannot be read. Check it after each %.", 404)))
        : Effect.fail(error)),
  { global: true }
)

// Events are sent one by one, pictures are compressed already, and weights do not become smaller.
const compressed = HttpMiddleware.compression({
  compressible: (type) => /^(?:text\/(?!event-stream)|application\/json)/.test(type)
})

/** Serves the studio while the layer lives. Fails with a `ListenError` if it cannot listen, with what to do. */
export const layer = (options: ServerOptions): Layer.Layer<Studio, ListenError.ListenError | Files.FileError> => {
  const { host = "127.0.0.1", port = PORT, copies, prefix, runs } = options
  return Layer.unwrap(Effect.gen(function*() {
    const [NodeHttpServer, { createServer }] = yield* Effect.promise(() =>
      Promise.all([import("@effect/platform-node/NodeHttpServer"), import("node:http")])
    )
    const token = isLoopback(host)
      ? Option.none()
      : Option.some(Redacted.make(Base64Url.encode(SecureRandom.randomBytesUnsafe(TOKEN_BYTES))))
    const access: Access.Rules = {
      hosts: [...Access.LOOPBACK, host],
      ...(Option.isSome(token) ? { token: token.value } : {})
    }
    const server = NodeHttpServer.layer(createServer, {
      host,
      port,
      // Who follows a run would hold the server open for longer.
      gracefulShutdownTimeout: "1 second"
    }).pipe(
      Layer.catchTag("ServeError", ({ cause }) => Layer.effectContext(Effect.fail(ListenError.of(host, port, cause))))
    )
    const own = { ...(prefix === undefined ? {} : { prefix }), ...(copies && { copies }) }
    const pages = Layer.merge(routes({ runs, access, ...own }), unread)
    const studio = Layer.effect(
      Studio,
      Effect.map(HttpServer.HttpServer, ({ address }) => {
        const asked = Option.isNone(token) ? "" : `?${Access.QUERY}=${Redacted.value(token.value)}`
        const taken = address._tag === "UnixPathAddress" ? port : address.port
        const addresses = reached(host).map((at) =>
          `http://${at.includes(":") ? `[${at}]` : at}:${taken}${prefix ?? ""}/${asked}`
        )
        return { address: addresses[0]!, addresses }
      })
    )
    return Layer.merge(
      studio,
      HttpRouter.serve(pages, {
        middleware: compressed,
        disableListenLog: true,
        disableLogger: true,
        routerConfig: { maxParamLength: 1024 }
      })
    ).pipe(Layer.provide(server))
  })).pipe(Layer.provide(Files.layerNode))
}
