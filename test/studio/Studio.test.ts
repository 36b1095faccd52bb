import { NodeHttpServer, NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber, FileSystem, Layer, Path, Stream } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"
import { createServer, get } from "node:http"
import { networkInterfaces } from "node:os"
import * as CompletionSample from "../../src/layers/run/CompletionSample.ts"
import * as Notes from "../../src/layers/run/Notes.ts"
import * as PartProblems from "../../src/pipelines/artifacts/PartProblems.ts"
import * as HealthFile from "../../src/pipelines/doctor/HealthFile.ts"
import * as Registry from "../../src/pipelines/runs/Registry.ts"
import * as Exported from "../../src/studio/Exported.ts"
import * as Views from "../../src/studio/pages/Views.ts"
import * as Events from "../../src/studio/server/Events.ts"
import * as News from "../../src/studio/server/News.ts"
import * as Sharing from "../../src/studio/server/Sharing.ts"
import * as Studio from "../../src/studio/Studio.ts"
import { ask, hostile, makeRun, row } from "./kit.ts"

const folder = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const root = yield* fs.makeTempDirectoryScoped()
  yield* makeRun(path.join(root, "runs/demo"))
  yield* makeRun(path.join(root, "runs/study", hostile.replaceAll("/", "")))
  yield* fs.writeFileString(path.join(root, "outside.json"), "outside")
  return { fs, path, root, runs: [path.join(root, "runs")] }
})

const serve = Effect.fnUntraced(function*(options: Studio.ServerOptions) {
  const context = yield* Layer.build(Studio.layer({ port: 0, ...options }))
  return yield* Effect.provideContext(Effect.map(Studio.Studio, ({ address }) => address), context)
})

const open = (address: string, path: string): Promise<{ readonly end: () => void }> =>
  new Promise((resolve, reject) => {
    const sent = get(new URL(path, address), { agent: false }, (response) => {
      response.resume()
      response.on("error", () => undefined)
      resolve({ end: () => sent.destroy() })
    })
    sent.on("error", reject)
  })

