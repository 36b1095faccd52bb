/**
 * The studio as one self-contained file: the same pages of the same runs, without a server. It can be opened from disk or sent to
 * someone. Only the charts and the map of codes need a script.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Effect } from "effect"
 * import { Files } from "patchword/layers"
 * import { Exported } from "patchword/studio"
 *
 * const error = await Effect.runPromise(Effect.flip(Exported.render(["examples"])).pipe(Effect.provide(Files.layerNode)))
 * assert.match(error.message, /examples: this folder holds no run/)
 * ```
 */
import { Effect, FileSystem, type Path } from "effect"
import { version } from "../domain/values/Version.ts"
import * as Files from "../layers/files/Files.ts"
import * as Atlas from "../pipelines/atlas/Atlas.ts"
import * as BrowserModules from "../pipelines/report/BrowserModules.ts"
import type { Chart } from "../pipelines/report/Charts.ts"
import { type Html, html, json, raw } from "../pipelines/report/Html.ts"
import * as Script from "../pipelines/report/Script.ts"
import * as ReportStyle from "../pipelines/report/Style.ts"
import * as Registry from "../pipelines/runs/Registry.ts"
import * as RunDigests from "../pipelines/trained/RunDigests.ts"
import * as Frame from "./pages/Frame.ts"
import type { Links, Named } from "./pages/Links.ts"
import type { Module } from "./pages/Modules.ts"
import * as RunList from "./pages/RunList.ts"
import * as StudioStyle from "./pages/StudioStyle.ts"
import * as Views from "./pages/Views.ts"
import * as Inside from "./server/Inside.ts"
import * as RunFiles from "./server/RunFiles.ts"
import * as Shelf from "./server/Shelf.ts"

const FIRST = "runs"

/** One page at a time: the one that the address names, or else the first. */
const ONE_PAGE = `
.page { display: none }
.page:target, .page:has(:target), :root:not(:has(.page:target, .page :target)) .page.first { display: block }
.page + .page { margin-top: 0 }
@media print { .page { display: block; break-before: page } }
`

/** Names within one file: `run-2-overview`. A name of a run can hold any letters, so its number stands for it. */
const linksOf = (runs: ReadonlyArray<Named>): Links => ({
  runs: `#${FIRST}`,
  run: (id, view) => `#run-${runs.findIndex((one) => one.id === id)}-${view}`,
  compare: undefined,
  list: undefined,
  events: undefined,
  notes: undefined,
  report: undefined,
  address: undefined,
  file: ({ run }, name) =>
    Effect.gen(function*() {
      const found = yield* RunFiles.find(run.path, name)
      if (found === undefined) return ""
      const fs = yield* FileSystem.FileSystem
      const bytes = yield* Files.onFailure(found.path)(fs.readFile(found.path))
      return `data:${found.type};base64,${Buffer.from(bytes).toString("base64")}`
    })
})

// Text in the markup is escaped, so that a quotation mark is always that of an attribute.
const ownNames = (markup: Html, page: string): Html =>
  raw(markup.html.replaceAll(/ (id|aria-labelledby)="([^"]+)"/g, ` $1="${page}-$2"`))

const sectionOf = (name: string, page: Frame.Page): Html =>
  html`<div class="${name === FIRST ? "page first" : "page"}" id="${name}">${ownNames(Frame.body(page), name)}</div>\n`

// Only the scripts whose digests are given may run, and nothing may be loaded.
const policy = (scripts: ReadonlyArray<string>): string =>
  `default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src ${
    scripts.map((code) => `'sha256-${Buffer.from(Files.sha256(code), "hex").toString("base64")}'`).join(" ")
  }`

/**
 * Renders the pages of the runs in the given folders. Fails with a `RunFolderError` if a folder cannot be read or none of them
 * holds a run, and with a `FileError` if a script of the pages is missing.
 */
export const render = Effect.fn("patchword.Exported.render")(
  function*(
    folders: ReadonlyArray<string>
  ): Effect.fn.Return<string, Files.FileError | Registry.RunFolderError, FileSystem.FileSystem | Path.Path> {
    const [code, plotStyle] = yield* Effect.all([Script.code, Script.style])
    const runs = yield* Shelf.all(folders)
    if (runs.length === 0) {
      return yield* new Registry.RunFolderError({ run: folders.join(", "), reason: new Registry.NoRun() })
    }
    const links = linksOf(runs)
    const charts: Array<Chart> = []
    const modules = new Set<Module>()
    const sections = [sectionOf(FIRST, RunList.page(runs, folders, links))]
    for (const run of runs) {
      for (const view of Views.all) {
        const place = {
          ...run,
          links,
          atlas: Atlas.open,
          digests: (run: string) => RunDigests.of(run),
          from: charts.length,
          inner: ""
        }
        const shown = yield* Inside.within([run.run.path])(Views.page(view, place))
        if (shown === undefined) continue
        charts.push(...shown.page.charts ?? [])
        shown.modules.forEach((one) => modules.add(one))
        sections.push(sectionOf(links.run(run.id, view.id).slice(1), shown.page))
      }
    }
    const scripts = Array.from((yield* BrowserModules.read(Array.from(modules))).values())
    return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy([code, ...scripts])}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>patchword studio</title>
<style>${raw(plotStyle)}${raw(ReportStyle.style)}${raw(StudioStyle.style)}${raw(ONE_PAGE)}</style>
</head>
<body>
<nav class="bar" aria-label="Studio"><a href="${links.runs}"><b>patchword studio</b></a> <a href="${links.runs}">Runs</a> <span class="muted">${version}</span></nav>
${sections}
<script type="application/json" id="charts">${json(charts)}</script>
<script>${raw(code)}</script>
${scripts.map((script) => html`<script type="module">${raw(script)}</script>\n`)}</body>
</html>
`.html
  }
)
