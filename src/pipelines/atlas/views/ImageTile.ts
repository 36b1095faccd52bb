/** A small picture of an image as a link, on the server and in a browser. This file runs in browsers: it imports modules without dependencies only. */
import type { Grid } from "../../../domain/values/Grid.ts"
import { type Html, html } from "../../report/Html.ts"

/** The number of all images and their addresses, for the script of a gallery, with `{code}` in the place of the number of an image. */
export interface Source {
  readonly images: number
  readonly image: string
  readonly picture: string
}

/** The content of a tile. */
export interface ImageTile {
  readonly image: number
  readonly href: string
  /** The address of its picture; absent if a script sets it. */
  readonly picture?: string
  /** Patches that are framed, row-major. */
  readonly marks?: { readonly grid: Grid; readonly patches: ReadonlyArray<number> }
}

/** Renders a tile as a list item. */
export const render = ({ href, image, marks, picture }: ImageTile): Html => {
  const patches = marks === undefined
    ? ""
    : `, ${marks.patches.length} ${marks.patches.length === 1 ? "patch" : "patches"}`
  const name = `image ${image}${patches}`
  return html`<li><a href="${href}" title="${name}"><img loading="lazy" decoding="async"${
    picture === undefined ? undefined : html` src="${picture}"`
  } alt="${name}">${
    marks === undefined
      ? undefined
      : html`<svg aria-hidden="true" preserveAspectRatio="none" viewBox="0 0 ${marks.grid.width} ${marks.grid.height}">${
        marks.patches.map((at) =>
          html`<rect x="${at % marks.grid.width}" y="${Math.floor(at / marks.grid.width)}" width="1" height="1"/>`
        )
      }</svg>`
  }</a></li>`
}
