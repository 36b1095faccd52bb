import { NodeServices } from "@effect/platform-node"
import { assert, describe, layer } from "@effect/vitest"
import { Context, Effect, Exit, FileSystem, Layer, Path, Schedule, Scope } from "effect"
import { appendFileSync } from "node:fs"
import type { Browser as Chromium } from "playwright-core"
import type { Chart } from "../../src/pipelines/report/Charts.ts"
import * as Exported from "../../src/studio/Exported.ts"
import * as Studio from "../../src/studio/Studio.ts"
import { hostile, makeRun, rows } from "../studio/kit.ts"
import * as Browser from "./browser.ts"
import { ended, start } from "./child.ts"
import * as measures from "./measures.ts"

class Fixture extends Context.Service<Fixture, {
  readonly browser: Chromium
  readonly address: string
  readonly runs: string
}>()("test/Studio") {
  static readonly layer = Layer.effect(
    Fixture,
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const path = yield* Path.Path
      const runs = yield* fs.makeTempDirectoryScoped()
      yield* makeRun(path.join(runs, "demo"))
      yield* makeRun(path.join(runs, "live"), 150)
      yield* makeRun(path.join(runs, "fresh"), 0)
      yield* makeRun(path.join(runs, hostile.replaceAll("/", "")))
      const context = yield* Layer.build(Studio.layer({ runs: [runs], port: 0 }))
      const { address } = Context.get(context, Studio.Studio)
      return Fixture.of({ browser: yield* Browser.launch, address, runs })
    })
  ).pipe(Layer.provideMerge(NodeServices.layer))
}

const STEPS = 40

const narrow = { width: 360, height: 780, colorScheme: "light", locale: "en-GB" } as const
const wide = { width: 1280, height: 900, colorScheme: "dark" } as const

const views = [
  "",
  "runs/demo/overview",
  "runs/demo/training",
  "runs/demo/report",
  "runs/demo/doctor",
  "runs/demo/atlas",
  "compare?run=demo&run=live",
  "none"
]

const visited = Effect.fnUntraced(function*(path: string, view: Browser.View) {
  const { address, browser } = yield* Fixture
  return yield* Browser.visit(browser, address + path, view)
})

const inPage = <A>(found: Browser.Opened, read: () => A | Promise<A>) => Effect.promise(() => found.page.evaluate(read))

const sizes = () => ({ scroll: document.scrollingElement!.scrollWidth, inner: innerWidth })

