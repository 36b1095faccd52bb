/** The sections about codes: patches of each code, images as codes, and codes predicted behind a mask. */
import { Effect } from "effect"
import type { Picture } from "../../domain/pixels/Picture.ts"
import type { Grid } from "../../domain/values/Grid.ts"
import { type Html, html } from "./Html.ts"
import * as ListedCode from "./ListedCode.ts"
import * as Numbers from "./Numbers.ts"
import type { CodedImage, CodeRow, MaskedImage, PageData } from "./PageData.ts"
import * as Pictures from "./Pictures.ts"

// Width of a picture on the page, in CSS pixels.
const WIDTH = 96

const cellSize = (grid: Grid): number => Math.max(4, Math.floor(WIDTH / grid.width))

const grey: Pictures.Colour = [128, 128, 128]

// Behind the mask, on light pages and on dark ones.
const hidden: Pictures.Colour = [38, 41, 47]
const seam: Pictures.Colour = [92, 97, 106]

const show = (canvas: Pictures.Canvas, alt: string) => Pictures.image(canvas, alt, WIDTH / canvas.width)

const original = (picture: Picture): Pictures.Canvas => {
  const on = Pictures.canvas(picture.width, picture.height)
  Pictures.paste(on, picture, 0, 0)
  return on
}

const panels = (images: ReadonlyArray<readonly [label: string, image: Html]>, caption: Html): Html =>
  html`<figure class="card"><div class="panels">${
    images.map(([label, image]) => html`<span class="panel">${image}<span class="muted">${label}</span></span>`)
  }</div><figcaption>${caption}</figcaption></figure>`

/** Draws the mean patch of a code into a cell, or its colour if it has no mean. */
const patchOf = (means: PageData["means"]) => {
  const colour = Pictures.colourOf(means)
  return (on: Pictures.Canvas, code: number, left: number, top: number, size: number) => {
    const mean = means.get(code)
    if (mean === undefined) return Pictures.fill(on, colour(code), left, top, size, size)
    for (let y = 0; y < size; y++) {
      for (let x = 0; x < size; x++) {
        const at = 3 * (Math.floor(y * mean.height / size) * mean.width + Math.floor(x * mean.width / size))
        Pictures.fill(on, [mean.data[at]!, mean.data[at + 1]!, mean.data[at + 2]!], left + x, top + y, 1, 1)
      }
    }
  }
}

const row = Effect.fnUntraced(function*({ code, count, patches, share }: CodeRow, means: PageData["means"]) {
  const zoom = (space: number) => ListedCode.zoomOf(patches[0]!.width, space)
  const name = `${patches.length} patches of code ${code}`
  const { narrow, wide } = ListedCode.SPACE
  const image = yield* Pictures.image(Pictures.strip(patches), name, zoom(wide), zoom(narrow))
  return ListedCode.render({ code, count, share, colour: Pictures.colourOf(means)(code), patches: image })
})

const ground = (plain: PageData["plain"]): string => {
  if (plain.length === 0) return ""
  const share = Numbers.percent(plain.reduce((sum, code) => sum + code.share, 0))
  return plain.length === 1
    ? ` One more code has patches of a single colour, ${share} of all. It has no row.`
    : ` ${plain.length} more codes have patches of a single colour, ${share} of all. They have no row.`
}

/** Renders the section of the codebook: rows of real patches, one row for each of the most used codes that show something. */
export const atlas = Effect.fnUntraced(function*(page: PageData) {
  const rows = yield* Effect.forEach(
    page.codes.filter(({ patches }) => patches.length > 0),
    (codeRow) => row(codeRow, page.means)
  )
  return html`<p>Real patches that share a code, for the ${rows.length} most used codes with something to see. The percentage is the share of all patches with that code. The patches of a good code belong together: the same edge, corner, colour or texture in any style.${
    ground(page.plain)
  }</p>
<ol class="atlas">${rows}</ol>`
})

// Codes with framed patches on the page.
const FRAMED = 8

/** Selects the codes with framed patches. */
export const framed = ({ codes }: Pick<PageData, "codes">): PageData["codes"] =>
  codes.filter(({ matching = [], mismatching = [] }) => matching.length > 0 && mismatching.length > 0).slice(0, FRAMED)

const windows = (pictures: CodeRow["patches"], alt: string) => {
  const on = Pictures.strip(pictures)
  return Pictures.image(on, alt, Math.min(2, 320 / on.width), Math.min(1.5, 240 / on.width))
}

/** Renders the section of patches in their pictures: those that match their code, and those that do not. */
export const examples = Effect.fnUntraced(function*(page: PageData) {
  const cards = yield* Effect.forEach(
    framed(page),
    Effect.fnUntraced(function*({ code, matching = [], mismatching = [], share }: CodeRow) {
      return panels([
        ["match", yield* windows(matching, `${matching.length} patches that match code ${code}`)],
        ["do not match", yield* windows(mismatching, `${mismatching.length} patches that do not match code ${code}`)]
      ], html`code ${code} <span class="muted">${Numbers.percent(share)} of all patches</span>`)
    })
  )
  return html`<p>Patches of a code in their images, framed in red. Those that match are those whose features the decoder reconstructs best from the code. It reconstructs the others worst. Patches that do not match show what the code does not tell.</p>
<div class="cards pairs">${cards}</div>`
})

