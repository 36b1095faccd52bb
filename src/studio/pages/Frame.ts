/** The frame of a page of the studio: head, bar, tabs, main part, and the data of its charts. */
import { version } from "../../domain/values/Version.ts"
import type { Chart } from "../../pipelines/report/Charts.ts"
import { type Html, html, json } from "../../pipelines/report/Html.ts"
import type { Links } from "./Links.ts"

/** One of the tabs above a page. */
export interface Tab {
  readonly title: string
  readonly href: string
  readonly isCurrent: boolean
}

/** The content of a page. */
export interface Page {
  readonly title: string
  readonly heading: string
  readonly tabs?: ReadonlyArray<Tab>
  readonly main: Html
  /** The charts, in the order of their figures. */
  readonly charts?: ReadonlyArray<Chart>
}

/** The files that a page of a server loads. */
export interface Loaded {
  readonly style: string
  readonly charts: string
  readonly modules: ReadonlyArray<string>
}

const tabsOf = (tabs: ReadonlyArray<Tab>): Html =>
  html`<nav class="tabs" aria-label="Views of the run"><ul>${
    tabs.map(({ href, isCurrent, title }) =>
      isCurrent
        ? html`<li><a href="${href}" aria-current="page">${title}</a></li>`
        : html`<li><a href="${href}">${title}</a></li>`
    )
  }</ul></nav>`

/** Renders the heading of a page and its main part. */
export const body = (page: Page): Html =>
  html`<header><h1>${page.heading}</h1></header>
${page.tabs === undefined ? undefined : tabsOf(page.tabs)}
<main>
${page.main}
</main>`

/** Renders a page of a server. */
export const render = (page: Page, links: Links, loaded: Loaded): string => {
  const { charts, title } = page
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title} · patchword studio</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="${loaded.style}">
${charts === undefined ? undefined : html`<script defer src="${loaded.charts}"></script>`}
${loaded.modules.map((name) => html`<script type="module" src="${name}"></script>`)}
</head>
<body>
<a class="skip" href="#content">Skip to the content</a>
<nav class="bar" aria-label="Studio"><a href="${links.runs}"><b>patchword studio</b></a> <a href="${links.runs}">Runs</a> <span class="muted">${version}</span></nav>
<div id="content">
${body(page)}
</div>
${charts === undefined ? undefined : html`<script type="application/json" id="charts">${json(charts)}</script>`}
</body>
</html>
`.html
}
