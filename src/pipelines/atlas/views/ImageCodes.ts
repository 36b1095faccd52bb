/** An image as its codes: every patch is drawn by a patch of its code, and links to the code. */
import { type Html, html } from "../../report/Html.ts"
import * as Atlas from "../Atlas.ts"
import { type AtlasLinks, cssUrl } from "./AtlasLinks.ts"

/** Renders a link to another image, if the atlas has it. */
const other = (atlas: Atlas.Atlas, image: number, text: string, links: AtlasLinks): Html | undefined =>
  image < 0 || image >= atlas.index.figures.images
    ? undefined
    : html`<a href="${links.image(image)}">${text}</a> `

/** Renders the page of an image, without the frame of the page. */
export const render = (atlas: Atlas.Atlas, coded: Atlas.CodedImage, links: AtlasLinks): Html => {
  const { codes, grid, image, label, name } = coded
  const distinct = new Set(codes)
  const lost = Array.from(distinct).filter((code) => Atlas.isLost(atlas, "patches", code))
  return html`<h2>${name}</h2>
<p>${
    atlas.index.classes.length > 1 ? html`Class ${label}. ` : undefined
  }Its ${codes.length} patches have ${distinct.size} different codes. Each is drawn by another patch with the same code, so this shows what the codes keep. Choose one to see its code.</p>
${
    lost.length === 0
      ? undefined
      : html`<p role="alert">The pictures of ${lost.length} of these codes are missing. A red cross stands for them.</p>`
  }<p class="pager">${other(atlas, image - 1, "Previous image", links)}${
    other(atlas, image + 1, "Next image", links)
  }</p>
<div class="scroll"><ol class="mosaic" style="--columns:${grid.width};--picture:${cssUrl(links.mosaic(image))}">${
    codes.map((code, at) => {
      const title = `code ${code}, row ${1 + Math.floor(at / grid.width)}, column ${1 + at % grid.width}`
      return html`<li><a href="${links.code(code)}" title="${title}" aria-label="${title}"></a></li>`
    })
  }</ol></div>`
}
