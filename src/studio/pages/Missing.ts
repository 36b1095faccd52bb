/** A part of a page that has no data yet, with the command that makes it. */
import type { Told } from "../../domain/values/TaggedError.ts"
import { type Html, html } from "../../pipelines/report/Html.ts"

/** Tells that something is not there, and how to make it. */
export const missing = (told: string, command?: string): Html =>
  html`<div class="empty"><p>${told}</p>${
    command === undefined ? undefined : html`<p>This command makes it: <code>${command}</code></p>`
  }</div>`

/** Tells what went wrong, and what to do. */
export const failed = (error: Told, about = ""): Html =>
  html`<div class="empty" role="alert"><p>${about}${error.finding}.</p><p>${error.remedy}.</p></div>`

/** Tells that a part of the run cannot be shown, and why. */
export const damaged = (error: Told): Html => failed(error, "This part cannot be shown: ")

/** Tells of all parts that cannot be shown. `undefined` if there is none. */
export const allDamaged = (errors: ReadonlyArray<Told>): Html | undefined =>
  errors.length === 0 ? undefined : html`${errors.map(damaged)}\n`
