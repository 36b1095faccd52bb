/**
 * The scores of a segmenter as one self-contained HTML page, with images beside their labels and predictions. It has no script.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Effect } from "effect"
 * import { SegmentationPage } from "patchword/pipelines"
 *
 * const page = await Effect.runPromise(SegmentationPage.render({ stage: "segment", found: [] }, []))
 * assert.ok(page.includes("<h1>Segmentation by segment</h1>"))
 * ```
 */
import { Effect } from "effect"
import * as ClassColours from "../../domain/pixels/ClassColours.ts"
import type { Example, Segmented } from "../evaluate/Segmentation.ts"
import { type Html, html } from "./Html.ts"
import * as Numbers from "./Numbers.ts"
import * as Pictures from "./Pictures.ts"
import * as PlainPage from "./PlainPage.ts"

/** The scores of a stage on each split, and those of random weights. */
export interface Figures {
  readonly stage: string
  readonly found: ReadonlyArray<Segmented>
  readonly random?: ReadonlyArray<Segmented>
}

/** An image of a split. */
export interface Shown extends Example {
  readonly split: string
}

/** Sides of pictures on the page, at most. */
const SIDE = 192

const css = ([red, green, blue]: ClassColours.Colour): string => `rgb(${red} ${green} ${blue})`

/** So many times wider than high, an image is above its labels, not beside them. */
const WIDE = 2

/**
 * Draws an image, its labels and the prediction, side by side, or one below the other if the image is wide. Large images are
 * thinned out.
 */
const drawn = ({ labels, picture, predicted }: Shown): Pictures.Canvas => {
  const step = Math.max(1, Math.ceil(Math.max(picture.width, picture.height) / SIDE))
  const [width, height] = [Math.ceil(picture.width / step), Math.ceil(picture.height / step)]
  const below = picture.width > WIDE * picture.height
  const on = below ? Pictures.canvas(width, 3 * height + 2) : Pictures.canvas(3 * width + 2, height)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = y * step * picture.width + x * step
      const colours = [
        Pictures.pixel(picture, x * step, y * step),
        ClassColours.of(labels.data[at]!),
        ClassColours.of(predicted.data[at]!)
      ]
      colours.forEach((colour, i) => {
        const [left, top] = below ? [0, i * (height + 1)] : [i * (width + 1), 0]
        Pictures.fill(on, colour, left + x, top + y, 1, 1)
      })
    }
  }
  return on
}

const percent = (share: number | undefined): string => share === undefined ? "–" : (100 * share).toFixed(1)

const table = ({ found, random }: Figures): Html => {
  const foreground = found.some(({ foregroundIou }) => foregroundIou !== undefined)
  return html`<section aria-labelledby="splits"><h2 id="splits">Splits</h2>
<div class="scroll" role="region" aria-labelledby="splits" tabindex="0"><table>
<thead><tr><th scope="col">Split</th><th scope="col" class="number">Images</th><th scope="col" class="number">mIoU, %</th><th scope="col" class="number">mAcc, %</th><th scope="col" class="number">aAcc, %</th>${
    foreground ? html`<th scope="col" class="number">Foreground IoU, %</th>` : undefined
  }${random === undefined ? undefined : html`<th scope="col" class="number">Random weights, mIoU, %</th>`}</tr></thead>
<tbody>${
    found.map(({ foregroundIou, images, meanAccuracy, meanIou, pixelAccuracy, split }, i) =>
      html`<tr><th scope="row">${split}</th><td class="number">${Numbers.count(images)}</td>${
        [meanIou, meanAccuracy, pixelAccuracy, ...(foreground ? [foregroundIou] : [])].map((share) =>
          html`<td class="number">${percent(share)}</td>`
        )
      }${random === undefined ? undefined : html`<td class="number">${percent(random[i]?.meanIou)}</td>`}</tr>\n`
    )
  }</tbody></table></div>
<p class="note after">mIoU: the mean over classes of intersection over union, over all pixels of a split. mAcc: the mean share of a class's pixels that are found. aAcc: the share of all pixels. ${
    foreground ? "Foreground IoU: the IoU of all objects as one class. " : undefined
  }Pixels without a label do not count.</p></section>`
}

const classes = ({ found }: Figures): Html =>
  html`<section aria-labelledby="classes"><h2 id="classes">Classes</h2>
<div class="scroll" role="region" aria-labelledby="classes" tabindex="0"><table>
<thead><tr><th scope="col">IoU, %</th>${
    found.map(({ split }) => html`<th scope="col" class="number">${split}</th>`)
  }</tr></thead>
<tbody>${
    (found[0]?.classes ?? []).map((name, at) =>
      html`<tr><th scope="row"><span class="swatch" style="background:${css(ClassColours.of(at))}"></span>${name}</th>${
        found.map(({ iou }) => html`<td class="number">${percent(iou[at])}</td>`)
      }</tr>\n`
    )
  }</tbody></table></div></section>`

const own = `
.swatch { display: inline-block; width: .8em; height: .8em; margin-right: .5em; vertical-align: baseline }
.examples { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(19rem, 100%), 1fr)); gap: 1rem }
.examples figure { margin: 0; min-width: 0; overflow-wrap: anywhere }
.examples img { width: 100%; height: auto; image-rendering: pixelated }
`

/** Renders the page. */
export const render = Effect.fnUntraced(function*(figures: Figures, examples: ReadonlyArray<Shown>) {
  const figuresOf = yield* Effect.forEach(
    examples,
    Effect.fnUntraced(function*(shown) {
      const alt = `${shown.name} of ${shown.split}: the image, its labels, the prediction`
      const image = yield* Pictures.image(drawn(shown), alt, 1)
      return html`<figure>${image}<figcaption class="muted">${shown.split}: ${shown.name}</figcaption></figure>\n`
    })
  )
  return PlainPage.render({
    title: `segmentation by ${figures.stage}`,
    heading: `Segmentation by ${figures.stage}`,
    style: own,
    hasImages: true,
    main: html`${table(figures)}
<section aria-labelledby="examples"><h2 id="examples">Images</h2>
<p class="note">The image, its labels, the prediction: from left to right, or from top to bottom. <span class="swatch" style="background:${
      css(ClassColours.UNKNOWN)
    }"></span>Grey pixels have no label.</p>
<div class="examples">${figuresOf}</div></section>
${classes(figures)}`
  })
})