describe("the pages of the studio", () => {
  layer(Fixture.layer, { timeout: 60_000, excludeTestServices: true })((it) => {
    for (const view of [narrow, wide]) {
      it.effect(`are whole, silent and alone at ${view.width} pixels`, () =>
        Effect.gen(function*() {
          const { address } = yield* Fixture
          const found = yield* visited("", view)
          for (const path of views) {
            const told = found.complaints.length
            yield* Effect.promise(() => found.page.goto(address + path, { waitUntil: "load" }))
            const { inner, scroll } = yield* inPage(found, sizes)
            assert.isAtMost(scroll, inner, path)
            const complaints = found.complaints.slice(told)
            const missing = path === "none" ? complaints.filter((text) => !/404/.test(text)) : complaints
            assert.deepStrictEqual(missing, [], path)
            assert.deepStrictEqual(found.requests.filter((url) => !url.startsWith(address)), [], path)
            const found404 = yield* inPage(found, measures.contrasts)
            assert.isAbove(found404.length, 3)
            assert.deepStrictEqual(found404.filter(({ ratio }) => ratio < 4.5), [], path)
            assert.isTrue(
              found404.every(({ ground }) => view.colorScheme === "dark" ? ground < 0.1 : ground > 0.8),
              path
            )
          }
        }), 60_000)
    }

    it.effect("keep intervals in one line and wide pictures in the page of a phone", () =>
      Effect.gen(function*() {
        const compared = yield* visited("compare?run=demo&run=live", narrow)
        const lines = yield* inPage(
          compared,
          () =>
            [...document.querySelectorAll("table.differences td > span.number")].map((one) => {
              const tops = [...one.querySelectorAll("*"), one].flatMap((part) => [...part.getClientRects()])
              return Math.max(...tops.map(({ bottom }) => bottom)) - Math.min(...tops.map(({ top }) => top))
            })
        )
        assert.isAbove(lines.length, 1)
        for (const height of lines) assert.isBelow(height, 32)
        const batch = yield* visited("runs/demo/batch", narrow)
        const { inner, scroll } = yield* inPage(batch, () => {
          const part = document.querySelector("main")!.appendChild(document.createElement("section"))
          part.innerHTML = "<img alt=\"\" width=\"400\" height=\"50\" style=\"--w:400;--zoom:1\">"
          return { scroll: document.scrollingElement!.scrollWidth, inner: innerWidth }
        })
        assert.isAtMost(scroll, inner)
      }))

    it.effect("are walked by the keyboard", () =>
      Effect.gen(function*() {
        const { page } = yield* visited("", wide)
        const walked: Array<string> = []
        for (let i = 0; i < 8; i++) {
          yield* Effect.promise(() => page.keyboard.press("Tab"))
          const { seen, tag, text } = yield* Effect.promise(() => page.evaluate(measures.focused))
          assert.isTrue(seen, `${tag} ${text}`)
          walked.push(`${tag} ${text}`)
        }
        assert.includeMembers(walked, ["A Skip to the content", "A Runs", "A demo", "INPUT "])
        yield* Effect.promise(() => page.getByRole("link", { name: "demo", exact: true }).press("Enter"))
        yield* Effect.promise(() => page.waitForURL(/\/runs\/demo\/overview$/))
        yield* Effect.promise(() => page.getByRole("link", { name: "Training" }).press("Enter"))
        yield* Effect.promise(() => page.waitForURL(/\/runs\/demo\/training$/))
        assert.strictEqual(yield* Effect.promise(() => page.locator("[aria-current]").innerText()), "Training")
      }))

    it.effect("compare the runs that were chosen", () =>
      Effect.gen(function*() {
        const { page } = yield* visited("", wide)
        yield* Effect.promise(() => page.getByLabel("Compare demo", { exact: true }).check())
        yield* Effect.promise(() => page.getByLabel("Compare live", { exact: true }).check())
        yield* Effect.promise(() => page.getByRole("button", { name: "Compare" }).click())
        yield* Effect.promise(() => page.waitForURL(/compare/))
        const drawn = yield* Effect.promise(() => page.locator("[data-chart] canvas").count())
        assert.isAbove(drawn, 1)
        const keys = yield* Effect.promise(() => page.locator(".chart").first().locator(".key").allInnerTexts())
        assert.deepStrictEqual(keys.map((key) => key.trim()), ["demo", "live"])
      }))

    it.effect("show user text as text", () =>
      Effect.gen(function*() {
        const found = yield* visited("", wide)
        const name = hostile.replaceAll("/", "")
        yield* Effect.promise(() => found.page.getByRole("link", { name }).click())
        yield* Effect.promise(() => found.page.waitForURL(/overview/))
        assert.strictEqual(yield* Effect.promise(() => found.page.locator("h1").innerText()), name)
        assert.strictEqual(yield* inPage(found, () => document.querySelectorAll("img").length), 0)
        assert.deepStrictEqual(found.complaints, [])
      }))

    it.effect("keep tags and notes that are typed", () =>
      Effect.gen(function*() {
        const { complaints, page } = yield* visited("runs/demo/overview", wide)
        for (const [label, text] of [["Tag", "good"], ["Note", "looks well"]] as const) {
          yield* Effect.promise(() => page.getByLabel(label, { exact: true }).fill(text))
          yield* Effect.promise(() => page.getByLabel(label, { exact: true }).press("Enter"))
          yield* Effect.promise(() => page.locator("main").getByText(text).first().waitFor())
        }
        yield* Effect.promise(() => page.getByRole("button", { name: "Remove the note" }).click())
        yield* Effect.promise(() => page.locator("main").getByText("looks well").waitFor({ state: "detached" }))
        assert.deepStrictEqual(complaints, [])
      }))

    it.effect("draw the charts of a run that was opened before its first row", () =>
      Effect.gen(function*() {
        const { runs } = yield* Fixture
        const path = yield* Path.Path
        const { complaints, page } = yield* visited("runs/fresh/training", wide)
        yield* Effect.promise(() => page.locator("[data-live=connection]", { hasText: "connected" }).waitFor())
        const log = path.join(runs, "fresh/log.jsonl")
        const trained = (from: number, to: number) => Effect.sync(() => appendFileSync(log, rows(from, to)))
        yield* trained(1, 10)
        yield* Effect.promise(() => page.locator("[data-chart] canvas").first().waitFor())
        const charts = page.locator("[data-chart]")
        const loss = page.locator(".chart", { hasText: "tokenizer: loss" })
        assert.strictEqual(
          yield* Effect.promise(() => page.locator("[data-chart] canvas").count()),
          yield* Effect.promise(() => charts.count())
        )
        yield* trained(11, 20)
        yield* Effect.promise(() => loss.getByText("1 → 0.05").waitFor())
        assert.match(
          (yield* Effect.promise(() => loss.locator("[data-chart]").getAttribute("aria-label")))!,
          /: 1 → 0\.05$/
        )
        assert.deepStrictEqual(complaints, [])
      }), 60_000)

    it.effect("grow while another process trains, also after a lost connection", () =>
      Effect.gen(function*() {
        const { address, browser, runs } = yield* Fixture
        const path = yield* Path.Path
        const first = yield* Scope.make()
        const served = (port: number) => Layer.build(Studio.layer({ runs: [runs], port }))
        const own = Context.get(yield* Scope.provide(served(0), first), Studio.Studio)
        assert.notStrictEqual(own.address, address)
        const { complaints, page } = yield* Browser.visit(browser, `${own.address}runs/live/training`, wide)
        yield* Effect.promise(() => page.locator("[data-live=connection]", { hasText: "connected" }).waitFor())
        const steps = page.locator("[data-live=steps]")
        const log = path.join(runs, "live/log.jsonl")
        const trained = Effect.promise(() => ended(start("test/e2e/studioChild.ts", [log, "151", "180"])))
        assert.strictEqual((yield* trained).code, 0)
        yield* Effect.promise(() => steps.filter({ hasText: /^180 of 300$/ }).waitFor())
        const readout = page.locator("[data-chart] .u-over").first()
        const told = Effect.gen(function*() {
          const box = (yield* Effect.promise(() => readout.boundingBox()))!
          yield* Effect.promise(() => page.mouse.move(box.x + box.width - 2, box.y + box.height / 2))
          return yield* Effect.promise(() => page.locator("[data-readout]").first().innerText())
        })
        yield* Effect.repeat(told, { until: (text) => /^step 1(?:79|80): /.test(text) })
        yield* Scope.close(first, Exit.void)
        yield* Effect.promise(() => page.locator("[data-live=connection]", { hasText: "connection lost" }).waitFor())
        appendFileSync(log, rows(181, 190))
        yield* served(Number(new URL(own.address).port))
        yield* Effect.promise(() => steps.filter({ hasText: /^190 of 300$/ }).waitFor({ timeout: 60_000 }))
        assert.deepStrictEqual(
          complaints.filter((text) => !/ERR_(?:CONNECTION_REFUSED|INCOMPLETE_CHUNKED)/.test(text)),
          []
        )
      }), 120_000)

    it.effect(
      "show a run that another process begins, is killed in and goes on with, as one curve",
      () =>
        Effect.gen(function*() {
          const fs = yield* FileSystem.FileSystem
          const path = yield* Path.Path
          const { browser } = yield* Fixture
          const runs = yield* fs.makeTempDirectoryScoped()
          const served = yield* Layer.build(Studio.layer({ runs: [runs], port: 0 }))
          const { complaints, page } = yield* Browser.visit(browser, Context.get(served, Studio.Studio).address, wide)
          const train = () => start("test/e2e/resumeChild.ts", [path.join(runs, "mine"), "onnx", "2", `${STEPS}`])
          const first = train()
          const gone = ended(first)
          const logged = fs.readFileString(path.join(runs, "mine/log.jsonl")).pipe(
            Effect.map((text) => text.includes("\n")),
            Effect.orElseSucceed(() => false)
          )
          yield* Effect.repeat(logged, { until: (isLogged) => isLogged, schedule: Schedule.spaced("5 millis") })
          first.kill("SIGSTOP")
          const named = page.getByRole("link", { name: "mine", exact: true })
          yield* Effect.promise(() => named.click({ timeout: 60_000 }))
          yield* Effect.promise(() => page.getByRole("link", { name: "Training" }).click())
          yield* Effect.promise(() => page.waitForURL(/training$/))
          yield* Effect.promise(() =>
            page.evaluate(() =>
              document.addEventListener("charts", (event) => {
                const { detail } = event as CustomEvent<ReadonlyArray<Chart>>
                document.body.dataset["charts"] = JSON.stringify(detail)
              })
            )
          )
          const state = (name: string) =>
            Effect.promise(() =>
              page.locator("[data-live=state]", { hasText: new RegExp(`^${name}$`) }).waitFor({ timeout: 60_000 })
            )
          yield* Effect.promise(() =>
            page.locator("[data-live=steps]", { hasText: /^[1-9]/ }).waitFor({ timeout: 60_000 })
          )
          first.kill("SIGKILL")
          yield* Effect.promise(() => gone)
          yield* state("stopped")
          const second = ended(train())
          yield* state("finished")
          assert.strictEqual((yield* Effect.promise(() => second)).code, 0)
          const charts: ReadonlyArray<Chart> = JSON.parse(
            (yield* Effect.promise(() => page.locator("body").getAttribute("data-charts")))!
          )
          const rows = (yield* fs.readFileString(path.join(runs, "mine/log.jsonl"))).trim().split("\n").map((line) =>
            JSON.parse(line)
          )
          for (const stage of ["tokenizer", "pretrain"]) {
            const [steps, ...lines] = charts.find(({ title }) => title === `${stage}: loss`)!.data
            assert.lengthOf(lines, 1)
            assert.deepStrictEqual(steps, Array.from({ length: STEPS }, (_, i) => i + 1))
            const loss = rows.filter((one) => one.stage === stage).map((one) => one.loss ?? one.loss_1)
            lines[0]!.forEach((value, i) => assert.closeTo(value!, loss[i], 1e-3 * loss[i]))
          }
          assert.deepStrictEqual(complaints, [])
        }),
      180_000
    )

    it.effect("are one file, too, that asks for nothing", () =>
      Effect.gen(function*() {
        const { browser, runs } = yield* Fixture
        const html = yield* Exported.render([runs])
        for (const view of [narrow, wide]) {
          const found = yield* Browser.open(browser, html, view)
          const shown = inPage(found, () =>
            [...document.querySelectorAll<HTMLElement>(".page")].filter(({ offsetHeight }) =>
              offsetHeight > 0
            ).map(({ id }) =>
              id
            ))
          assert.deepStrictEqual(yield* shown, ["runs"])
          yield* Effect.promise(() => found.page.getByRole("link", { name: "demo", exact: true }).click())
          assert.lengthOf(yield* shown, 1)
          yield* Effect.promise(() =>
            found.page.locator(".page:target").getByRole("link", { name: "Training" }).click()
          )
          const canvases = yield* inPage(
            found,
            () =>
              [...document.querySelectorAll<HTMLElement>(".page:target canvas")].map(({ offsetWidth }) => offsetWidth)
          )
          assert.isAbove(canvases.length, 1)
          yield* Effect.promise(() =>
            found.page.waitForFunction(() =>
              [...document.querySelectorAll<HTMLElement>(".page:target canvas")].every(({ offsetWidth }) =>
                offsetWidth > 200
              )
            )
          )
          const { inner, scroll } = yield* inPage(found, sizes)
          assert.isAtMost(scroll, inner)
          assert.deepStrictEqual(found.complaints, [])
          assert.deepStrictEqual(found.requests.map((url) => url.split("#")[0]), [found.address])
        }
      }), 60_000)
  })
})
