/** The list of codes that occur: a row for each, which the browser draws when it comes into view. A script searches and sorts it. */
import { type Html, html } from "../../report/Html.ts"
import * as ListedCode from "../../report/ListedCode.ts"
import * as Numbers from "../../report/Numbers.ts"
import * as Atlas from "../Atlas.ts"
import type { AtlasLinks } from "./AtlasLinks.ts"

/** The browser's module that searches and sorts the list, by its place in the source. */
export const MODULE = "pipelines/atlas/browser/CodeSearch"

/** Renders the strip of the patches of a code. */
export const strip = (atlas: Atlas.Atlas, found: Atlas.Listed, links: AtlasLinks): Html => {
  const { patchSize } = atlas.index
  const patches = found.drawn
  const width = patches * (patchSize + 1) - 1
  const { narrow, wide } = ListedCode.SPACE
  const style = `--w:${width};--zoom:${ListedCode.zoomOf(patchSize, wide)};--narrow:${
    ListedCode.zoomOf(patchSize, narrow)
  }`
  return patches === 0 ?
    html`` :
    html`<img loading="lazy" decoding="async" src="${
      links.picture("patches", found.code)
    }" alt="${patches} patches of code ${found.code}" width="${width}" height="${patchSize}" style="${style}">`
}

const row = (atlas: Atlas.Atlas, found: Atlas.Listed, links: AtlasLinks): Html => {
  const { classBits = 0, classes, code, colour, count, share } = found
  return ListedCode.render({
    code,
    count,
    share,
    colour,
    patches: strip(atlas, found, links),
    href: links.code(code),
    search: { words: [code, ...classes.map(({ name }) => name)].join(" ").toLowerCase(), bits: classBits }
  })
}

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

/** Renders the list. `most` limits its rows; the most frequent codes come first. */
export const render = (atlas: Atlas.Atlas, links: AtlasLinks, most = Infinity): Html => {
  const codes = Atlas.used(atlas).slice(0, most)
  const hasClasses = atlas.index.figures.mutualInformation !== null
  return html`${figures(atlas)}
<form class="search" role="search" data-search-codes hidden><label>Search <input type="search" name="words" placeholder="${
    hasClasses ? "number or class" : "number"
  }" autocomplete="off"></label> <label>Order <select name="order"><option value="count">most frequent first</option><option value="rare">rarest first</option><option value="code">by number</option>${
    hasClasses ? html`<option value="bits">most telling about classes first</option>` : undefined
  }</select></label> <output role="status"></output></form>
<ol class="atlas whole" data-codes>${codes.map((code) => row(atlas, Atlas.listed(atlas, code)!, links))}</ol>`
}
