/**
 * The weight of the studio's pages, the time to their first picture, and the frames while one scrolls, in a real Chromium:
 * `npm run bench -- studio [RUNS]`. Without RUNS, it makes runs with long logs, and one with an atlas of 8192 codes and 50 000 images.
 *
 * `kilobytes` is what all files of the page hold, `sentKilobytes` what came over the connection. A frame is late if it came more than 50 ms
 * after the one before it. Each page is scrolled three times, each time in a new profile of the browser. The figures are those of the
 * trial with the middle longest frame; `longestOfAllMs` is the longest frame of all trials. The empty page shows how late frames come
 * without anything of the studio: the machine's own share. `load` is the mean number of processes that want a processor, over the last
 * minute.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Context, Effect, FileSystem, Layer } from "effect"
import { loadavg } from "node:os"
import * as Studio from "../src/studio/Studio.ts"
import * as Browser from "../test/e2e/browser.ts"
import { makeRun } from "../test/studio/kit.ts"
import * as SyntheticAtlas from "./syntheticAtlas.ts"

const STEPS = 100_000
const TRIALS = 5
const SCROLLS = 3

const view = { width: 1280, height: 900, colorScheme: "light" } as const

const median = (values: ReadonlyArray<number>): number => values.toSorted((a, b) => a - b)[values.length >> 1]!

const weigh = async () => {
  const firstPaint = await new Promise<number>((painted) =>
    new PerformanceObserver((list) => {
      const [entry] = list.getEntriesByName("first-contentful-paint")
      if (entry !== undefined) painted(entry.startTime)
    }).observe({ type: "paint", buffered: true })
  )
  const entries = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
  // The timings leave out the size of what came from a cache.
  const loaded = entries.map(({ name }) => name).filter((name) =>
    !name.startsWith("data:") && !name.endsWith("/events")
  )
  const sizes = await Promise.all(
    loaded.map(async (name) => (await (await fetch(name)).arrayBuffer()).byteLength)
  )
  const sent = entries.reduce((sum, one) => sum + (one as PerformanceResourceTiming).transferSize, 0)
  return {
    sentKilobytes: Number((sent / 1000).toFixed(1)),
    kilobytes: Number((sizes.reduce((sum, size) => sum + size, 0) / 1000).toFixed(1)),
    requests: loaded.length,
    firstPaint
  }
}

/** Scrolls a page down, a part of the screen in each frame, and measures the time between frames. */
const scroll = async () => {
  const [FRAMES, STEP] = [240, 300]
  await new Promise((resolve) => setTimeout(resolve, 1000))
  const times: Array<number> = []
  let before = await new Promise<number>(requestAnimationFrame)
  for (let frame = 0; frame < FRAMES; frame++) {
    scrollBy({ top: STEP, behavior: "instant" })
    const now = await new Promise<number>(requestAnimationFrame)
    times.push(now - before)
    before = now
  }
  const sorted = times.toSorted((a, b) => a - b)
  return {
    scrolled: Math.round(scrollY),
    frames: FRAMES,
    medianMs: Number(sorted[FRAMES >> 1]!.toFixed(1)),
    p95Ms: Number(sorted[Math.floor(0.95 * FRAMES)]!.toFixed(1)),
    longestMs: Number(sorted.at(-1)!.toFixed(1)),
    late: times.filter((time) => time > 50).length,
    elements: document.querySelectorAll("*").length
  }
}

const print = (found: object) => console.log(JSON.stringify({ ...found, load: Number(loadavg()[0]!.toFixed(1)) }))

const empty = () => {
  document.body.innerHTML = "<div style='height:100000px;background:linear-gradient(#fff,#000)'></div>"
}

const program = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const [given] = process.argv.slice(2)
  const runs = given ?? (yield* fs.makeTempDirectoryScoped())
  if (given === undefined) {
    for (const name of ["one", "two"]) yield* makeRun(`${runs}/${name}`, STEPS)
    yield* SyntheticAtlas.write(`${runs}/one`, 8192, 50_000)
  }
  const { address } = Context.get(yield* Layer.build(Studio.layer({ runs: [runs], port: 0 })), Studio.Studio)
  const browser = yield* Browser.launch
  const { page } = yield* Browser.visit(browser, address, view)
  const links = (selector: string) =>
    Effect.promise(() =>
      page.locator(selector).evaluateAll((all) => all.map((link) => (link as HTMLAnchorElement).href))
    )
  const [first = ""] = yield* links("tbody th a")
  yield* Effect.promise(() => page.goto(first))
  const tabs = yield* links(".tabs a")
  const atlas = tabs.find((href) => href.endsWith("/atlas"))!
  for (const href of [address, ...tabs, `${atlas}/map`, `${atlas}/codes/1`, `${atlas}/images/1`]) {
    const found: Array<Awaited<ReturnType<typeof weigh>>> = []
    for (let i = 0; i < TRIALS; i++) {
      const { page: opened } = yield* Browser.visit(browser, href, view)
      found.push(yield* Effect.promise(() => opened.evaluate(weigh)))
    }
    print({
      page: new URL(href).pathname,
      kilobytes: found[0]!.kilobytes,
      sentKilobytes: found[0]!.sentKilobytes,
      requests: found[0]!.requests,
      firstPaintMs: Number(median(found.map(({ firstPaint }) => firstPaint)).toFixed(0))
    })
  }
  const { page: blank } = yield* Browser.visit(browser, address, view)
  yield* Effect.promise(() => blank.evaluate(empty))
  print({ page: "empty", ...yield* Effect.promise(() => blank.evaluate(scroll)) })
  for (const href of [atlas, `${atlas}/images`]) {
    const found: Array<Awaited<ReturnType<typeof scroll>>> = []
    for (let i = 0; i < SCROLLS; i++) {
      const { page: opened } = yield* Browser.visit(browser, href, view)
      found.push(yield* Effect.promise(() => opened.evaluate(scroll)))
    }
    const sorted = found.toSorted((a, b) => a.longestMs - b.longestMs)
    print({ page: new URL(href).pathname, ...sorted[SCROLLS >> 1]!, longestOfAllMs: sorted.at(-1)!.longestMs })
  }
})

await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(NodeServices.layer)))
