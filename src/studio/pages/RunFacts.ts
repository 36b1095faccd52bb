/** Facts of a run in words: its state, its progress, its figures. */
import { type Html, html } from "../../pipelines/report/Html.ts"
import * as Numbers from "../../pipelines/report/Numbers.ts"
import type { Figure, Run, StageState, State } from "../../pipelines/runs/Run.ts"

/** Renders a state with its sign. */
export const state = (found: State): Html => html`<span class="state ${found}">${found}</span>`

/** Formats the steps of a stage: `300 of 1 000`. */
export const steps = ({ step, total }: Pick<StageState, "step" | "total">): string =>
  total === undefined ? Numbers.count(step) : `${Numbers.count(step)} of ${Numbers.count(total)}`

/** Returns the stage that a run is at: the one that is trained, or else the last one. */
export const present = ({ stages }: Pick<Run, "stages">): StageState | undefined =>
  stages.find(({ state: one }) => one === "running") ?? stages.at(-1)

/** Formats the value of a figure. */
export const value = ({ of, share, value: found }: Pick<Figure, "of" | "share" | "value">): string =>
  [share ? Numbers.percent(found) : Numbers.short(found), ...(of === undefined ? [] : [`of ${of}`])].join(" ")

/** Formats the interval of a figure; nothing if it is not known. */
export const interval = ({ interval: found, share }: Figure): string => {
  if (found === undefined) return ""
  const [low, high] = found.map((bound) => value({ share, value: bound }))
  return `${low} to ${high}`
}

/** Formats the name of a figure, with its setting if there are several. */
export const figureName = ({ name, setting }: Pick<Figure, "name" | "setting">): string =>
  setting === undefined ? name : `${name} (${setting})`

/** Formats a time of a run, without its fractions of seconds. */
export const time = (iso: string | undefined): string =>
  iso === undefined ? "unknown" : iso.replace("T", " ").replace(/\.\d+Z$|Z$/, " UTC")

/** Formats a speed. */
export const speed = (imagesPerSecond: number | undefined): string =>
  imagesPerSecond === undefined ? "unknown" : `${Numbers.count(Math.round(imagesPerSecond))} images/s`
