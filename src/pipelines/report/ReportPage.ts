/**
 * The report of a run as one self-contained HTML file. It needs no network and no other file. It can be opened from disk,
 * printed, or sent to someone.
 */
import { Effect, type FileSystem } from "effect"
import type { Report } from "../../domain/evaluation/Report.ts"
import * as Files from "../../layers/files/Files.ts"
import * as Charts from "./Charts.ts"
import * as Codes from "./Codes.ts"
import * as Details from "./Details.ts"
import { evaluation } from "./Evaluation.ts"
import { type Html, html, json, raw } from "./Html.ts"
import type { PageData } from "./PageData.ts"
import * as Script from "./Script.ts"
import { style } from "./Style.ts"
import { headline, summary } from "./Summary.ts"

export type { CodedImage, CodeRow, Credit, Curve, MaskedImage, PageData } from "./PageData.ts"

interface Section {
  readonly id: string
  readonly title: string
  readonly content: Html
}

const section = ({ content, id, title }: Section): Html =>
  html`<section aria-labelledby="${id}"><h2 id="${id}">${title}</h2>\n${content}\n</section>\n`

// Only the script whose digest is given may run, and nothing may be loaded.
const policy = (code: string): string =>
  `default-src 'none'; img-src data:; style-src 'unsafe-inline'; ` +
  `script-src 'sha256-${Buffer.from(Files.sha256(code), "hex").toString("base64")}'`

/** Renders the report as one self-contained page. Fails with a `FileError` if the plotting library is not in its package. */
export const render = Effect.fn("patchword.ReportPage.render")(
  function*(
    report: Report,
    page: PageData
  ): Effect.fn.Return<string, Files.FileError, FileSystem.FileSystem> {
    const [code, plotStyle] = yield* Effect.all([Script.code, Script.style])
    const curves = Charts.charts(page.curves, report)
    const codebook = Charts.charts(page.codebook, report)
    const sections: Array<Section> = []
    const add = (present: boolean, id: string, title: string, content: Html) => {
      if (present) sections.push({ id, title, content })
    }
    add(page.codes.length > 0, "codebook", "The codebook", yield* Codes.atlas(page))
    add(Codes.framed(page).length > 0, "matches", "Codes in their images", yield* Codes.examples(page))
    add(page.coded.length > 0, "images", "Images as codes", yield* Codes.images(page))
    add(page.masked.length > 0, "masks", "Behind the mask", yield* Codes.predictions(page))
    if (page.completion !== undefined) add(true, "completion", "Behind the mask, drawn", page.completion)
    add(curves.length > 0, "training", "Training", Charts.figures(curves, 0))
    add(codebook.length > 0, "usage", "Use of the codebook", Charts.figures(codebook, curves.length))
    const links = [
      ["evaluation", "Evaluation"],
      ...sections.map(({ id, title }) => [id, title]),
      ["time", "Time"],
      ["provenance", "Provenance"]
    ]
    return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy(code)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="description" content="${headline(report, page.subject)}">
<title>patchword: ${report.preset}, seed ${report.seed}</title>
<style>${raw(plotStyle)}${raw(style)}</style>
</head>
<body>
${summary(report, page.subject)}
<nav aria-label="Sections"><ul>${links.map(([id, title]) => html`<li><a href="#${id}">${title}</a></li>`)}</ul></nav>
<main>
${evaluation(report, page)}
${sections.map(section)}${Details.timings(report)}
${Details.provenance(report, page)}
</main>
<script type="application/json" id="charts">${json([...curves, ...codebook])}</script>
<script>${raw(code)}</script>
</body>
</html>
`.html
  }
)
