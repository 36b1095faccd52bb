import { NodeServices } from "@effect/platform-node"
import { assert, describe, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import type { Browser as Chromium } from "playwright-core"
import * as DemoExpectations from "../../src/domain/evaluation/DemoExpectations.ts"
import * as Charts from "../../src/pipelines/report/Charts.ts"
import * as Codes from "../../src/pipelines/report/Codes.ts"
import * as ReportPage from "../../src/pipelines/report/ReportPage.ts"
import * as Browser from "./browser.ts"
import * as measures from "./measures.ts"
import * as sample from "./sample.ts"

class Fixture
  extends Context.Service<Fixture, { readonly browser: Chromium; readonly html: string }>()("test/Fixture")
{
  static readonly layer = Layer.effect(
    Fixture,
    Effect.gen(function*() {
      const html = yield* ReportPage.render(sample.report, sample.page)
      return Fixture.of({ browser: yield* Browser.launch, html })
    })
  ).pipe(Layer.provide(NodeServices.layer))
}

const narrow = { width: 390, height: 844, colorScheme: "light", locale: "en-GB" } as const
const wide = { width: 1280, height: 900, colorScheme: "dark" } as const

const slow = {
  ...sample.report,
  expected: {
    ...sample.report.expected,
    figures: [...DemoExpectations.figures.slice(0, -1), { figure: "seconds", atMost: 300 }]
  }
}

const opened = Effect.fnUntraced(function*(view: Browser.View) {
  const { browser, html } = yield* Fixture
  return yield* Browser.open(browser, html, view)
})

const inPage = <A>(found: Browser.Opened, read: () => A | Promise<A>) => Effect.promise(() => found.page.evaluate(read))

const drawn = () => {
  const probe = document.body.appendChild(document.createElement("span"))
  const [accent, band] = ["accent", "band"].map((name) => {
    probe.style.color = `var(--${name})`
    return getComputedStyle(probe).color.match(/\d+/g)!.map(Number)
  })
  return [...document.querySelectorAll<HTMLElement>("[data-chart]")].map((chart) => {
    const canvas = chart.querySelector("canvas")
    const pixels = canvas?.getContext("2d")?.getImageData(0, 0, canvas.width, canvas.height).data ?? []
    const inked = (colour: ReadonlyArray<number>) => {
      let count = 0
      for (let i = 0; i < pixels.length; i += 4) {
        if (pixels[i + 3] === 255 && colour.every((value, channel) => pixels[i + channel] === value)) count++
      }
      return count
    }
    return {
      name: chart.getAttribute("aria-label"),
      line: inked(accent!),
      band: inked(band!),
      fits: (canvas?.clientWidth ?? Infinity) <= chart.clientWidth
    }
  })
}

const tables = () =>
  [...document.querySelectorAll<HTMLElement>(".scroll")].map((scroller) => ({
    name: scroller.getAttribute("aria-labelledby") ?? scroller.ariaLabel,
    whole: scroller.scrollWidth <= scroller.clientWidth,
    shaded: getComputedStyle(scroller).backgroundImage.split("linear-gradient").length === 5
  }))

const targets = () =>
  [...document.querySelectorAll("a, summary")].map((element) => {
    const { height, width } = element.getBoundingClientRect()
    return { text: element.textContent, height, width }
  })

const captions = () =>
  [...document.querySelectorAll(".chart")].map((chart) => ({
    keys: [...chart.querySelectorAll(".key")].map(({ textContent }) => textContent),
    below: chart.getBoundingClientRect().bottom - chart.querySelector("canvas")!.getBoundingClientRect().bottom
  }))

const readouts = () => [...document.querySelectorAll("[data-readout]")].map(({ textContent }) => textContent)

describe("ReportPage", () => {
  layer(Fixture.layer, { timeout: 60_000 })((it) => {
    for (const view of [narrow, wide]) {
      it.effect(`is whole, silent and alone at ${view.width} pixels`, () =>
        Effect.gen(function*() {
          const page = yield* opened(view)
          yield* inPage(page, () => document.querySelectorAll("details").forEach((details) => details.open = true))
          const { images, inner, scroll } = yield* inPage(page, () => ({
            scroll: document.scrollingElement!.scrollWidth,
            inner: innerWidth,
            images: [...document.images].map(({ alt, naturalWidth }) => ({ alt, naturalWidth }))
          }))
          assert.isAtMost(scroll, inner)
          assert.strictEqual(images.length, sample.page.codes.length + 2 * Codes.framed(sample.page).length + 2 * 3 * 6)
          const panels = yield* inPage(
            page,
            () =>
              [...document.querySelectorAll(".card")].map((card) => {
                const boxes = [...card.querySelectorAll(".panel")].map((panel) => panel.getBoundingClientRect())
                return boxes.every(({ right }) => right <= card.getBoundingClientRect().right + 1)
              })
          )
          assert.isTrue(panels.every((isInside) => isInside))
          assert.isTrue(images.every(({ alt, naturalWidth }) => naturalWidth > 0 && alt.length > 0))
          assert.deepStrictEqual(page.complaints, [])
          assert.deepStrictEqual(page.requests, [page.address])
        }))

      it.effect(`draws its charts at ${view.width} pixels in ${view.colorScheme} colours`, () =>
        Effect.gen(function*() {
          const charts = yield* inPage(yield* opened(view), drawn)
          assert.strictEqual(charts.length, 7)
          for (const { band, fits, line, name } of charts) {
            assert.isAbove(line, 50, name ?? "")
            assert.isTrue(fits, name ?? "")
            assert.strictEqual(band > 50, /tokenizer: loss|pretrain:/.test(name ?? ""), name ?? "")
          }
        }))

      it.effect(`can be read in ${view.colorScheme} colours`, () =>
        Effect.gen(function*() {
          const found = yield* inPage(yield* opened(view), measures.contrasts)
          assert.isAbove(found.length, 100)
          assert.deepStrictEqual(found.filter(({ ratio }) => ratio < 4.5), [])
          assert.isTrue(found.every(({ ground }) => view.colorScheme === "dark" ? ground < 0.1 : ground > 0.9))
        }))
    }

    it.effect("shows the scores whole on a telephone, and shades the edge of tables that go on", () =>
      Effect.gen(function*() {
        const page = yield* opened(narrow)
        yield* inPage(page, () => document.querySelectorAll("details").forEach((details) => details.open = true))
        const found = yield* inPage(page, tables)
        assert.isTrue(found.find(({ name }) => name === "scores")!.whole)
        assert.isTrue(found.some(({ whole }) => !whole))
        assert.isTrue(found.every(({ shaded }) => shaded))
      }))

    it.effect("can be touched, and walked with the keyboard", () =>
      Effect.gen(function*() {
        const { page } = yield* opened(narrow)
        const touched = yield* Effect.promise(() => page.evaluate(targets))
        assert.isAbove(touched.length, 10)
        assert.deepStrictEqual(touched.filter(({ height, width }) => height < 24 || width < 24), [])
        for (const tag of ["SUMMARY", "A", "A"]) {
          yield* Effect.promise(() => page.keyboard.press("Tab"))
          assert.deepInclude(yield* Effect.promise(() => page.evaluate(measures.focused)), { tag, seen: true })
        }
      }))

    it.effect("names the lines and the axes of its charts, and reads values at the pointer", () =>
      Effect.gen(function*() {
        const { page } = yield* opened(wide)
        const told = Effect.promise(() => page.evaluate(readouts))
        const found = yield* Effect.promise(() => page.evaluate(captions))
        assert.deepStrictEqual(found.map(({ keys }) => keys), [
          ["expected"],
          [],
          ["expected"],
          ["expected"],
          ["pretrained", "random"],
          [],
          []
        ])
        assert.isTrue(found.every(({ below }) => below < 8))
        const axes = Charts.charts([...sample.page.curves, ...sample.page.codebook], sample.report)
        assert.deepStrictEqual(axes.map(({ axis }) => axis), [
          "loss",
          "cosine",
          "loss",
          "accuracy",
          "loss",
          "codes used",
          "perplexity"
        ])
        const before = yield* told
        assert.match(before[4]!, /^pretrained \S+ → \S+, random \S+ → \S+$/)
        yield* Effect.promise(() => page.locator("[data-chart='4'] .u-over").hover())
        assert.match((yield* told)[4]!, /^step \d+: pretrained [\d.]+, random [\d.]+$/)
        yield* Effect.promise(() => page.locator("h1").hover())
        assert.deepStrictEqual(yield* told, before)
      }))

    it.effect("draws its charts in a browser whose language Intl refuses", () =>
      Effect.gen(function*() {
        const page = yield* opened(wide)
        assert.deepStrictEqual(yield* inPage(page, () => [...navigator.languages]), ["en-US@posix"])
        assert.deepStrictEqual(page.complaints, [])
      }))

    it.effect("holds the figures of the report", () =>
      Effect.gen(function*() {
        const page = yield* opened(wide)
        const { best, rows, tiles, title } = yield* inPage(page, () => ({
          title: document.querySelector("h1")!.textContent,
          tiles: [...document.querySelectorAll(".tile")].map((tile) => tile.textContent?.replace(/\s+/g, " ")),
          rows: [...document.querySelectorAll<HTMLTableRowElement>(".scores tbody tr")].map((row) =>
            [...row.cells].map((cell) => cell.textContent.replace(/\s+/g, " "))
          ),
          best: [...document.querySelectorAll(".scores strong")].map(({ textContent }) =>
            textContent.replace(/\s/g, "")
          )
        }))
        assert.strictEqual(title, "Pretraining lifts the linear probe by 9.2 points on emoji it has never seen.")
        assert.deepStrictEqual(rows, [
          ["Linear probe"],
          ["Random", "36.0", "33.6", "33.2", "32.1", "36.9"],
          ["Tokenizer", "40.6+4.6", "38.7+5.1", "39.0+5.8", "38.7+6.6", "40.2+3.3"],
          ["Pretrained", "45.2+9.2", "43.8+10.2", "44.7+11.5", "45.3+13.2", "43.5+6.6"],
          ["Fine-tuning"],
          ["Random", "42.3", "38.3", "38.3", "39.4", "35.7"],
          ["Pretrained", "49.2+6.9", "48.5+10.2", "40.9+2.6", "45.6+6.2", "42.9+7.2"],
          ["Nearest neighbours"],
          ["Random", "36.9", "34.9", "25.5", "37.5", "27.3"],
          ["Pretrained", "46.1+9.2", "41.7+6.8", "39.1+13.6", "45.9+8.4", "42.1+14.8"]
        ])
        assert.deepStrictEqual(best.slice(0, 5), ["45.2", "43.8", "44.7", "45.3", "43.5"])
        assert.strictEqual(tiles.length, 7)
        assert.include(
          tiles[6]!,
          "3D style, fine-tuning, pretrained40.9 % 38.3 % from random initialisation✗ missed at least +3.0"
        )
        assert.include(tiles[0]!, "45.2 % 36.0 % from random initialisation✓ reached at least +3.0")
      }))

    it.effect("says what was missed", () =>
      Effect.gen(function*() {
        const missed = yield* inPage(yield* opened(narrow), () =>
          [...document.querySelectorAll("tr:has(.no)")].map((row) => row.textContent?.replace(/\s+/g, " ")))
        assert.strictEqual(missed.length, 1)
        assert.include(
          missed[0]!,
          "3D style, fine-tuning, pretrained40.9 %at least +3.0 over random initialisation (38.3 %)"
        )
      }))

    it.effect("takes a long time for no miss", () =>
      Effect.gen(function*() {
        const html = yield* ReportPage.render(slow, sample.page).pipe(Effect.provide(NodeServices.layer))
        assert.include(html, "reached 8 of 8 expected figures. Expected: at most 5\u202fmin. A slow or busy machine")
        assert.notInclude(html, "✗")
      }))

    it.effect("takes text for text", () =>
      Effect.gen(function*() {
        const page = yield* opened(narrow)
        const { names, scripts, links } = yield* inPage(page, () => ({
          names: [...document.querySelectorAll(".confusion tbody th")].map(({ textContent }) => textContent),
          scripts: document.scripts.length,
          links: [...document.links].map(({ protocol }) => protocol)
        }))
        assert.strictEqual(names.at(-1), `8 ${sample.hostile}`)
        assert.strictEqual(scripts, 2)
        assert.notInclude(links, "javascript:")
        assert.notInclude((yield* Fixture).html, sample.hostile)
      }))

    it.effect("runs no script but its own and loads nothing", () =>
      Effect.gen(function*() {
        const { refused, title } = yield* inPage(yield* opened(narrow), async () => {
          const directives: Array<string> = []
          addEventListener("securitypolicyviolation", ({ effectiveDirective }) => directives.push(effectiveDirective))
          const script = document.body.appendChild(document.createElement("script"))
          script.textContent = "document.title = 'taken over'"
          const image = new Image()
          await new Promise((resolve) => {
            image.addEventListener("error", resolve)
            image.src = "https://example.com/pixel.png"
          })
          return { refused: directives, title: document.title }
        })
        assert.strictEqual(title, "patchword: tiny, seed 0")
        assert.deepStrictEqual(refused, ["script-src-elem", "img-src"])
      }))

    it.effect("leaves out what it was not given", () =>
      Effect.gen(function*() {
        const { browser } = yield* Fixture
        const empty = {
          curves: [],
          codebook: [],
          codes: [],
          plain: [],
          means: new Map(),
          coded: [],
          masked: [],
          credits: []
        }
        const { confusion: _, ...rest } = sample.page
        const html = yield* ReportPage.render(
          { ...sample.report, expected: { figures: [], curves: [] } },
          { ...rest, ...empty }
        ).pipe(Effect.provide(NodeServices.layer))
        const page = yield* Browser.open(browser, html, wide)
        const { figures, headings } = yield* inPage(page, () => ({
          headings: [...document.querySelectorAll("h2")].map(({ textContent }) => textContent),
          figures: document.querySelectorAll("figure").length
        }))
        assert.deepStrictEqual(headings, ["Evaluation", "Time", "Provenance"])
        assert.strictEqual(figures, 0)
        assert.deepStrictEqual(page.complaints, [])
      }))

    it.effect("admits when nothing was gained", () =>
      Effect.gen(function*() {
        const probe = { random: 0.452, tokenizer: 0.4, pretrained: 0.44 }
        const title = (random: number) =>
          ReportPage.render({ ...sample.report, probe: { ...probe, random } }, sample.page).pipe(
            Effect.map((html) => /<h1>(.*)<\/h1>/.exec(html)?.[1]),
            Effect.provide(NodeServices.layer)
          )
        assert.strictEqual(
          yield* title(0.452),
          "Pretraining leaves the linear probe 1.2 points below the untrained network on emoji it has never seen."
        )
        assert.strictEqual(
          yield* title(0.43),
          "Pretraining lifts the linear probe by 1.0 points on emoji it has never seen, which is within the noise."
        )
      }))
  })
})