describe("the server of the studio", () => {
  it.effect("shows its runs and their views, with all its headers", () =>
    Effect.gen(function*() {
      const { runs } = yield* folder
      const address = yield* serve({ runs })
      const list = yield* ask(address, "/")
      assert.strictEqual(list.status, 200)
      assert.include(list.text, `href="/runs/demo/overview"`)
      assert.include(list.text, "study/")
      for (
        const path of [
          "/",
          ...["overview", "training", "doctor", "atlas", "completion", "attention", "report"].map((view) =>
            `/runs/demo/${view}`
          ),
          "/none",
          "/assets/style.css"
        ]
      ) {
        const { headers, status, text } = yield* ask(address, path)
        assert.strictEqual(status, path === "/none" ? 404 : 200, path)
        assert.match(String(headers["content-security-policy"]), /default-src 'none'; script-src 'self';/)
        assert.strictEqual(headers["x-content-type-options"], "nosniff")
        assert.strictEqual(headers["referrer-policy"], "same-origin")
        assert.strictEqual(headers["cross-origin-resource-policy"], "same-origin")
        assert.notInclude(text, "This part cannot be shown", path)
      }
    }).pipe(Effect.provide(NodeServices.layer)))

  it.effect("names the place of a run where its folder is a copy", () =>
    Effect.gen(function*() {
      const { root, runs } = yield* folder
      const shown = (text: string) => text.replaceAll(root, "s3://bucket")
      const address = yield* serve({ runs, copies: { renew: Effect.void, shown } })
      const { text } = yield* ask(address, "/runs/demo/overview")
      assert.include(text, "s3://bucket/runs/demo")
      assert.notInclude(text, root)
      const marked = yield* serve({
        runs,
        copies: { renew: Effect.void, shown: (text) => shown(text).replaceAll("demo", "Demo") }
      })
      assert.include((yield* ask(marked, "/")).text, "/runs/Demo")
      assert.strictEqual((yield* ask(marked, "/runs/Demo/overview")).status, 200)
    }).pipe(Effect.provide(NodeServices.layer)))

  it.effect("says which commands make what is missing, and shows what they made", () =>
    Effect.gen(function*() {
      const { fs, path, runs } = yield* folder
      const run = path.join(runs[0]!, "demo")
      const address = yield* serve({ runs })
      const shown = (view: string) => Effect.map(ask(address, `/runs/demo/${view}`), ({ text }) => text)
      assert.include(yield* shown("doctor"), "patchword doctor")
      assert.include(yield* shown("atlas"), "patchword atlas")
      assert.include(yield* shown("completion"), "patchword complete")
      assert.include(yield* shown("attention"), "patchword attention")
      yield* HealthFile.save(run, { version: 1, patchword: "0.1.0", stages: [] })
      const png = Buffer.from("picture").toString("base64")
      yield* CompletionSample.save(run, {
        split: hostile,
        images: 1,
        masked: 14,
        patches: 36,
        codeAccuracy: 0.25,
        methods: { completed: { psnr: { mean: 20, interval: [19, 21] }, ssim: { mean: 0.6, interval: [0.5, 0.7] } } },
        side: 48,
        shown: [{ name: hostile, original: png, decoded: png, masked: png, completed: png }]
      })
      assert.include(yield* shown("doctor"), `class="health"`)
      const completed = yield* shown("completion")
      assert.include(completed, `data:image/png;base64,${png}`)
      assert.notInclude(completed, "<img src=x")
      yield* fs.writeFileString(path.join(run, "health.json"), "{")
      const remedy = `patchword doctor ${run} makes it anew`
      assert.match(
        yield* shown("doctor"),
        new RegExp(`This part cannot be shown[^]*health\\.json is damaged[^]*<p>${remedy}`)
      )
      const [problem] = yield* Effect.flatMap(Registry.read(run), PartProblems.of)
      assert.match(problem!, new RegExp(`health\\.json is damaged[^]*; ${remedy}$`))
      yield* fs.remove(path.join(run, "results"), { recursive: true })
      yield* fs.remove(path.join(run, "report.json"))
      assert.match(yield* shown("overview"), /This run has no figures yet\.(?![^]*patchword probe)/)
      for (const stage of ["tokenizer", "pretrain-long"]) {
        yield* fs.writeFileString(path.join(run, `stages/${stage}.json`), "{}")
        yield* fs.writeFileString(path.join(run, `stages/${stage}.safetensors`), "")
        assert.include(yield* shown("overview"), `patchword probe ${run}/${stage} --images`)
      }
      for (const inner of ["atlas/codes/1", "atlas/none", "doctor/none"]) {
        const { status } = yield* ask(address, `/runs/demo/${inner}`)
        assert.strictEqual(status, inner.startsWith("atlas") ? 200 : 404, inner)
      }
    }).pipe(Effect.provide(NodeServices.layer)))

  it.effect("reads no file to which a link leads out of the run folder, and names it", () =>
    Effect.gen(function*() {
      const { fs, path, root, runs } = yield* folder
      const run = path.join(runs[0]!, "demo")
      yield* fs.writeFileString(path.join(root, "outside.json"), JSON.stringify({ hidden: { word: "xyzzy" } }))
      yield* fs.makeDirectory(path.join(root, "away"))
      yield* fs.writeFileString(path.join(root, "away/probe-val-1.json"), "xyzzy")
      for (const name of ["health.json", "config.json", "log.jsonl", "environment.json", "report.json"]) {
        yield* fs.remove(path.join(run, name), { force: true })
        yield* fs.symlink(path.join(root, "outside.json"), path.join(run, name))
      }
      yield* fs.remove(path.join(run, "results"), { recursive: true })
      yield* fs.symlink(path.join(root, "away"), path.join(run, "results"))
      const address = yield* serve({ runs })
      const shown = (at: string) => Effect.map(ask(address, at), ({ text }) => text)
      const told = (name: string) => `${name}: a link leads out of the run folder`
      assert.include(yield* shown("/runs/demo/doctor"), told("health.json"))
      const overview = yield* shown("/runs/demo/overview")
      for (const name of ["config.json", "log.jsonl", "environment.json", "report.json", "results"]) {
        assert.include(overview, told(name))
      }
      for (const view of ["/", "/compare?run=demo&run=demo", "/runs/demo/training", "/runs/demo/report"]) {
        assert.notInclude(yield* shown(view), "xyzzy", view)
      }
      const exported = yield* Exported.render(runs)
      assert.include(exported, told("health.json"))
      assert.notInclude(exported + overview, "xyzzy")
    }).pipe(Effect.provide(NodeServices.layer)))

  it.effect("has a row in its guide for each page of a run", () =>
    Effect.gen(function*() {
      const guide = yield* (yield* FileSystem.FileSystem).readFileString("docs/studio.md")
      const rows = [...guide.slice(guide.indexOf("| Overview |")).matchAll(/^\| ([^|]+) \|/gm)].map(([, title]) =>
        title
      )
      assert.deepStrictEqual(rows.slice(0, Views.all.length), Views.all.map(({ title }) => title))
    }).pipe(Effect.provide(NodeServices.layer)))

  it.effect("compares with the first run of the address, and tells names that no run has", () =>
    Effect.gen(function*() {
      const { path, runs } = yield* folder
      yield* makeRun(path.join(runs[0]!, "one"))
      const address = yield* serve({ runs })
      const shown = (...names: ReadonlyArray<string>) =>
        ask(address, `/compare?${names.map((name) => `run=${encodeURIComponent(name)}`).join("&")}`)
      const compared = (text: string) => /The others are compared with ([^,]+),/.exec(text)?.[1]
      for (const names of [["one", "demo"], ["demo", "one"], ["one", "demo", "one"]]) {
        const { status, text } = yield* shown(...names)
        assert.deepStrictEqual([status, compared(text)], [200, names[0]], names.join())
      }
      const some = yield* shown("nosuch", "one", "demo")
      assert.deepStrictEqual([some.status, compared(some.text)], [404, "one"])
      const alone = yield* shown("nosuch", "one")
      assert.deepStrictEqual([alone.status, compared(alone.text)], [404, undefined])
      for (const { text } of [some, alone]) assert.include(text, "The run nosuch is not here.")
      assert.include(alone.text, "Choose two runs or more")
    }).pipe(Effect.provide(NodeServices.layer)))

  it.effect("shows no character that HTML forbids", () =>
    Effect.gen(function*() {
      const { runs } = yield* folder
      const address = yield* serve({ runs })
      for (const path of ["/runs/one%00%1b%c2%85/overview", "/compare?run=one%00%1b%c2%85"]) {
        const { status, text } = yield* ask(address, path)
        assert.strictEqual(status, 404, path)
        assert.include(text, "The run one\ufffd\ufffd\ufffd is not here.")
        assert.isFalse([...text].some((one) => (one < " " && !"\t\n\r".includes(one)) || one === "\u0085"), path)
      }
    }).pipe(Effect.provide(NodeServices.layer)))

  it.effect("shows no text of users as markup", () =>
    Effect.gen(function*() {
      const { runs } = yield* folder
      const address = yield* serve({ runs })
      const paths = ["overview", "training", "report"].map((view) =>
        `/runs/${encodeURIComponent(`study/${hostile.replaceAll("/", "")}`)}/${view}`
      )
      for (const path of ["/", "/compare?run=demo&run=" + encodeURIComponent(`study/${hostile}`), ...paths]) {
        const { status, text } = yield* ask(address, path)
        assert.strictEqual(status, 200, path)
        assert.notInclude(text, "<img src=x", path)
        assert.notInclude(text, "<script>alert", path)
        assert.include(text, "&lt;img src=x onerror", path)
      }
    }).pipe(Effect.provide(NodeServices.layer)))

  it.effect("serves nothing but its pages and pictures of its runs, whatever is asked", () =>
    Effect.gen(function*() {
      const { runs } = yield* folder
      const address = yield* serve({ runs })
      const found = yield* ask(address, "/runs/demo/files/atlas/sprite-0.png")
      assert.deepStrictEqual([found.status, found.text, found.headers["content-type"]], [200, "picture", "image/png"])
      const part = fc.oneof(
        fc.constantFrom(
          "..",
          "%2e%2e",
          "%2E.",
          "..%2f",
          "%252e%252e",
          "..\\",
          "%5c..",
          "%00",
          "C:",
          "",
          ".",
          "outside.json"
        ),
        fc.constantFrom(
          "runs",
          "demo",
          "files",
          "atlas",
          "secret.txt",
          "page.html",
          ".hidden.png",
          "%",
          "%zz",
          "%c0%ae%c0%ae"
        ),
        fc.webSegment()
      )
      const paths = fc.tuple(
        fc.constantFrom("/", "/runs/", "/runs/demo/files/", "/runs/demo/files/atlas/", "/assets/", "/runs/..%2f", "//"),
        fc.array(part, { maxLength: 6 })
      ).map(([begin, parts]) => begin + parts.join("/"))
      yield* Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(paths, async (path) => {
            const { headers, status, text } = await Effect.runPromise(ask(address, path))
            assert.include([200, 302, 303, 304, 400, 404], status, path)
            for (const secret of ["outside", "secret", "hidden", "alert(1)</script>"]) {
              assert.isFalse(text === secret || text.startsWith("<script>"), path)
            }
            if (status === 200) assert.strictEqual(headers["x-content-type-options"], "nosniff", path)
          }),
          { numRuns: 150 }
        )
      )
    }).pipe(Effect.provide(NodeServices.layer)))

  it.effect("answers reading alone, under its own names", () =>
    Effect.gen(function*() {
      const { runs } = yield* folder
      const address = yield* serve({ runs })
      for (const method of ["PUT", "DELETE", "PATCH", "OPTIONS"]) {
        const { headers, status } = yield* ask(address, "/", { method })
        assert.deepStrictEqual([status, headers["allow"]], [405, "GET, HEAD"])
      }
      assert.strictEqual((yield* ask(address, "/", { method: "POST" })).status, 403)
      const own = { origin: address.slice(0, -1) }
      assert.strictEqual((yield* ask(address, "/", { method: "POST", headers: own })).status, 405)
      assert.strictEqual((yield* ask(address, "/", { headers: { host: "rebound.example" } })).status, 403)
      const head = yield* ask(address, "/runs/demo/events", { method: "HEAD" })
      assert.deepStrictEqual([head.status, head.text], [200, ""])
    }).pipe(Effect.provide(NodeServices.layer)))

  it.effect("keeps tags and notes that its own pages send", () =>
    Effect.gen(function*() {
      const { path, runs } = yield* folder
      const address = yield* serve({ runs })
      const run = path.join(runs[0]!, "demo")
      const headers = { origin: address.slice(0, -1), "content-type": "application/x-www-form-urlencoded" }
      const post = (body: string, given: Readonly<Record<string, string>> = headers) =>
        ask(address, "/runs/demo/notes", { method: "POST", headers: given, body })
      const kept = yield* post("tag=good")
      assert.deepStrictEqual([kept.status, kept.headers["location"]], [303, "/runs/demo/overview"])
      assert.strictEqual((yield* post(new URLSearchParams({ note: hostile }).toString())).status, 303)
      for (const body of ["", "tag=a&tag=b", "config=x", `note=${"x".repeat(200_000)}`]) {
        assert.strictEqual((yield* post(body)).status, 400, body.slice(0, 20))
      }
      assert.strictEqual((yield* post("tag=%2F")).status, 400)
      assert.strictEqual((yield* post("tag=bad", { ...headers, origin: "http://other.example" })).status, 403)
      const { notes, tags } = yield* Notes.read(run)
      assert.deepStrictEqual([tags, notes.map(({ text }) => text)], [["good"], [hostile]])
      const { text } = yield* ask(address, "/runs/demo/overview")
      assert.include(text, "&lt;img src=x onerror")
      assert.strictEqual((yield* post("untag=good")).status, 303)
      assert.strictEqual((yield* post(`forget=${notes[0]!.id}`)).status, 303)
      assert.deepStrictEqual(yield* Notes.read(run), { tags: [], notes: [], damaged: [] })
    }).pipe(Effect.provide(NodeServices.layer)))

  it.effect("sends again only what has changed", () =>
    Effect.gen(function*() {
      const { fs, path, runs } = yield* folder
      const address = yield* serve({ runs })
      const name = "/runs/demo/files/atlas/sprite-0.png"
      for (const asked of [name, "/assets/style.css", "/assets/charts.js"]) {
        const first = yield* ask(address, asked)
        const tag = String(first.headers["etag"])
        const again = yield* ask(address, asked, { headers: { "if-none-match": `"other", W/${tag}` } })
        assert.deepStrictEqual([again.status, again.text, again.headers["etag"]], [304, "", tag])
      }
      const page = yield* ask(address, "/runs/demo/overview", { headers: { "accept-encoding": "gzip" } })
      assert.deepStrictEqual(
        [page.headers["content-encoding"], page.headers["vary"], page.headers["cache-control"]],
        ["gzip", "Accept-Encoding", "private, no-cache"]
      )
      const again = { headers: { "if-none-match": String(page.headers["etag"]) } }
      assert.strictEqual((yield* ask(address, "/runs/demo/overview", again)).status, 304)
      yield* Notes.tag(path.join(runs[0]!, "demo"), ["new"])
      assert.strictEqual((yield* ask(address, "/runs/demo/overview", again)).status, 200)
      const before = String((yield* ask(address, name)).headers["etag"])
      yield* fs.writeFileString(path.join(runs[0]!, "demo/atlas/sprite-0.png"), "another")
      assert.strictEqual((yield* ask(address, name, { headers: { "if-none-match": before } })).text, "another")
    }).pipe(Effect.provide(NodeServices.layer)))

  it.effect("tells that it cannot read an address", () =>
    Effect.gen(function*() {
      const { runs } = yield* folder
      const address = yield* serve({ runs })
      for (const path of ["/%ff", "/runs/%ff/atlas", "/assets/%zz"]) {
        const { headers, status, text } = yield* ask(address, path)
        assert.deepStrictEqual([status, headers["x-content-type-options"]], [404, "nosniff"])
        assert.match(text, /^This address cannot be read/)
      }
    }).pipe(Effect.provide(NodeServices.layer)))

  it.effect("keeps a report that a run left in a sandbox", () =>
    Effect.gen(function*() {
      const { runs } = yield* folder
      const { headers, text } = yield* ask(yield* serve({ runs }), "/runs/demo/report.html")
      assert.include(text, "<title>report</title>")
      assert.match(
        String(headers["content-security-policy"]),
        /^sandbox allow-scripts allow-popups; default-src 'none'/
      )
    }).pipe(Effect.provide(NodeServices.layer)))

  it.effect("asks for a token where others can reach it", () =>
    Effect.gen(function*() {
      const { runs } = yield* folder
      const context = yield* Layer.build(Studio.layer({ port: 0, runs, host: "0.0.0.0" }))
      const { address, addresses } = Context.get(context, Studio.Studio)
      const { port, search: query } = new URL(address)
      const outer = Object.values(networkInterfaces()).flatMap((all) =>
        all!.flatMap(({ address, family, internal }) => internal || family !== "IPv4" ? [] : [address])
      )
      assert.deepStrictEqual(addresses, ["localhost", ...outer].map((at) => `http://${at}:${port}/${query}`))
      const { pathname, search } = new URL(address)
      assert.match(search, /^\?token=[\w-]{43}$/)
      for (
        const path of ["/", "/assets/style.css", "/runs/demo/files/atlas/sprite-0.png", "/runs/demo/events", "/none"]
      ) {
        assert.strictEqual((yield* ask(address, path)).status, 401, path)
      }
      const entered = yield* ask(address, pathname + search)
      const [cookie] = [entered.headers["set-cookie"] ?? []].flat()
      assert.deepStrictEqual([entered.status, entered.headers["location"]], [303, "/"])
      assert.match(cookie!, /; HttpOnly/)
      assert.match(cookie!, /; SameSite=Strict/)
      const page = yield* ask(address, "/", { headers: { cookie: cookie!.split(";")[0]!, host: "machine.example" } })
      assert.strictEqual(page.status, 200)
      assert.notInclude(page.text, search.slice("?token=".length))
    }).pipe(Effect.provide(NodeServices.layer)))

  it.effect("says what to do if its port is in use", () =>
    Effect.gen(function*() {
      const address = yield* serve({ runs: [] })
      const port = Number(new URL(address).port)
      const error = yield* Effect.flip(serve({ runs: [], port }))
      assert.deepInclude({ ...error }, { _tag: "ListenError", port, kind: "used" })
      const foreign = yield* Effect.flip(serve({ runs: [], host: "192.0.2.1" }))
      assert.deepInclude({ ...foreign }, { kind: "foreign" })
    }).pipe(Effect.provide(NodeServices.layer)))

  it.effect("is mounted by an app under a path of its own", () =>
    Effect.gen(function*() {
      const { runs } = yield* folder
      const server = HttpRouter.serve(Studio.routes({ runs, prefix: "/studio" }), { disableListenLog: true }).pipe(
        Layer.provideMerge(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" }))
      )
      const context = yield* Layer.build(server)
      const address = yield* Effect.provideContext(HttpServer.addressFormattedWith(Effect.succeed), context)
      const { text } = yield* ask(address, "/studio")
      assert.include(text, `href="/studio/runs/demo/overview"`)
      for (const [, asset] of text.matchAll(/(?:href|src)="(\/studio\/assets\/[^"]+)"/g)) {
        assert.strictEqual((yield* ask(address, asset!)).status, 200)
      }
      assert.strictEqual((yield* ask(address, "/studio/runs/demo/training")).status, 200)
      assert.strictEqual((yield* ask(address, "/runs/demo/training")).status, 404)
    }).pipe(Effect.provide(NodeServices.layer)))
})

