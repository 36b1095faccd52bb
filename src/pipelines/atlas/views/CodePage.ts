/**
 * The page of one code: its patches in their images, near misses, neighbours, places in images, and classes.
 *
 * ```ts
 * import assert from "node:assert"
 * import { CodePage } from "patchword/pipelines"
 *
 * const code = { code: 7, grid: { height: 1, width: 2 }, positions: Int32Array.of(3, 5) }
 * assert.match(CodePage.positions(code).html, /most often in row 1 of 1, column 2 of 2, 5 times/)
 * ```
 */
import * as CodePairs from "../../../domain/method/CodePairs.ts"
import { type Html, html } from "../../report/Html.ts"
import * as ListedCode from "../../report/ListedCode.ts"
import * as Numbers from "../../report/Numbers.ts"
import * as Atlas from "../Atlas.ts"
import { type AtlasLinks, cssUrl } from "./AtlasLinks.ts"
import * as CodeList from "./CodeList.ts"

type List = "nearest" | "farthest" | "misses"

/** Renders patches in their images. Each is a part of one picture, and links to its image. */
const tiles = (atlas: Atlas.Atlas, code: Atlas.Code, list: List, links: AtlasLinks): Html => {
  const { keepsImages, window } = atlas.index
  return html`<ul class="windows" style="--side:${window};--picture:${cssUrl(links.picture(list, code.code))}">${
    code.lists[list].map(({ image, patch, value }, i) => {
      const name = `image ${image}, patch ${patch}`
      const tile = html`<span class="window" role="img" aria-label="${name}" style="--i:${i}"></span>`
      const shown = keepsImages ? html`<a href="${links.image(image)}" title="${name}">${tile}</a>` : tile
      return html`<li>${shown}<span class="muted">${Numbers.short(value)}</span></li>`
    })
  }</ul>`
}

const section = (id: string, title: string, content: Html): Html =>
  html`<section aria-labelledby="${id}"><h3 id="${id}">${title}</h3>${content}</section>\n`

const NOTES: Readonly<Record<List, string>> = {
  nearest:
    "The patches closest to the code, each of another image. The number is the squared distance of their vector to the code.",
  farthest:
    "The patches of the code that are farthest from it. If they look different, the code has more than one meaning.",
  misses:
    "Patches of other codes whose second choice is this code. The number tells how much farther it was than the code that they got."
}

const TITLES: Readonly<Record<List, string>> = {
  nearest: "Nearest patches",
  farthest: "Farthest patches",
  misses: "Near misses"
}

const CELL = 16

/** Renders the places of a code in images as a heat map. */
export const positions = (code: Pick<Atlas.Code, "code" | "grid" | "positions">): Html => {
  const { grid: { height, width }, positions } = code
  const most = Math.max(1, ...positions)
  const best = positions.indexOf(Math.max(...positions))
  const label = `Places of code ${code.code} in images: most often in row ${
    1 + Math.floor(best / width)
  } of ${height}, column ${1 + best % width} of ${width}, ${positions[best] ?? 0} times`
  return html`<svg class="places" role="img" aria-label="${label}" viewBox="0 0 ${width * CELL} ${
    height * CELL
  }" width="${width * CELL}" height="${height * CELL}">${
    Array.from(positions, (count, at) =>
      html`<rect x="${(at % width) * CELL}" y="${Math.floor(at / width) * CELL}" width="${CELL - 1}" height="${
        CELL - 1
      }" style="--share:${(count / most).toFixed(3)}"><title>${count}</title></rect>`)
  }</svg>`
}

const neighbours = (atlas: Atlas.Atlas, code: Atlas.Code, links: AtlasLinks): Html => {
  const codes = code.neighbours.map((one) => one.code)
  const strips = CodeList.strips(atlas, codes)
  return html`<p class="note">The codes whose vectors have the most similar directions, with the cosine similarity.</p>
