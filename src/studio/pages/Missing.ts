/** A part of a page that has no data yet, with the command that makes it. */
import { type Html, html } from "../../pipelines/report/Html.ts"

/** Tells that something is not there, and how to make it. */
export const missing = (told: string, command?: string): Html =>
  html`<div class="empty"><p>${told}</p>${
    command === undefined ? undefined : html`<p>This command makes it: <code>${command}</code></p>`
  }</div>`

/** Tells that a part of the run cannot be shown, and why. */
export const damaged = (error: { readonly finding: string; readonly remedy: string }): Html =>
  html`<div class="empty" role="alert"><p>This part cannot be shown: ${error.finding}.</p><p>${error.remedy}.</p></div>`
