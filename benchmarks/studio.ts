/**
 * The weight of the studio's pages and the time to their first picture, in a real Chromium: `npm run bench -- studio [RUNS]`. Without
 * RUNS, it makes runs with long logs.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Context, Effect, FileSystem, Layer } from "effect"
import * as Studio from "../src/studio/Studio.ts"
import * as Browser from "../test/e2e/browser.ts"
import { makeRun } from "../test/studio/kit.ts"

const STEPS = 100_000
const TRIALS = 5

const view = { width: 1280, height: 900, colorScheme: "light" } as const

const median = (values: ReadonlyArray<number>): number => values.toSorted((a, b) => a - b)[values.length >> 1]!

const weigh = () => {
  const entries = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
  const sizes = entries.map((entry) => (entry as PerformanceResourceTiming).transferSize)
  return {
    kilobytes: Number((sizes.reduce((sum, size) => sum + size, 0) / 1000).toFixed(1)),
    requests: entries.length,
    firstPaint: performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? Number.NaN
  }
}

const program = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const [given] = process.argv.slice(2)
  const runs = given ?? (yield* fs.makeTempDirectoryScoped())
  if (given === undefined) {
    for (const name of ["one", "two"]) yield* makeRun(`${runs}/${name}`, STEPS)
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
  for (const href of [address, ...yield* links(".tabs a")]) {
    const found: Array<ReturnType<typeof weigh>> = []
    for (let i = 0; i < TRIALS; i++) {
      const { page: opened } = yield* Browser.visit(browser, href, view)
      found.push(yield* Effect.promise(() => opened.evaluate(weigh)))
    }
    console.log(JSON.stringify({
      page: new URL(href).pathname,
      kilobytes: found[0]!.kilobytes,
      requests: found[0]!.requests,
      firstPaintMs: Number(median(found.map(({ firstPaint }) => firstPaint)).toFixed(0))
    }))
  }
})

await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(NodeServices.layer)))
