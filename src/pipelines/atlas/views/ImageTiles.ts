/** Small pictures of images as links: all images of an atlas, and those that have a code. */
import { type Html, html } from "../../report/Html.ts"
import * as Numbers from "../../report/Numbers.ts"
import type * as Atlas from "../Atlas.ts"
import type { AtlasLinks } from "./AtlasLinks.ts"
import { template } from "./AtlasLinks.ts"
import * as ImageTile from "./ImageTile.ts"

/** The browser's module that shows all images, by its place in the source. */
export const MODULE = "pipelines/atlas/browser/ImageGallery"

/** The images of a page. */
export const PAGE = 96

/** Returns the picture of an image: its small picture, or else the one of its codes. */
const pictureOf = ({ index }: Atlas.Atlas, links: AtlasLinks) => index.thumbnails > 0 ? links.thumbnail : links.mosaic

const kindOf = ({ index }: Atlas.Atlas): Html | undefined =>
  index.thumbnails > 0
    ? undefined
    : html`<p>This atlas was made without small pictures of its images (--thumbnails). They are drawn by patches of their codes.</p>`

/** Renders all images from one on. `undefined` if there is no such image. */
export const gallery = (atlas: Atlas.Atlas, links: AtlasLinks, from = 0): Html | undefined => {
  const { images } = atlas.index.figures
  if (from < 0 || from >= images) return undefined
  const picture = pictureOf(atlas, links)
  const other = (at: number, text: string): Html | undefined =>
    at < 0 || at >= images ? undefined : html`<a href="${links.gallery(at)}">${text}</a> `
  const source: ImageTile.Source = { images, image: template(links.image), picture: template(picture) }
  return html`<p>${Numbers.count(images)} images (split ${atlas.index.split}). Choose one to see its codes.</p>
${kindOf(atlas)}<div data-images="${JSON.stringify(source)}"><ol class="tiles-of-images">${
    Array.from({ length: Math.min(PAGE, images - from) }, (_, i) =>
      ImageTile.render({
        image: from + i,
        href: links.image(from + i),
        picture: picture(from + i)
      }))
  }</ol><p class="pager">${other(from - PAGE, "Images before")}${other(from + PAGE, "Images after")}</p></div>`
}

/** Renders images that have a code, with the patches that have it. */
export const withCode = (atlas: Atlas.Atlas, code: number, found: Atlas.WithCode, links: AtlasLinks): Html => {
  const { grid } = atlas.index
  const picture = pictureOf(atlas, links)
  return html`<h2>Images with <a href="${links.code(code)}">code ${code}</a></h2>
${kindOf(atlas)}${
    found.images.length === 0
      ? html`<p>There are no images with this code from here on.</p>`
      : html`<p>The frames show the patches that have the code.</p><ol class="tiles-of-images">${
        found.images.map(({ image, patches }) =>
          ImageTile.render({
            image,
            href: links.image(image),
            picture: picture(image),
            marks: { grid, patches }
          })
        )
      }</ol>`
  }<p class="pager">${
    found.next === undefined ? undefined : html`<a href="${links.withCode(code, found.next)}">More images</a>`
  }</p>`
}
