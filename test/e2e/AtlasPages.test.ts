import { assert, describe, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { readFileSync } from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import { stripTypeScriptTypes } from "node:module"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import type { Browser as Chromium, Page } from "playwright-core"
import sharp from "sharp"
import * as Atlas from "../../src/pipelines/atlas/Atlas.ts"
import { type AtlasLinks, cssUrl } from "../../src/pipelines/atlas/views/AtlasLinks.ts"
import * as AtlasStyle from "../../src/pipelines/atlas/views/AtlasStyle.ts"
import * as CodeList from "../../src/pipelines/atlas/views/CodeList.ts"
import * as CodePage from "../../src/pipelines/atlas/views/CodePage.ts"
import * as ImageCodes from "../../src/pipelines/atlas/views/ImageCodes.ts"
import * as MapPage from "../../src/pipelines/atlas/views/MapPage.ts"
import type { Html } from "../../src/pipelines/report/Html.ts"
import { style } from "../../src/pipelines/report/Style.ts"
import { atlas, CODES, HOSTILE } from "./atlasSample.ts"
import * as Browser from "./browser.ts"

class Fixture
  extends Context.Service<Fixture, { readonly browser: Chromium; readonly links: AtlasLinks }>()("Fixture")
{
  static readonly layer = Layer.effect(
    Fixture,
    Effect.gen(function*() {
      const folder = yield* Effect.acquireRelease(
        Effect.promise(() => mkdtemp(join(tmpdir(), "patchword-atlas-"))),
        (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
      )
      const picture = join(folder, "patches.webp")
      yield* Effect.promise(() =>
        sharp({ create: { width: 17, height: 8, channels: 3, background: "red" } }).webp().toFile(picture)
      )
      return {
        browser: yield* Browser.launch,
        links: {
          picture: (kind, code) => `${pathToFileURL(picture).href}?${kind}=${code}`,
          code: (code) => `#code-${code}`,
          image: (image) => `#image-${image}`
        }
      }
    })
  )
}

const scriptOf = (module: string): string => stripTypeScriptTypes(readFileSync(`src/${module}.ts`, "utf8"))

const opened = Effect.fnUntraced(function*(main: Html, module?: string) {
  const { browser } = yield* Fixture
  const script = module === undefined ? "" : `<script type="module">${scriptOf(module)}</script>`
  const html = `<!doctype html><html lang="en"><meta charset="utf-8"><title>atlas</title>` +
    `<style>${style}${AtlasStyle.style}</style><body><main>${main.html}</main>${script}`
  return yield* Browser.open(browser, html, { width: 1200, height: 800, colorScheme: "light" })
})

const rows = (page: Page) =>
  Effect.promise(() =>
    page.evaluate(() =>
      [...document.querySelectorAll<HTMLElement>("[data-codes] > li")].filter((row) => !row.hidden).map((row) =>
        Number(row.dataset.code)
      )
    )
  )

describe("pages of an atlas", () => {
  layer(Fixture.layer, { timeout: 60_000 })((it) => {
    it.effect("list all codes, and load the pictures of those in view", () =>
      Effect.gen(function*() {
        const { links } = yield* Fixture
        const { complaints, page, requests } = yield* opened(CodeList.render(atlas, links), CodeList.MODULE)
        assert.strictEqual((yield* rows(page)).length, CODES - 1)
        const loaded = requests.filter((address) => address.includes("patches="))
        assert.isAbove(loaded.length, 10)
        assert.isBelow(loaded.length, CODES / 2)
        assert.strictEqual(yield* Effect.promise(() => page.title()), "atlas")
        assert.deepStrictEqual(complaints, [])
      }))

    it.effect("search codes by number and class, and sort them", () =>
      Effect.gen(function*() {
        const { links } = yield* Fixture
        const { page } = yield* opened(CodeList.render(atlas, links), CodeList.MODULE)
        const [most] = yield* rows(page)
        assert.strictEqual(most, 49)
        yield* Effect.promise(() => page.getByLabel("Search").fill("12"))
        assert.deepStrictEqual(yield* rows(page), [12])
        yield* Effect.promise(() => page.getByLabel("Search").fill("CAT"))
        assert.isTrue((yield* rows(page)).every((code) => code % 2 === 0))
        assert.match(yield* Effect.promise(() => page.locator("output").innerText()), /^\d+ of 599 codes$/)
        yield* Effect.promise(() => page.getByLabel("Search").fill(""))
        yield* Effect.promise(() => page.getByLabel("Order").selectOption("code"))
        assert.deepStrictEqual((yield* rows(page)).slice(8, 10), [8, 10])
        yield* Effect.promise(() => page.getByLabel("Order").selectOption("bits"))
        assert.strictEqual((yield* rows(page))[0], CODES - 1)
      }))

    it.effect("walk over the map with the keyboard, and open a code", () =>
      Effect.gen(function*() {
        const { links } = yield* Fixture
        const { complaints, page } = yield* opened(MapPage.render(atlas, links), MapPage.MODULE)
        yield* Effect.promise(() => page.keyboard.press("Tab"))
        const told = Effect.promise(() => page.locator(".map-told").innerText())
        const code = Number(/^Code (\d+)\s/.exec(yield* told)?.[1])
        yield* Effect.promise(() => page.keyboard.press("ArrowRight"))
        assert.match(yield* told, new RegExp(`^Code ${code + 1}\\s`))
        yield* Effect.promise(() => page.keyboard.press("ArrowUp"))
        assert.match(yield* told, new RegExp(`^Code ${code + 1 - 30}\\s`))
        yield* Effect.promise(() => page.keyboard.press("Enter"))
        assert.match(page.url(), new RegExp(`#code-${code + 1 - 30}$`))
        const inked = yield* Effect.promise(() =>
          page.evaluate(() => {
            const canvas = document.querySelector("canvas")!
            const { data } = canvas.getContext("2d")!.getImageData(0, 0, canvas.width, canvas.height)
            return data.filter((value, at) => at % 4 === 3 && value > 0).length
          })
        )
        assert.isAbove(inked, 1000)
        assert.deepStrictEqual(complaints, [])
      }))

    it.effect("never tell of a code that occurs that it has no share", () =>
      Effect.gen(function*() {
        const { links } = yield* Fixture
        const rare = { ...atlas.index, figures: { ...atlas.index.figures, patches: 1_000_000 } }
        const { html } = CodeList.render({ ...atlas, index: rare }, links)
        assert.include(html, "&lt;0.1\u202f%")
        assert.notMatch(html, />0\.0\u202f%/)
      }))

    it.effect("show a code and an image, whose patches link to each other", () =>
      Effect.gen(function*() {
        const { links } = yield* Fixture
        const code = yield* opened(CodePage.render(atlas, Atlas.code(atlas, 3)!, links))
        const found = yield* Effect.promise(() =>
          code.page.evaluate(() => ({
            headings: [...document.querySelectorAll("h3")].map(({ textContent }) => textContent),
            images: [...document.querySelectorAll<HTMLAnchorElement>(".windows a")].map(({ hash }) => hash),
            cells: document.querySelectorAll(".places rect").length,
            classes: [...document.querySelectorAll("tbody th")].map(({ textContent }) => textContent),
            border: getComputedStyle(document.querySelector("#sample ~ img")!).borderTopWidth,
            below: [...document.querySelectorAll(".windows li")].map((one) =>
              one.querySelector(".window")!.getBoundingClientRect().bottom <=
                one.querySelector(".muted")!.getBoundingClientRect().top
            )
          }))
        )
        assert.deepStrictEqual(found.headings, [
          "Drawn at random",
          "Nearest patches",
          "Farthest patches",
          "Near misses",
          "Neighbours in the codebook",
          "Places in images",
          "Classes"
        ])
        assert.deepStrictEqual(found.images.slice(0, 2), ["#image-6", "#image-0"])
        assert.strictEqual(found.cells, 4)
        assert.strictEqual(found.border, "1px")
        assert.notInclude(found.below, false)
        assert.deepStrictEqual(found.classes, [HOSTILE])
        const coded = { image: 1, name: HOSTILE, label: "cat", grid: { height: 2, width: 2 }, codes: [5, 6, 5, 7] }
        const image = yield* opened(ImageCodes.render(atlas, coded, links))
        const hashes = yield* Effect.promise(() =>
          image.page.evaluate(() =>
            [...document.querySelectorAll<HTMLAnchorElement>(".mosaic a")].map(({ hash }) => hash)
          )
        )
        assert.deepStrictEqual(hashes, ["#code-5", "#code-6", "#code-5", "#code-7"])
        assert.strictEqual(yield* Effect.promise(() => image.page.title()), "atlas")
        assert.deepStrictEqual([...code.complaints, ...image.complaints], [])
      }))

    it.effect("keep addresses within their quotes", () =>
      Effect.sync(() => {
        assert.strictEqual(cssUrl("/runs/a b'(1)\"/x"), "url(\"/runs/a%20b%27%281%29%22/x\")")
      }))
  })
})
