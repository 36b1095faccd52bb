/**
 * The view of a run's present batch: its images, masks, codes and predictions.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Effect } from "effect"
 * import { SampleView } from "patchword/pipelines"
 *
 * const pictures = [{ width: 8, height: 8, data: new Uint8Array(192) }]
 * const view = await Effect.runPromise(SampleView.render([{ stage: "tokenizer", step: 40, pictures }]))
 * assert.match(view.html, /The first images of the batch of step 40/)
 * ```
 */
import { Effect } from "effect"
import * as Codes from "../report/Codes.ts"
import { type Html, html } from "../report/Html.ts"
import * as Pictures from "../report/Pictures.ts"
import type { Sample } from "./Sample.ts"

// Width of a row of images on the page, in CSS pixels.
const WIDTH = 400

const images = ({ pictures, stage, step }: Sample) => {
  const on = Pictures.strip(pictures)
  return Pictures.image(on, `${pictures.length} images of step ${step} of ${stage}`, Math.max(1, WIDTH / on.width))
}

const masked = ({ masks, pictures, predicted, step }: Sample) =>
  Codes.predictions({
    means: new Map(),
    masked: masks === undefined ? [] : pictures.map((picture, i) => ({
      name: `image ${i + 1} of step ${step}`,
      picture,
      grid: masks.grid,
      mask: masks.masks[i]!,
      truth: masks.codes[i]!,
      ...(predicted === undefined ? {} : { predicted: predicted.codes[i]! })
    }))
  })

/** Renders the samples of the stages of a run. */
export const render = Effect.fnUntraced(function*(samples: ReadonlyArray<Sample>): Effect.fn.Return<Html> {
  const shown = samples.filter(({ pictures }) => pictures.length > 0)
  const sections = yield* Effect.forEach(
    shown,
    Effect.fnUntraced(function*(sample) {
      const { masks, predicted, stage, step } = sample
      const said = predicted === undefined
        ? ""
        : ` The predictions are those of the weights after step ${predicted.step}.`
      return html`<section aria-label="${stage}"><h2>${stage}</h2>
<p class="note">The first images of the batch of step ${step}, as the network got them.${said}</p>
${masks === undefined ? yield* images(sample) : yield* masked(sample)}
</section>\n`
    })
  )
  return html`${sections}`
})
