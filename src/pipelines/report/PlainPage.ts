/** A self-contained HTML page without scripts: its head, its heading and its body. */
import { version } from "../../domain/values/Version.ts"
import { type Html, html, raw } from "./Html.ts"
import { style } from "./Style.ts"

/** The parts of a page. */
export interface PlainPage {
  readonly title: string
  readonly heading: string
  /** Rules besides those of all pages. */
  readonly style?: string
  /** True if the page has images; default false. */
  readonly hasImages?: boolean
  readonly main: Html
}

/** Renders a page. */
export const render = (page: PlainPage): string => {
  const images = page.hasImages === true ? "img-src data:; " : ""
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; ${images}style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>patchword: ${page.title}</title>
<style>${raw(style)}${raw(page.style ?? "")}</style>
</head>
<body>
<header><p class="kicker">patchword ${version}</p><h1>${page.heading}</h1></header>
<main>
${page.main}
</main>
</body>
</html>
`.html
}