<ol class="atlas" style="--picture:${cssUrl(links.strips(codes))}">${
    code.neighbours.map(({ code: other, cosine }, i) =>
      html`<li>${ListedCode.swatch(Atlas.colourOf(atlas, other))}<span class="code"><a href="${
        links.code(other)
      }"><b>${other}</b></a> <span class="muted">${cosine.toFixed(3)}</span></span><span class="patches">${
        strips[i]
      }</span></li>`
    )
  }</ol>`
}

const TOGETHER: Readonly<Record<CodePairs.Kind, readonly [title: string, note: string, count: string]>> = {
  images: [
    "In the same images",
    "Codes that occur in the same images more often than chance says.",
    "Images with both"
  ],
  neighbours: [
    "In neighbouring patches",
    "Codes of patches beside, above and below, more often than chance says.",
    "Neighbouring patches"
  ]
}

/** Renders the codes that occur together with a code. */
const together = (atlas: Atlas.Atlas, code: Atlas.Code, kind: CodePairs.Kind, links: AtlasLinks): Html | undefined => {
  const pairs = code.together[kind]
  if (pairs.length === 0) return undefined
  const [title, note, count] = TOGETHER[kind]
  const codes = pairs.map((pair) => pair.code)
  const strips = CodeList.strips(atlas, codes)
  return section(
    kind,
    title,
    html`<p class="note">${note} The measure is normalised pointwise mutual information: 0 for chance, 1 for codes that occur only together. Pairs that were seen fewer than ${CodePairs.FEWEST} times are left out.</p>
<div class="scroll" role="region" aria-labelledby="${kind}" tabindex="0"><table class="atlas-pairs" style="--picture:${
      cssUrl(links.strips(codes))
    }"><thead><tr><th scope="col">Code</th><th scope="col">Patches</th><th scope="col" class="number">${count}</th><th scope="col" class="number">By chance</th><th scope="col" class="number">Measure</th></tr></thead><tbody>${
      pairs.map(({ code: other, count, expected, measure }, i) =>
        html`<tr><th scope="row"><a href="${links.code(other)}">${other}</a></th><td>${
          strips[i]
        }</td><td class="number">${Numbers.count(count)}</td><td class="number">${
          Numbers.short(expected)
        }</td><td class="number">${measure.toFixed(3)}</td></tr>\n`
      )
    }</tbody></table></div>`
  )
}

const classes = (code: Atlas.Code): Html =>
  html`<p class="note">The code gives ${
    Numbers.short(code.classBits ?? 0)
  } bits about the class of an image. These classes have it more often than others.</p>
<div class="scroll" role="region" aria-labelledby="classes" tabindex="0"><table><thead><tr><th scope="col">Class</th><th scope="col" class="number">Patches</th><th scope="col" class="number">Share of the code</th><th scope="col" class="number">Share of all patches</th><th scope="col" class="number">Times as often</th></tr></thead><tbody>${
    code.classes.map(({ count, name, overall, share }) =>
      html`<tr><th scope="row">${name}</th><td class="number">${Numbers.count(count)}</td><td class="number">${
        Numbers.percent(share)
      }</td><td class="number">${Numbers.percent(overall)}</td><td class="number">${
        (share / overall).toFixed(1)
      }</td></tr>\n`
    )
  }</tbody></table></div>`

/** Renders the page of a code, without the frame of the page. */
export const render = (atlas: Atlas.Atlas, code: Atlas.Code, links: AtlasLinks): Html => {
  const { colour, count, rank, share } = code
  const { codes } = atlas.index.figures
  const lists = (["nearest", "farthest", "misses"] as const).filter((list) => code.lists[list].length > 0)
  return html`<h2>${ListedCode.swatch(colour)} Code ${code.code}</h2>
<p>${
    count === 0
      ? "No patch of these images has this code."
      : `${Numbers.count(count)} patches have this code, ${
        Numbers.part(share)
      } of all. It is number ${rank} of ${codes} by frequency.`
  }</p>
${
    count > 0 && atlas.index.keepsImages
      ? html`<p class="pager"><a href="${links.withCode(code.code, 0)}">Images with this code</a></p>`
      : undefined
  }
${
    code.drawn === 0
      ? undefined
      : section(
        "sample",
        "Drawn at random",
        html`<p class="note">Patches of the code, each of another image.</p>${CodeList.strip(atlas, code.code, links)}`
      )
  }${
    lists.map((list) =>
      section(list, TITLES[list], html`<p class="note">${NOTES[list]}</p>${tiles(atlas, code, list, links)}`)
    )
  }${
    code.neighbours.length === 0
      ? undefined
      : section("codebook", "Neighbours in the codebook", neighbours(atlas, code, links))
  }${CodePairs.KINDS.map((kind) => together(atlas, code, kind, links))}${
    count === 0 ? undefined : section("places", "Places in images", positions(code))
  }${code.classes.length === 0 ? undefined : section("classes", "Classes", classes(code))}`
}
