/** Scripts and styles of the pages, all of them from this library and its packages. A page loads no other. */
import { Effect, type FileSystem, type Path } from "effect"
import * as Files from "../../layers/files/Files.ts"
import * as BrowserModules from "../../pipelines/report/BrowserModules.ts"
import * as Script from "../../pipelines/report/Script.ts"
import * as ReportStyle from "../../pipelines/report/Style.ts"
import * as Modules from "../pages/Modules.ts"
import * as StudioStyle from "../pages/StudioStyle.ts"
import * as Headers from "./Headers.ts"

/** A script or a style. */
export interface Asset {
  readonly type: string
  readonly content: string
  /** Changes with the content (`ETag`). */
  readonly tag: string
}

/** The names of the assets that are not modules. */
export const CHARTS = "charts.js"
export const STYLE = "style.css"

const assetOf = (type: string, content: string): Asset => ({
  type: `${type}; charset=utf-8`,
  content,
  tag: Headers.tagOf(content)
})

const SCRIPT = "text/javascript"

/** Reads all assets, by their names. */
export const read: Effect.Effect<ReadonlyMap<string, Asset>, Files.FileError, FileSystem.FileSystem | Path.Path> =
  Effect.gen(function*() {
    const [charts, plotStyle, modules] = yield* Effect.all([
      Script.code,
      Script.style,
      BrowserModules.read(Modules.all)
    ])
    return new Map([
      [CHARTS, assetOf(SCRIPT, charts)],
      [STYLE, assetOf("text/css", `${plotStyle}${ReportStyle.style}${StudioStyle.style}`)],
      ...Array.from(modules, ([name, text]) => [name, assetOf(SCRIPT, text)] as const)
    ])
  })