const coded = Effect.fnUntraced(
  function*({ codes, cosine, grid, name, picture }: CodedImage, means: PageData["means"]) {
    const size = cellSize(grid)
    const colour = Pictures.colourOf(means)
    const patch = patchOf(means)
    const map = Pictures.cells(
      grid,
      size,
      (on, cell, left, top) => Pictures.fill(on, colour(codes[cell]!), left, top, size - 1, size - 1)
    )
    const rebuilt = Pictures.cells(grid, size, (on, cell, left, top) => patch(on, codes[cell]!, left, top, size))
    const distinct = new Set(Array.from(codes)).size
    const images: Array<readonly [string, Html]> = [
      ["image", yield* show(original(picture), name)],
      ["codes", yield* show(map, `Codes of ${name}: ${distinct} different ones`)]
    ]
    if (means.size > 0) {
      images.push(["mean patches", yield* show(rebuilt, `Mean patches of the codes of ${name}`)])
    }
    return panels(images, html`${name} <span class="muted">${distinct} codes, cosine ${cosine.toFixed(2)}</span>`)
  }
)

/** Renders the section of images beside their codes. */
export const images = Effect.fnUntraced(function*(page: PageData) {
  const { coded: shown, means } = page
  const cards = yield* Effect.forEach(shown, (image) => coded(image, means))
  return html`<p>Each patch of an image becomes one code of the codebook. The same colour is the same code on the whole page.${
    means.size > 0 ? " The last picture replaces each patch by the mean of all patches with its code." : ""
  }</p>
<div class="cards">${cards}</div>`
})

const ink: Pictures.Colour = [16, 16, 16]
const paper: Pictures.Colour = [255, 255, 255]

const masked = Effect.fnUntraced(function*(example: MaskedImage, means: PageData["means"]) {
  const { grid, mask, name, picture, predicted, truth } = example
  const size = cellSize(grid)
  const colour = Pictures.colourOf(means)
  const visible = (on: Pictures.Canvas, cell: number, left: number, top: number, share: number) => {
    for (let y = 0; y < size; y++) {
      for (let x = 0; x < size; x++) {
        const column = Math.floor((cell % grid.width + x / size) * picture.width / grid.width)
        const line = Math.floor((Math.floor(cell / grid.width) + y / size) * picture.height / grid.height)
        const pixel = Pictures.pixel(picture, column, line)
        Pictures.fill(on, Pictures.mix(pixel, grey, share), left + x, top + y, 1, 1)
      }
    }
  }
  const hit = (cell: number) => truth[cell] === predicted?.[cell]
  const input = Pictures.cells(
    grid,
    size,
    (on, cell, left, top) => {
      if (!mask[cell]) return visible(on, cell, left, top, 0)
      Pictures.fill(on, hidden, left, top, size, size)
      Pictures.outline(on, seam, [left, top, size], 1)
    }
  )
  const map = (codes: ArrayLike<number>, outlined: boolean) =>
    Pictures.cells(grid, size, (on, cell, left, top) => {
      if (!mask[cell]) return visible(on, cell, left, top, 0.5)
      Pictures.fill(on, colour(codes[cell]!), left, top, size - 1, size - 1)
      if (!outlined || !hit(cell)) return
      Pictures.outline(on, ink, [left, top, size - 1], 2)
      Pictures.outline(on, paper, [left, top, size - 1], 1)
    })
  const asked = Array.from({ length: grid.width * grid.height }, (_, cell) => cell).filter((cell) => mask[cell])
  const hits = asked.filter(hit).length
  const right = predicted === undefined ? `${asked.length} masked` : `${hits} of ${asked.length} right`
  const images: Array<readonly [string, Html]> = [
    ["masked", yield* show(input, `${name} with ${asked.length} patches masked`)],
    ["true codes", yield* show(map(truth, false), `True codes of the masked patches of ${name}`)]
  ]
  if (predicted !== undefined) {
    images.push([
      "predicted",
      yield* show(map(predicted, true), `Predicted codes of the masked patches of ${name}: ${right}`)
    ])
  }
  return panels(images, html`${name} <span class="muted">${right}</span>`)
})

/** Renders the section of predictions behind the mask. */
export const predictions = Effect.fnUntraced(function*(page: Pick<PageData, "masked" | "means">) {
  const { masked: shown, means } = page
  const cards = yield* Effect.forEach(shown, (example) => masked(example, means))
  return html`<p>The task of pretraining is to predict the codes of masked patches from the rest of the image. Outlined patches are predicted correctly. A wrong code of nearly the same colour often means nearly the same.</p>
<div class="cards">${cards}</div>`
})
