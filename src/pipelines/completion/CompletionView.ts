/**
 * The section about completed images: each image beside what its codes keep of it, the image without its masked patches, and the
 * same with masked patches drawn from predicted codes. It needs no engine.
 *
 * ```ts
 * import assert from "node:assert"
 * import { CompletionView } from "patchword/pipelines"
 *
 * const one = { mean: 20, interval: [19, 21] } as const
 * const methods = { completed: { psnr: one, ssim: { mean: 0.6 } } }
 * const about = { split: "val", images: 2, masked: 14, patches: 36, codeAccuracy: 0.25, side: 48, shown: [] }
 * assert.ok(CompletionView.render({ ...about, methods }).html.includes("20.00"))
 * ```
 */
import type * as Fidelity from "../../domain/fidelity/Fidelity.ts"
import type { Sample, Shown } from "../../layers/run/CompletionSample.ts"
import { type Html, html } from "../report/Html.ts"
import * as Numbers from "../report/Numbers.ts"

/** The ways to fill masked patches, in words. */
export const TITLES: Readonly<Record<string, string>> = {
  completed: "predicted codes, drawn by the decoder",
  trueCodes: "true codes, drawn by the decoder",
  meanPatch: "mean patch of each predicted code",
  meanColour: "mean colour of the visible patches"
}

/** The pixels of visible patches, in words. */
export const VISIBLE = {
  keep: "stay as they are",
  decode: "are drawn, too, by each row in its own way"
} as const

/** Width of a picture on the page, in CSS pixels: four fit beside each other on a phone. */
const WIDTH = 70

const picture = (png: string, alt: string, side: number): Html => {
  const style = `--w:${side};--zoom:${WIDTH / side};--narrow:${WIDTH / side}`
  return html`<img src="data:image/png;base64,${png}" alt="${alt}" width="${side}" height="${side}" style="${style}">`
}

const card = ({ completed, decoded, masked, name, original }: Shown, side: number): Html => {
  const panels = [
    ["image", original, name],
    ["from its codes", decoded, `${name}, drawn from its codes`],
    ["masked", masked, `${name} with masked patches`],
    ["completed", completed, `${name} with masked patches drawn from predicted codes`]
  ] as const
  return html`<figure class="card"><div class="panels">${
    panels.map(([label, png, alt]) =>
      html`<span class="panel">${picture(png, alt, side)}<span class="muted">${label}</span></span>`
    )
  }</div><figcaption>${name}</figcaption></figure>`
}

const range = ({ interval }: Fidelity.Estimate, digits: number): string =>
  interval === undefined ? "–" : interval.map((value) => value.toFixed(digits)).join(" to ")

const row = (method: string, { psnr, ssim }: Fidelity.Fidelity): Html =>
  html`<tr><th scope="row">${TITLES[method] ?? method}</th><td class="number">${
    psnr.mean.toFixed(2)
  }</td><td class="number">${range(psnr, 2)}</td><td class="number">${ssim.mean.toFixed(3)}</td><td class="number">${
    range(ssim, 3)
  }</td></tr>\n`

/** Renders the section without its heading. */
export const render = (sample: Sample): Html => {
  const { codeAccuracy, images, masked, methods, patches, shown, side, split, visible } = sample
  return html`<p>The pretrained network sees an image without ${masked} of its ${patches} patches, and predicts their codes. A decoder draws patches from codes. It was trained on the codes of whole images. Of the predicted codes ${
    Numbers.percent(codeAccuracy)
  } are right. A wrong code often looks like the right one.</p>
<div class="scroll" role="region" aria-label="Fidelity of masked patches" tabindex="0"><table>
<thead><tr><th scope="col">Masked patches filled with</th><th scope="col" class="number">PSNR, dB</th><th scope="col" class="number">95 % interval</th><th scope="col" class="number">SSIM</th><th scope="col" class="number">95 % interval</th></tr></thead>
<tbody>${Object.entries(methods).map(([method, fidelity]) => row(method, fidelity))}</tbody></table></div>
<p class="note after">${
    Numbers.count(images)
  } images of ${split}. PSNR: on masked patches alone. SSIM: on the whole image. Larger is better.${
    visible === undefined ? "" : ` Visible patches ${VISIBLE[visible]}.`
  }</p>
<div class="cards">${shown.map((one) => card(one, side))}</div>`
}
