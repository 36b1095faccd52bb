/**
 * A look as a part of a page: each image beside its maps.
 *
 * ```ts
 * import assert from "node:assert"
 * import { LookView } from "patchword/pipelines"
 *
 * const look = { kind: "pca", network: "pretrain", weights: "", split: "val", images: "", shown: [] } as const
 * assert.ok(LookView.section(look, (file) => `/look/${file}`).html.includes("Principal components"))
 * ```
 */
import { type Html, html } from "../report/Html.ts"
import type { Look } from "./LookFolder.ts"

/** The side of a picture on the page, in CSS pixels. */
const SIDE = 112

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`

const heading = ({ kind }: Look): string =>
  kind === "attention" ? "Attention of the class token" : "Principal components"

const attention = ({ block, keep }: Look): string =>
  `The attention of the class token to the patches, ${
    block === undefined ? "" : `in block ${block}, `
  }from dark blue, ` +
  "the smallest of a picture, to yellow, the largest. The mean is that of the heads." +
  (keep === undefined
    ? ""
    : ` In the pictures after them, the patches that hold ${percent(keep)} of the mass are bright.`)

const components = ({ explained = [], fitted, foreground = "none" }: Look): string =>
  "The first three principal components of the features of patches, " +
  (fitted === undefined ? "" : fitted === 1 ? "of the first image, " : `of the first ${fitted} images together, `) +
  "as red, green and blue. Patches of the same colour have similar features." +
  (explained.length === 0 ? "" : ` They explain ${explained.map(percent).join(", ")} of the variance.`) +
  (foreground === "none" ? "" : " The first component of all patches tells the background, which is black.")

const shownImage = (src: string, alt: string): Html =>
  html`<img src="${src}" alt="${alt}" loading="lazy" width="${SIDE}" height="${SIDE}" style="--w:${SIDE};--zoom:1;--narrow:0.8">`

/** Renders a look. `srcOf` returns the address of a PNG file of its folder: a path of a server, or a data URL. */
export const section = (look: Look, srcOf: (file: string) => string): Html => {
  const { kind, network, shown, split } = look
  const id = `look-${kind}`
  return html`<section aria-labelledby="${id}"><h2 id="${id}">${heading(look)}</h2>
<p>${kind === "attention" ? attention(look) : components(look)}</p>
<p class="note">${network}, images of ${split}</p>
<div class="scroll" role="region" aria-labelledby="${id}" tabindex="0">${
    shown.map(({ maps, name, picture }) =>
      html`<figure><div class="panels">${
        [{ title: "image", file: picture }, ...maps].map(({ file, title }) =>
          html`<span class="panel">${
            shownImage(srcOf(file), `${title} of ${name}`)
          }<span class="muted">${title}</span></span>`
        )
      }</div><figcaption>${name}</figcaption></figure>\n`
    )
  }</div></section>`
}
