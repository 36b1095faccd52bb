/**
 * Drawings with transparency, made pixel by pixel.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Canvas } from "patchword/domain"
 *
 * const red = { width: 1, height: 1, data: Uint8Array.of(255, 0, 0) }
 * const { data, width } = Canvas.strip([red, red])
 * assert.strictEqual(width, 3)
 * assert.deepStrictEqual([...data], [255, 0, 0, 255, 0, 0, 0, 0, 255, 0, 0, 255])
 * ```
 */
import type { Grid } from "../values/Grid.ts"
import type { Picture } from "./Picture.ts"

/** Red, green and blue, 0 to 255. */
export type Colour = readonly [red: number, green: number, blue: number]

/** `height * width` pixels, row-major, RGBA interleaved. Pixels without a drawing are transparent. */
export interface Canvas {
  readonly width: number
  readonly height: number
  readonly data: Uint8Array
}

/** Makes a transparent canvas. */
export const canvas = (width: number, height: number): Canvas => ({
  width,
  height,
  data: new Uint8Array(4 * width * height)
})

/** Fills a rectangle. */
export const fill = (on: Canvas, colour: Colour, left: number, top: number, width: number, height: number): void => {
  const [red, green, blue] = colour
  for (let y = top; y < top + height; y++) {
    for (let x = left; x < left + width; x++) {
      const at = 4 * (y * on.width + x)
      on.data[at] = red
      on.data[at + 1] = green
      on.data[at + 2] = blue
      on.data[at + 3] = 255
    }
  }
}

/** Draws a square's edge, `thickness` pixels wide, inside of it. */
export const outline = (
  on: Canvas,
  colour: Colour,
  square: readonly [left: number, top: number, size: number],
  thickness: number
): void => {
  const [left, top, size] = square
  fill(on, colour, left, top, size, thickness)
  fill(on, colour, left, top + size - thickness, size, thickness)
  fill(on, colour, left, top, thickness, size)
  fill(on, colour, left + size - thickness, top, thickness, size)
}

/** Returns the colour at a column and a row. */
export const pixel = (picture: Picture, x: number, y: number): Colour => {
  const at = 3 * (y * picture.width + x)
  return [picture.data[at] ?? 0, picture.data[at + 1] ?? 0, picture.data[at + 2] ?? 0]
}

/** Copies a picture, each of its pixels `scale` pixels wide. */
export const paste = (on: Canvas, picture: Picture, left: number, top: number, scale = 1): void => {
  for (let y = 0; y < picture.height; y++) {
    for (let x = 0; x < picture.width; x++) {
      fill(on, pixel(picture, x, y), left + scale * x, top + scale * y, scale, scale)
    }
  }
}

/** Arranges pictures in a row, with a transparent pixel between them. */
export const strip = (pictures: ReadonlyArray<Picture>): Canvas => {
  const on = canvas(
    pictures.reduce((width, picture) => width + picture.width + 1, -1),
    Math.max(...pictures.map((picture) => picture.height))
  )
  let left = 0
  for (const picture of pictures) {
    paste(on, picture, left, 0)
    left += picture.width + 1
  }
  return on
}

/** Draws each cell of a grid. `draw` gets the index of the cell and its left and top edge. */
export const cells = (
  grid: Grid,
  size: number,
  draw: (on: Canvas, cell: number, left: number, top: number) => void
): Canvas => {
  const on = canvas(grid.width * size, grid.height * size)
  for (let cell = 0; cell < grid.width * grid.height; cell++) {
    draw(on, cell, (cell % grid.width) * size, Math.floor(cell / grid.width) * size)
  }
  return on
}

/** Computes the mean colour of a picture. */
export const mean = (picture: Picture): Colour => {
  const sums = [0, 0, 0]
  picture.data.forEach((value, i) => {
    sums[i % 3]! += value
  })
  const pixels = Math.max(1, picture.width * picture.height)
  return [sums[0]! / pixels, sums[1]! / pixels, sums[2]! / pixels]
}

/** Mixes two colours. `share` is that of the second. */
export const mix = (a: Colour, b: Colour, share: number): Colour => [
  a[0] + share * (b[0] - a[0]),
  a[1] + share * (b[1] - a[1]),
  a[2] + share * (b[2] - a[2])
]
