/** An image and its codes: every patch of the image links to its code, and beside it the image is drawn by other patches with the same codes. */
import { type Html, html } from "../../report/Html.ts"
import * as Atlas from "../Atlas.ts"
import { type AtlasLinks, cssUrl } from "./AtlasLinks.ts"

/** The browser's module that marks equal codes, by its place in the source. */
export const MODULE = "pipelines/atlas/browser/SameCode"

/** Renders a link to another image, if the atlas has it. */
const other = (atlas: Atlas.Atlas, image: number, text: string, links: AtlasLinks): Html | undefined =>
  image < 0 || image >= atlas.index.figures.images
    ? undefined
    : html`<a href="${links.image(image)}">${text}</a> `

/** Renders the patches of an image over a picture, as links to their codes. The keyboard reaches those of one picture. */
const patches = (
  { codes, grid }: Atlas.CodedImage,
  picture: string,
  told: { readonly title: string; readonly hasKeys: boolean },
  links: AtlasLinks
): Html =>
  html`<figure><div class="scroll"><ol class="mosaic" style="--columns:${grid.width};--picture:${cssUrl(picture)}">${
    codes.map((code, at) => {
      const title = `code ${code}, row ${1 + Math.floor(at / grid.width)}, column ${1 + at % grid.width}`
      const keys = told.hasKeys ? undefined : html` tabindex="-1"`
      return html`<li><a href="${
        links.code(code)
      }" data-code="${code}" title="${title}" aria-label="${title}"${keys}></a></li>`
    })
  }</ol></div><figcaption class="muted">${told.title}</figcaption></figure>`

/** Renders the page of an image, without the frame of the page. */
export const render = (atlas: Atlas.Atlas, coded: Atlas.CodedImage, links: AtlasLinks): Html => {
  const { codes, image, label, name } = coded
  const { classes, thumbnails } = atlas.index
  const distinct = new Set(codes)
  const lost = Array.from(distinct).filter((code) => Atlas.isLost(atlas, "patches", code))
  return html`<h2>${name}</h2>
<p>${
    classes.length > 1 ? html`Class ${label}. ` : undefined
  }Its ${codes.length} patches have ${distinct.size} different codes. Choose a patch to see its code.</p>
${
    lost.length === 0
      ? undefined
      : html`<p role="alert">The pictures of ${lost.length} of these codes are missing. A red cross stands for them.</p>`
  }<p class="pager">${other(atlas, image - 1, "Previous image", links)}${
    other(atlas, image + 1, "Next image", links)
  }</p>
<div class="image-and-codes" data-same-code>${
    thumbnails > 0
      ? patches(coded, links.thumbnail(image), { title: "The image as the tokenizer saw it", hasKeys: true }, links)
      : html`<p>This atlas was made without small pictures of its images (--thumbnails).</p>`
  }${
    patches(
      coded,
      links.mosaic(image),
      {
        title: "What the codes keep: each patch is drawn by another patch with the same code",
        hasKeys: thumbnails === 0
      },
      links
    )
  }</div>`
}
