/** A code as a row of a list, on the server and in a browser. This file runs in browsers: it imports modules without dependencies only. */
import type { Colour } from "../../../domain/pixels/Canvas.ts"
import { type Html, html } from "../../report/Html.ts"
import * as ListedCode from "../../report/ListedCode.ts"

/** The codes whose strips are in one picture. */
export const BLOCK = 32

/** The content of a row. */
export interface CodeRow {
  readonly code: number
  readonly count: number
  /** Its share of all patches. */
  readonly share: number
  readonly colour: Colour
  /** The number of patches of its strip. */
  readonly drawn: number
  /** True if the picture of its strip is missing. */
  readonly isLost: boolean
}

/** The sizes of a strip, in pixels of its picture. */
export interface Sizes {
  readonly patchSize: number
  /** The width of the picture of strips. */
  readonly sheet: number
}

/** Renders the strip of a code: row `at` of the picture that `--picture` names. */
export const strip = ({ code, drawn, isLost }: CodeRow, at: number, { patchSize, sheet }: Sizes): Html => {
  if (drawn === 0) return html``
  if (isLost) return html`<span class="muted">its picture is missing</span>`
  const { narrow, wide } = ListedCode.SPACE
  const [zoom, small] = [wide, narrow].map((space) => ListedCode.zoomOf(patchSize, space))
  const style = `--w:${
    drawn * (patchSize + 1) - 1
  };--h:${patchSize};--sheet:${sheet};--at:${at};--zoom:${zoom};--narrow:${small}`
  return html`<span class="strip" role="img" aria-label="${drawn} patches of code ${code}" style="${style}"></span>`
}

/** Renders a row. `at` is its place in the picture of its block. */
export const render = (row: CodeRow, at: number, sizes: Sizes, href?: string): Html =>
  ListedCode.render({ ...row, patches: strip(row, at, sizes), ...href === undefined ? {} : { href } })
