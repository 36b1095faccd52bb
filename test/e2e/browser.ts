import chromium from "@sparticuz/chromium"
import { Effect, type Scope } from "effect"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { type Browser, chromium as playwright, type Page } from "playwright-core"

// The pages need no GPU, and one that is made of software takes most of the time.
const without = /^--(?:single-process|use-gl|use-angle|enable-unsafe-swiftshader|in-process-gpu|ignore-gpu-blocklist)\b/

/**
 * A headless Chromium that lives as long as the scope. In a single process it would end with its first page. Its language is
 * that of a container without a locale: `en-US@posix`.
 */
export const launch: Effect.Effect<Browser, never, Scope.Scope> = Effect.acquireRelease(
  Effect.promise(async () =>
    playwright.launch({
      executablePath: await chromium.executablePath(),
      args: [...chromium.args.filter((arg) => !without.test(arg)), "--disable-gpu", "--no-sandbox"],
      headless: true,
      env: { ...process.env, LC_ALL: "C" }
    })
  ),
  (browser) => Effect.promise(() => browser.close())
)

export interface View {
  readonly width: number
  readonly height: number
  readonly colorScheme: "light" | "dark"
  /** The browser's own where it is left out. */
  readonly locale?: string
}

/** A page from disk, with everything it complained about and every address it asked for. */
export interface Opened {
  readonly page: Page
  readonly complaints: ReadonlyArray<string>
  readonly requests: ReadonlyArray<string>
}

/** Opens an address; closed with the scope. */
export const visit = Effect.fnUntraced(function*(browser: Browser, address: string, view: View) {
  const page = yield* Effect.acquireRelease(
    Effect.promise(() =>
      browser.newPage({
        viewport: { width: view.width, height: view.height },
        colorScheme: view.colorScheme,
        ...(view.locale === undefined ? {} : { locale: view.locale })
      })
    ),
    (opened) => Effect.promise(() => opened.close())
  )
  const complaints: Array<string> = []
  const requests: Array<string> = []
  page.on("console", (message) => message.type() === "log" || complaints.push(message.text()))
  page.on("pageerror", (error) => complaints.push(error.message))
  page.on("request", (request) => request.url().startsWith("data:") || requests.push(request.url()))
  yield* Effect.promise(() => page.goto(address, { waitUntil: "load" }))
  const opened: Opened & { readonly address: string } = { page, complaints, requests, address }
  return opened
})

/** Opens a page from a file; closed with the scope. */
export const open = Effect.fnUntraced(function*(browser: Browser, html: string, view: View) {
  const folder = yield* Effect.acquireRelease(
    Effect.promise(() => mkdtemp(join(tmpdir(), "patchword-page-"))),
    (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
  )
  const file = join(folder, "report.html")
  yield* Effect.promise(() => writeFile(file, html))
  return yield* visit(browser, pathToFileURL(file).href, view)
})
