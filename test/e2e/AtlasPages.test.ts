import { NodeServices } from "@effect/platform-node"
import { assert, describe, layer } from "@effect/vitest"
import { Context, Effect, FileSystem, Layer, Path } from "effect"
import type { Browser as Chromium, Page } from "playwright-core"
import { type AtlasLinks, cssUrl } from "../../src/pipelines/atlas/views/AtlasLinks.ts"
import * as CodeList from "../../src/pipelines/atlas/views/CodeList.ts"
import * as Exported from "../../src/studio/Exported.ts"
import * as Studio from "../../src/studio/Studio.ts"
import { makeRun } from "../studio/kit.ts"
import { atlas, CODES, HOSTILE, write } from "./atlasSample.ts"
import * as Browser from "./browser.ts"
import * as measures from "./measures.ts"

class Fixture extends Context.Service<Fixture, {
  readonly browser: Chromium
  readonly pages: string
  readonly runs: string
}>()("test/AtlasPages") {
  static readonly layer = Layer.effect(
    Fixture,
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const path = yield* Path.Path
      const runs = yield* fs.makeTempDirectoryScoped()
      yield* makeRun(path.join(runs, "demo"))
      yield* write(
        path.join(runs, "demo"),
        Array.from({ length: CODES }, (_, code) => code).filter((code) => code !== 99)
      )
      const context = yield* Layer.build(Studio.layer({ runs: [runs], port: 0 }))
      const { address } = Context.get(context, Studio.Studio)
      return Fixture.of({ browser: yield* Browser.launch, pages: `${address}runs/demo/atlas`, runs })
    })
  ).pipe(Layer.provideMerge(NodeServices.layer))
}

const wide = { width: 1200, height: 800, colorScheme: "light" } as const
const narrow = { width: 360, height: 780, colorScheme: "dark" } as const

const visited = Effect.fnUntraced(function*(inner: string, view: Browser.View = wide) {
  const { browser, pages } = yield* Fixture
  return yield* Browser.visit(browser, pages + inner, view)
})

const wait = (page: Page, selector: string) => Effect.promise(() => page.locator(selector).first().waitFor())

const rows = (page: Page) =>
  Effect.promise(() =>
    page.evaluate(() =>
      [...document.querySelectorAll("[data-codes] li b")].map(({ textContent }) => Number(textContent))
    )
  )

const scrolled = (page: Page, y: number) =>
  Effect.promise(() =>
    page.evaluate(async (to) => {
      scrollTo({ top: to, behavior: "instant" })
      await new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))
    }, y)
  )

