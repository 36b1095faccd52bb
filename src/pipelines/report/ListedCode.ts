/** A code in a list: its colour, its number, its share of all patches, and a strip of its patches. */
import type { Colour } from "../../domain/pixels/Canvas.ts"
import { type Html, html } from "./Html.ts"
import * as Numbers from "./Numbers.ts"

/** Patches in a strip that is full. */
export const FULL_STRIP = 12

/** The content of a row. */
export interface ListedCode {
  readonly code: number
  readonly count: number
  readonly share: number
  readonly colour: Colour
  /** The strip of patches. */
  readonly patches: Html
  /** The address of the page of the code; without it, the number is not a link. */
  readonly href?: string
}

/** Returns the number of CSS pixels for a pixel of a strip, so that a full strip of `patch` pixels fits into `space`. */
export const zoomOf = (patch: number, space: number): number =>
  Math.max(1, Math.floor(space / (FULL_STRIP * (patch + 1))))

/** The space of a strip on wide screens and on narrow ones, in CSS pixels. */
export const SPACE = { wide: 336, narrow: 220 } as const

/** Formats a colour for styles. */
export const css = (colour: Colour): string => `rgb(${colour.map(Math.round).join(" ")})`

/** Renders the swatch of a code. */
export const swatch = (colour: Colour): Html => html`<span class="swatch" style="--code:${css(colour)}"></span>`

/** Renders a row as a list item. */
export const render = (row: ListedCode): Html => {
  const { code, colour, count, href, patches, share } = row
  const number = html`<b>${code}</b>`
  return html`<li id="code-${code}">${swatch(colour)}<span class="code">${
    href === undefined ? number : html`<a href="${href}">${number}</a>`
  } <span class="muted">${Numbers.part(share)}</span></span><span class="patches" title="${
    Numbers.count(count)
  } patches">${patches}</span></li>`
}
