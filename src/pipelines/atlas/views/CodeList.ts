/** The list of codes that occur, in blocks of rows with one picture each. A script searches and sorts it, and shows the rows in view alone. */
import { type Html, html } from "../../report/Html.ts"
import * as Numbers from "../../report/Numbers.ts"
import * as Atlas from "../Atlas.ts"
import * as Sprites from "../Sprites.ts"
import { type AtlasLinks, cssUrl, template } from "./AtlasLinks.ts"
import type { CodeListData, Source } from "./CodeListData.ts"
import * as CodeRow from "./CodeRow.ts"

/** The browser's module that searches and sorts the list, by its place in the source. */
export const MODULE = "pipelines/atlas/browser/CodeSearch"

/** The rows of a page. */
export const PAGE = 3 * CodeRow.BLOCK

const sizesOf = ({ index }: Atlas.Atlas): CodeRow.Sizes => ({
  patchSize: index.patchSize,
  sheet: Sprites.width(index)
})

const rowOf = (atlas: Atlas.Atlas, code: number): CodeRow.CodeRow => {
  const { colour, count, drawn, share } = Atlas.listed(atlas, code)!
  return { code, colour, count, drawn, share, isLost: Atlas.isLost(atlas, "patches", code) }
}

/** Renders the strip of a code alone. */
export const strip = (atlas: Atlas.Atlas, code: number, links: AtlasLinks): Html =>
  html`<span style="--picture:${cssUrl(links.strips([code]))}">${
    CodeRow.strip(rowOf(atlas, code), 0, sizesOf(atlas))
  }</span>`

/** Renders strips of some codes that have one picture. */
export const strips = (atlas: Atlas.Atlas, codes: ReadonlyArray<number>): ReadonlyArray<Html> =>
  codes.map((code, at) => CodeRow.strip(rowOf(atlas, code), at, sizesOf(atlas)))

/** Splits codes into those that have one picture. */
export const blocks = (codes: ReadonlyArray<number>): ReadonlyArray<ReadonlyArray<number>> =>
  Array.from(
    { length: Math.ceil(codes.length / CodeRow.BLOCK) },
    (_, i) => codes.slice(i * CodeRow.BLOCK, (i + 1) * CodeRow.BLOCK)
  )

/** Renders rows of codes, block by block. Their numbers are links if there are pages of codes. */
export const rows = (atlas: Atlas.Atlas, codes: ReadonlyArray<number>, links: AtlasLinks, hasPages = true): Html =>
  html`${
    blocks(codes).map((block) =>
      html`<ol class="atlas" style="--picture:${cssUrl(links.strips(block))}">${
        block.map((code, at) =>
          CodeRow.render(rowOf(atlas, code), at, sizesOf(atlas), hasPages ? links.code(code) : undefined)
        )
      }</ol>\n`
    )
  }`

/** Renders the figures of an atlas as a sentence. */
export const figures = (atlas: Atlas.Atlas): Html => {
  const { images, mutualInformation: told, patches, perplexity, used, codes } = atlas.index.figures
  return html`<p>${Numbers.count(used)} of ${Numbers.count(codes)} codes occur among the ${
    Numbers.count(patches)
  } patches of ${Numbers.count(images)} images (split ${atlas.index.split}). Their perplexity is ${
    Numbers.short(perplexity)
  }.${
    told === null ?
      "" :
      ` The code of a patch tells ${Numbers.short(told.bits)} bits about the class of its image, ${
        Numbers.percent(told.normalised)
      } of the ${Numbers.short(told.classEntropy)} bits of the classes (mutual information).`
  }</p>`
}

/** Returns the list as data, for its script. */
export const data = (atlas: Atlas.Atlas): CodeListData => ({
  ...sizesOf(atlas),
  patches: Math.max(1, atlas.index.figures.patches),
  names: atlas.index.classes,
  codes: Atlas.used(atlas).map((code) => {
    const { colour: [red, green, blue], count, drawn, isLost } = rowOf(atlas, code)
    const { classBits = 0, classes } = Atlas.listed(atlas, code)!
    return [
      code,
      count,
      Math.round(red),
      Math.round(green),
      Math.round(blue),
      isLost ? -drawn : drawn,
      Number(classBits.toPrecision(3)),
      ...classes.map((one) => one.class)
    ] as const
  })
})

/** Renders the rows from one on, with links to the pages before and after them. `undefined` if there is no such row. */
export const render = (atlas: Atlas.Atlas, links: AtlasLinks, from = 0): Html | undefined => {
  const codes = Atlas.used(atlas)
  if (from < 0 || (from > 0 && from >= codes.length)) return undefined
  const hasClasses = atlas.index.figures.mutualInformation !== null
  const source: Source = {
    data: links.data,
    code: template(links.code),
    strips: links.strips([]).replace(/\.webp$/, "{codes}.webp")
  }
  const other = (at: number, text: string): Html | undefined =>
    at < 0 || at >= codes.length ? undefined : html`<a href="${links.list(at)}">${text}</a> `
  return html`${figures(atlas)}
<form class="search" role="search" data-search-codes hidden><label>Search <input type="search" name="words" placeholder="${
    hasClasses ? "number or class" : "number"
  }" autocomplete="off"></label> <label>Order <select name="order"><option value="count">most frequent first</option><option value="rare">rarest first</option><option value="code">by number</option>${
    hasClasses ? html`<option value="bits">most telling about classes first</option>` : undefined
  }</select></label> <output role="status"></output></form>
<div data-codes="${JSON.stringify(source)}">
${rows(atlas, codes.slice(from, from + PAGE), links)}<p class="pager">${other(from - PAGE, "More frequent codes")}${
    other(from + PAGE, "Less frequent codes")
  }</p></div>`
}