describe("the news of a run", () => {
  const quick = { every: "50 millis", least: "20 millis" } as const

  const eventsOf = (texts: ReadonlyArray<string>) =>
    texts.map((text) => /^event: (\w+)$/m.exec(text)?.[1] ?? "beat").filter((name) => name !== "beat")

  it.live("begin with its curves, and go on with its rows", () =>
    Effect.gen(function*() {
      const { fs, path, runs } = yield* folder
      const run = path.join(runs[0]!, "demo")
      const news = yield* News.make(runs, quick)
      const texts = Events.ofRun(news.ofRun(run))
      const until = (part: string) =>
        texts.pipe(Stream.takeUntil((text) => text.includes(part)), Stream.runCollect, Effect.forkChild)
      const stays = yield* until("never")
      const found = yield* texts.pipe(
        Stream.tap((text) =>
          text.includes("event: measured")
            ? fs.writeFileString(path.join(run, "log.jsonl"), row(201), { flag: "a" })
            : Effect.void
        ),
        Stream.takeUntil((text) => text.includes("event: points")),
        Stream.runCollect
      )
      assert.deepStrictEqual(eventsOf(found), ["state", "speed", "measured", "points"])
      assert.include(found.at(-1), `["tokenizer","loss",201,`)
      const late = yield* Fiber.join(yield* until("event: measured"))
      assert.deepStrictEqual(eventsOf(late), ["state", "speed", "measured"])
      const curves = JSON.parse(/^data: (.*)$/m.exec(late.at(-1)!)![1]!)
      assert.deepStrictEqual(curves.map(({ steps }: { steps: ReadonlyArray<number> }) => steps.at(-1)), [201, 201, 201])
      yield* Fiber.interrupt(stays)
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)))

  it.live("of the list come when something has changed", () =>
    Effect.gen(function*() {
      const { fs, path, runs } = yield* folder
      const { ofRuns } = yield* News.make(runs, { list: "50 millis" })
      const lists: Array<string> = []
      yield* ofRuns.pipe(
        Stream.runForEach((found) =>
          Effect.sync(() => void lists.push(found.map(({ id, run }) => `${id} ${run.stages[0]?.step}`).join()))
        ),
        Effect.forkChild
      )
      const until = (count: number) =>
        Effect.sleep("20 millis").pipe(Effect.repeat({ until: () => lists.length >= count, times: 500 }))
      yield* until(1)
      yield* Effect.sleep("300 millis")
      assert.lengthOf(lists, 1)
      yield* fs.writeFileString(path.join(runs[0]!, "demo/log.jsonl"), row(201), { flag: "a" })
      yield* until(2)
      assert.include(lists[1], "demo 201")
      yield* fs.remove(path.join(runs[0]!, "demo"), { recursive: true })
      yield* until(3)
      assert.notInclude(lists.at(-1), "demo")
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)))

  it.effect("have copies follow their runs while somebody reads them", () =>
    Effect.gen(function*() {
      const { runs } = yield* folder
      let looks = 0
      const { ofRuns } = yield* News.make(runs, { renew: Effect.sync(() => void looks++) })
      const reader = yield* Effect.forkChild(Stream.runDrain(ofRuns))
      yield* TestClock.adjust("25 seconds")
      assert.strictEqual(looks, 3)
      yield* Fiber.interrupt(reader)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(looks, 3)
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)))

  it.effect("let a reader go who reads no longer, and not the others", () =>
    Effect.gen(function*() {
      let last = 0
      const shared = yield* Sharing.make(
        Stream.range(1, 2000).pipe(Stream.tap(() => Effect.yieldNow)),
        { learn: (value) => void (last = value), known: () => last === 0 ? [] : [last] }
      )
      const slow = yield* Stream.toPull(shared)
      const [begun] = yield* slow
      assert.isAbove(begun, 0)
      const all = yield* Stream.runCollect(shared)
      assert.strictEqual(all.at(-1), 2000)
      const left: Array<number> = []
      yield* slow.pipe(
        Effect.tap((some) => Effect.sync(() => void left.push(...some))),
        Effect.forever,
        Effect.exit
      )
      assert.isAtMost(left.length, 256)
      assert.deepStrictEqual(yield* Stream.runCollect(shared), [2000])
    }).pipe(Effect.scoped))

  it.live("are watched for nobody when all clients have left", () =>
    Effect.gen(function*() {
      const { runs } = yield* folder
      const address = yield* serve({ runs })
      const watchers = () => process.getActiveResourcesInfo().filter((name) => name === "FSEventWrap").length
      const before = watchers()
      const clients = yield* Effect.promise(() =>
        Promise.all(Array.from({ length: 20 }, () => open(address, "/runs/demo/events")))
      )
      yield* Effect.sleep("500 millis")
      assert.strictEqual(watchers(), before + 1)
      for (const client of clients) client.end()
      yield* Effect.sleep("1 second")
      assert.strictEqual(watchers(), before)
    }).pipe(Effect.provide(NodeServices.layer)))
})