describe("pages of an atlas", () => {
  layer(Fixture.layer, { timeout: 60_000 })((it) => {
    it.effect("list all codes, with the rows near the part in view alone", () =>
      Effect.gen(function*() {
        const { complaints, page, requests } = yield* visited("")
        yield* wait(page, "[data-codes] [aria-posinset]")
        const first = yield* rows(page)
        assert.strictEqual(first[0], 49)
        assert.isBelow(first.length, CODES / 2)
        const told = yield* Effect.promise(() =>
          page.evaluate(() => ({
            setsize: document.querySelector("[data-codes] li")!.getAttribute("aria-setsize"),
            height: document.querySelector<HTMLElement>("[data-codes] ol")!.offsetHeight,
            rows: document.querySelectorAll("[data-codes] li").length,
            above: document.querySelector("[data-codes]")!.getBoundingClientRect().top
          }))
        )
        assert.strictEqual(told.setsize, String(CODES - 1))
        yield* scrolled(page, told.above + told.height)
        const last = yield* rows(page)
        assert.strictEqual(last.at(-1), 550)
        assert.isBelow(last.length, CODES / 2)
        yield* scrolled(page, 0)
        yield* Effect.promise(() => page.locator("[data-codes] li a").first().focus())
        yield* Effect.promise(() => page.keyboard.press("Tab"))
        assert.strictEqual(yield* Effect.promise(() => page.evaluate(() => document.activeElement?.textContent)), "99")
        yield* scrolled(page, told.above + told.height)
        assert.strictEqual(yield* Effect.promise(() => page.evaluate(() => document.activeElement?.textContent)), "99")
        assert.isBelow(requests.filter((address) => address.includes("/strips/")).length, CODES / 32 + 4)
        assert.deepStrictEqual(complaints, [])
      }))

    it.effect("load no pictures of rows that one passes quickly", () =>
      Effect.gen(function*() {
        const { page, requests } = yield* visited("")
        yield* wait(page, "[data-codes] [aria-posinset]")
        const strips = () => requests.filter((address) => address.includes("/strips/")).length
        const drawn = () =>
          Effect.promise(() =>
            page.waitForFunction(() =>
              [...document.querySelectorAll<HTMLElement>("[data-codes] li")]
                .every((row) => row.style.getPropertyValue("--picture") !== "")
            )
          )
        yield* drawn()
        const before = strips()
        const top = yield* Effect.promise(() =>
          page.evaluate(async () => {
            for (let i = 0; i < 10; i++) {
              scrollBy({ top: 1500, behavior: "instant" })
              await new Promise(requestAnimationFrame)
            }
            return scrollY
          })
        )
        assert.isAbove(top, 10_000)
        yield* drawn()
        assert.isBelow(strips() - before, CODES / 32 / 2)
        assert.isAbove(strips(), before)
      }))

    it.effect("tell which pictures are missing", () =>
      Effect.gen(function*() {
        const { page } = yield* visited("")
        yield* wait(page, "[data-codes] [aria-posinset]")
        const alert = yield* Effect.promise(() => page.getByRole("alert").innerText())
        assert.match(alert, /nearest\/0\.webp is damaged \(it is missing; it is the first of 1801 such files\)/)
        const row = page.locator("[data-codes] li", { has: page.locator("b", { hasText: /^99$/ }) })
        assert.include(yield* Effect.promise(() => row.innerText()), "its picture is missing")
      }))

    it.effect("search codes by number and class, and sort them", () =>
      Effect.gen(function*() {
        const { page } = yield* visited("")
        yield* wait(page, "[data-codes] [aria-posinset]")
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
        yield* Effect.promise(() => page.locator("[data-codes] li a").first().click())
        yield* Effect.promise(() => page.waitForURL(/codes\/599$/))
      }))

    it.effect("walk over the map with the keyboard, and open a code", () =>
      Effect.gen(function*() {
        const { complaints, page } = yield* visited("/map")
        yield* Effect.promise(() => page.locator("canvas").focus())
        const told = Effect.promise(() => page.locator(".map-told").innerText())
        const code = Number(/^Code (\d+)\s/.exec(yield* told)?.[1])
        yield* Effect.promise(() => page.keyboard.press("ArrowRight"))
        assert.match(yield* told, new RegExp(`^Code ${code + 1}\\s`))
        yield* Effect.promise(() => page.keyboard.press("ArrowUp"))
        assert.match(yield* told, new RegExp(`^Code ${code + 1 - 30}\\s`))
        const inked = yield* Effect.promise(() =>
          page.evaluate(() => {
            const canvas = document.querySelector("canvas")!
            const { data } = canvas.getContext("2d")!.getImageData(0, 0, canvas.width, canvas.height)
            return data.filter((value, at) => at % 4 === 3 && value > 0).length
          })
        )
        assert.isAbove(inked, 1000)
        assert.deepStrictEqual(complaints, [])
        yield* Effect.promise(() => page.keyboard.press("Enter"))
        yield* Effect.promise(() => page.waitForURL(new RegExp(`codes/${code + 1 - 30}$`)))
      }))

    it.effect("never tell of a code that occurs that it has no share", () =>
      Effect.sync(() => {
        const links: AtlasLinks = {
          picture: () => "",
          strips: () => "",
          mosaic: () => "",
          code: () => "",
          image: () => "",
          thumbnail: () => "",
          gallery: () => "",
          withCode: () => "",
          list: () => "",
          data: ""
        }
        const rare = { ...atlas.index, figures: { ...atlas.index.figures, patches: 1_000_000 } }
        const { html } = CodeList.render({ ...atlas, index: rare }, links)!
        assert.include(html, "&lt;0.1\u202f%")
        assert.notMatch(html, />0\.0\u202f%/)
      }))

    it.effect("show a code and an image, whose patches link to each other", () =>
      Effect.gen(function*() {
        const code = yield* visited("/codes/3")
        const found = yield* Effect.promise(() =>
          code.page.evaluate(() => ({
            headings: [...document.querySelectorAll("h3")].map(({ textContent }) => textContent),
            images: [...document.querySelectorAll<HTMLAnchorElement>(".windows a")].map(({ pathname }) => pathname),
            cells: document.querySelectorAll(".places rect").length,
            classes: [...document.querySelectorAll("tbody th")].map(({ textContent }) => textContent),
            border: getComputedStyle(document.querySelector("#sample ~ * .strip")!).borderTopWidth,
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
          "In the same images",
          "Places in images",
          "Classes"
        ])
        assert.deepStrictEqual(found.images.slice(0, 2), ["/runs/demo/atlas/images/6", "/runs/demo/atlas/images/0"])
        assert.strictEqual(found.cells, 4)
        assert.strictEqual(found.border, "1px")
        assert.notInclude(found.below, false)
        assert.deepStrictEqual(found.classes, ["4", "5", HOSTILE])
        const image = yield* visited("/images/1")
        const links = yield* Effect.promise(() =>
          image.page.evaluate(() =>
            [...document.querySelectorAll<HTMLAnchorElement>(".mosaic a")].map(({ pathname }) => pathname)
          )
        )
        const expected = [4, 5, 6, 7].map((one) => `/runs/demo/atlas/codes/${one}`)
        assert.deepStrictEqual(links, [...expected, ...expected])
        const pictures = image.requests.filter((address) => address.endsWith(".webp"))
        assert.deepStrictEqual(pictures.map((address) => address.split("/").at(-2)).toSorted(), [
          "mosaics",
          "thumbnails"
        ])
        yield* Effect.promise(() => image.page.locator(".mosaic a").nth(1).focus())
        const same = image.page.locator(".mosaic a.same")
        assert.strictEqual(yield* Effect.promise(() => same.count()), 2)
        yield* Effect.promise(() => image.page.keyboard.press("Enter"))
        yield* Effect.promise(() => image.page.waitForURL(/codes\/5$/))
        yield* Effect.promise(() => image.page.getByRole("link", { name: "Images with this code" }).click())
        yield* Effect.promise(() => image.page.getByRole("link", { name: "image 1, 1 patch" }).click())
        yield* Effect.promise(() => image.page.waitForURL(/images\/1$/))
        assert.notStrictEqual(yield* Effect.promise(() => image.page.title()), "taken over")
      }))

    it.effect("show all images", () =>
      Effect.gen(function*() {
        const { complaints, page } = yield* visited("/images")
        yield* wait(page, "[data-images] [aria-posinset]")
        const sizes = yield* Effect.promise(() =>
          page.evaluate(() =>
            [...document.querySelectorAll<HTMLImageElement>("[data-images] img")].map((image) => image.naturalWidth)
          )
        )
        assert.lengthOf(sizes, 7)
        yield* Effect.promise(() => page.getByRole("link", { name: "image 6" }).click())
        yield* Effect.promise(() => page.waitForURL(/images\/6$/))
        assert.deepStrictEqual(complaints, [])
      }))

    it.effect("fit into a phone, in a dark room, and for the keyboard", () =>
      Effect.gen(function*() {
        for (const inner of ["", "/list/96", "/map", "/codes/3", "/codes/3/images/0", "/images", "/images/1"]) {
          const { page } = yield* visited(inner, narrow)
          yield* Effect.promise(() => page.waitForLoadState("networkidle"))
          const { inner: width, scroll, small } = yield* Effect.promise(() =>
            page.evaluate(() => ({
              scroll: document.scrollingElement!.scrollWidth,
              inner: innerWidth,
              small: [...document.querySelectorAll("main a, main input, main select")].flatMap((one) => {
                const { height, width } = one.getBoundingClientRect()
                return Math.min(height, width) < 24 ? [one.outerHTML] : []
              })
            }))
          )
          assert.isAtMost(scroll, width, inner)
          assert.deepStrictEqual(small, [], inner)
          const pale = (yield* Effect.promise(() => page.evaluate(measures.contrasts))).filter(({ ratio }) =>
            ratio < 4.5
          )
          assert.deepStrictEqual(pale, [], inner)
        }
      }))

    it.effect("are in one file with their map", () =>
      Effect.gen(function*() {
        const { browser, runs } = yield* Fixture
        const { complaints, page } = yield* Browser.open(browser, yield* Exported.render([runs]), wide)
        yield* Effect.promise(() => page.evaluate(() => (location.hash = "#run-0-atlas")))
        yield* Effect.promise(() => page.locator(".page:target canvas").focus())
        const link = page.locator(".page:target .map-told a")
        yield* Effect.promise(() => link.waitFor())
        const code = (yield* Effect.promise(() => link.innerText())).replace("Code ", "")
        yield* Effect.promise(() => link.click())
        assert.strictEqual(
          yield* Effect.promise(() => page.locator("li:target b").innerText()),
          code
        )
        assert.deepStrictEqual(complaints, [])
      }))

    it.effect("keep addresses within their quotes", () =>
      Effect.sync(() => {
        assert.strictEqual(cssUrl("/runs/a b'(1)\"/x"), "url(\"/runs/a%20b%27%281%29%22/x\")")
      }))
  })
})
