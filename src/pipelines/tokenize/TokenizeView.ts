/**
 * The part of a page where one drops an own picture and sees its codes. The browser itself tokenizes it: the picture is not sent to any
 * server. See `TokenizeFiles` for the files that the page needs.
 *
 * ```ts
 * import assert from "node:assert"
 * import { TokenizeView } from "patchword/pipelines"
 *
 * const missing = TokenizeView.section({ install: "npm install onnxruntime-web" })
 * assert.ok(missing.html.includes("<code>npm install onnxruntime-web</code>"))
 * ```
 */
import type { TokenizerConfig } from "../../domain/config/TokenizerConfig.ts"
import { type Html, html, json } from "../report/Html.ts"
import type { Settings } from "./BrowserTokenizer.ts"
import * as PictureFile from "./PictureFile.ts"
import * as TokenizeNames from "./TokenizeNames.ts"

/** A page that can tokenize, or the command that installs what it lacks. */
export type Tokenize =
  | { readonly base: string; readonly config: TokenizerConfig }
  | { readonly install: string }

/** Returns the settings of the script for a tokenizer. */
export const settings = (config: TokenizerConfig, base: string): Settings => {
  const { augment, encoder: { grid, imageSize } } = config
  const { colour = "managed", evaluationCrop, evaluationOffset, evaluationSides, interpolation } = augment
  return {
    base,
    model: TokenizeNames.MODEL,
    runtime: TokenizeNames.RUNTIME,
    wasm: TokenizeNames.WASM,
    size: imageSize,
    grid,
    crop: {
      interpolation: interpolation === "random" ? "bicubic" : interpolation,
      evaluationCrop,
      ...(evaluationSides === undefined ? {} : { evaluationSides }),
      ...(evaluationOffset === undefined ? {} : { evaluationOffset })
    },
    colour
  }
}

/** The side of a picture on the page, in CSS pixels. */
const SIDE = 224

/** Rules of this part, besides those of all pages. */
export const style = `
.tokenize-drop { display: block; max-width: 44em; padding: 1.5rem; border: 2px dashed var(--line); border-radius: 10px; background: var(--raised); cursor: pointer }
.tokenize-drop.over, .tokenize-drop:focus-within { border-color: var(--accent) }
.tokenize-drop input { display: block; margin-top: .5rem; max-width: 100%; font: inherit; color: inherit }
.tokenize-result canvas { display: block; width: min(${SIDE}px, 42vw); height: auto; image-rendering: pixelated; border-radius: 4px }
.tokenize-result canvas:focus-visible { outline: 2px solid var(--accent); outline-offset: 3px }
.tokenize-list { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; margin: 0; padding: 0; list-style: none; font-size: .875rem }
`

const frame = (content: Html): Html =>
  html`<section aria-labelledby="tokenize"><h2 id="tokenize">Your picture</h2>
${content}</section>`

/**
 * Renders the part. `base` is the address of the folder with its files, with a slash at its end. The page also needs the module `TokenizeFiles.MODULE`
 * and the rules {@link style}. Its Content-Security-Policy needs `script-src 'self' 'wasm-unsafe-eval'` and `connect-src 'self'`.
 */
export const section = (given: Tokenize): Html => {
  if ("install" in given) {
    return frame(
      html`<p>Pictures are tokenized in the browser by onnxruntime-web, which is not installed here. Install it, and start again: <code>${given.install}</code></p>`
    )
  }
  const { base, config } = given
  return frame(html`<div data-tokenize="root">
<p>Drop a picture, and see the code of each of its patches. The browser tokenizes it. It is not sent anywhere.</p>
<label class="tokenize-drop" data-tokenize="drop">Drop a picture here, or choose a file.<input type="file" accept="${PictureFile.ACCEPT}" data-tokenize="file"></label>
<p role="status" class="note after" data-tokenize="status">This part needs JavaScript.</p>
<div class="tokenize-result" data-tokenize="result" hidden>
<div class="panels"><span class="panel"><canvas data-tokenize="view" role="img" aria-label="The picture as the tokenizer sees it"></canvas><span class="muted">picture</span></span>
<span class="panel"><canvas data-tokenize="map" tabindex="0" role="img" aria-label="The codes of its patches. Arrow keys go from patch to patch."></canvas><span class="muted">codes</span></span></div>
<p class="note after" aria-live="polite" data-tokenize="readout"></p>
<ol class="tokenize-list" data-tokenize="list"></ol></div>
<script type="application/json" data-tokenize="settings">${json(settings(config, base))}</script></div>`)
}
