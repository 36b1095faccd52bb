/** Results on standard output. */
import { Console, Effect, Layer, type Stdio, type Terminal } from "effect"
import type { Accuracy } from "../../domain/evaluation/Accuracy.ts"
import * as PaperTables from "../../domain/evaluation/PaperTables.ts"
import { Images } from "../../layers/images/Images.ts"
import type { ImageSet } from "../../layers/images/reading/ImageSet.ts"
import { toldLeftOut } from "../../layers/images/reading/LeftOut.ts"
import * as Progress from "../../layers/run/Progress.ts"
import { type Row, Runs } from "../../layers/run/Runs.ts"
import * as Layout from "./Layout.ts"

const value = (shown: unknown): string =>
  typeof shown === "number"
    ? String(Number.isInteger(shown) ? shown : Number(shown.toPrecision(4)))
    : typeof shown === "string"
    ? shown
    : JSON.stringify(shown)

/** So many broken images are named. */
const NAMED = 5

const countOf = ({ leftOut }: ImageSet): number => leftOut.reduce((sum, { count }) => sum + count, 0)

/** Files that are left out of the splits, by kind, and broken images, as an object. */
export const missing = (sets: ReadonlyArray<ImageSet>) => ({
  leftOut: Object.fromEntries(sets.map((set) => [set.name, { count: countOf(set), kinds: set.leftOut }])),
  broken: Object.fromEntries(
    sets.map(({ name, skipped }) => [name, { count: skipped.length, first: skipped.slice(0, NAMED) }])
  )
})

/** A value as JSON for users, who know what `kind` means. */
export const json = (value: unknown): string =>
  JSON.stringify(value, (_, member: unknown) => {
    if (typeof member !== "object" || member === null || !("_tag" in member)) return member
    const { _tag: kind, ...rest } = member
    return { kind, ...rest }
  })

/** One JSON object with what the sets lack, or a line for each of its fields. */
export const result = (json: boolean, fields: object, sets: ReadonlyArray<ImageSet> = []): Effect.Effect<void> =>
  Console.log(
    json
      ? JSON.stringify(sets.length === 0 ? fields : { ...fields, ...missing(sets) })
      : Object.entries(fields).filter(([, shown]) => shown !== undefined)
        .map(([name, shown]) => Layout.plain(`${name.padEnd(17)} ${value(shown)}`)).join("\n")
  )

/** Files that are left out of a split and broken images, as lines of text; no lines where there are none. */
export const remarks = (set: ImageSet): ReadonlyArray<string> => {
  const { leftOut, name, skipped } = set
  return [
    ...(leftOut.length === 0 ? [] : [`${name}: ${toldLeftOut(leftOut)}`]),
    ...(skipped.length === 0 ? [] : [
      `${name}: broken: ${skipped.length}`,
      ...skipped.slice(0, NAMED).map((finding) => `  ${finding}`),
      ...(skipped.length > NAMED ? [`  and ${skipped.length - NAMED} more`] : [])
    ])
  ].map(Layout.plain)
}

const short = (number: number): string => String(Number(number.toPrecision(4)))

/** The figures of one split in a line. */
export const figure = ({ classes, images, interval: [low, high], largestClass, top1, top5 }: Accuracy): string =>
  [
    `top-1 ${short(top1)} (95 %: ${short(low)} to ${short(high)})`,
    ...(top5 === undefined ? [] : [`top-5 ${short(top5)}`]),
    `${images} images`,
    `largest of ${classes} classes ${short(largestClass)}`
  ].join(", ")

/** Lays out rows of cells, the first column to the left and the others to the right. */
export const columns = (rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const shown = rows.map((row) => row.map(Layout.plain))
  const widths = shown[0]!.map((_, column) => Math.max(...shown.map((row) => row[column]!.length)))
  return shown.map((row) =>
    row.map((cell, column) => column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)).join("  ")
  ).join("\n")
}

/** Formats a share in percent without the sign, or an empty cell. */
export const percent = (share: number | undefined): string => share === undefined ? "" : (100 * share).toFixed(1)

/** Figures, those of the network before training where they were measured, and the paper's numbers where it has any. */
interface Measured {
  readonly found: ReadonlyArray<Accuracy>
  readonly random?: ReadonlyArray<Accuracy> | undefined
  readonly paper?: ReadonlyArray<PaperTables.Entry | undefined>
  /** Further cells of each split, by the title of their column. */
  readonly columns?: ReadonlyArray<Readonly<Record<string, string>>> | undefined
}

/** Figures as a table, a row for each split, and what to compare them with. */
const table = (measured: ReadonlyArray<Measured>): string => {
  const some = <A>(shown: boolean, ...cells: ReadonlyArray<A>) => shown ? cells : []
  const rows = measured.flatMap(({ columns: more, found, paper, random }) =>
    found.map((figure, i) => ({ ...figure, paper: paper?.[i], random: random?.[i]?.top1, more: more?.[i] ?? {} }))
  )
  const five = rows.some(({ top5 }) => top5 !== undefined)
  const compared = rows.some(({ random }) => random !== undefined)
  const known = rows.some(({ paper }) => paper !== undefined)
  const titles = [...new Set(rows.flatMap(({ more }) => Object.keys(more)))]
  return columns([
    [
      "split",
      ...titles,
      "images",
      "classes",
      "top-1, %",
      "95 % interval",
      ...some(five, "top-5, %"),
      "largest class, %",
      ...some(compared, "random weights, %"),
      ...some(known, `${PaperTables.TITLE}, %`)
    ],
    ...rows.map(({ classes, images, interval: [low, high], largestClass, more, paper, random, split, top1, top5 }) => [
      split,
      ...titles.map((title) => more[title] ?? ""),
      String(images),
      String(classes),
      percent(top1),
      `${percent(low)} to ${percent(high)}`,
      ...some(five, percent(top5)),
      percent(largestClass),
      ...some(compared, percent(random)),
      ...some(known, PaperTables.show(paper))
    ])
  ])
}

/**
 * Prints what an evaluation found. For machines one object, with top-1 alone as `accuracy`, all figures, those of random
 * weights as `random`, where they were measured, and the paper's numbers by split as `paper`; for people the fields and a table.
 * `more` are rows of further settings, for people only.
 */
export const evaluation = Effect.fnUntraced(function*(
  json: boolean,
  fields: object,
  figures: Measured,
  sets: ReadonlyArray<ImageSet>,
  more: ReadonlyArray<Measured> = []
) {
  const { found, paper = [], random } = figures
  if (!json) {
    yield* result(false, fields, sets)
    return yield* Console.log(`\n${table([figures, ...more])}`)
  }
  const accuracy = Object.fromEntries(found.map(({ split, top1 }) => [split, top1]))
  const printed = found.flatMap(({ split }, i) => paper[i] === undefined ? [] : [[split, paper[i]] as const])
  yield* result(true, {
    ...fields,
    accuracy,
    figures: found,
    random,
    ...(printed.length === 0 ? {} : { paper: Object.fromEntries(printed) })
  }, sets)
})

/** Measurements of a stage's last step, which are those of its batch alone. */
export const lastBatch = (json: boolean, row: Row | undefined) => {
  if (row === undefined) return {}
  const { stage: _, step, ...measured } = row
  const said = Object.entries(measured).map(([name, number]) => `${name} ${value(number)}`).join(", ")
  return { step, ...(json ? { lastBatch: measured } : { "of the last batch": said }) }
}

/** Prints where a stage's weights are and what its last step measured. */
export const stage = Effect.fnUntraced(function*(
  given: { readonly json: boolean; readonly out: string; readonly split: string },
  name: string
) {
  const { json, out, split } = given
  const rows = yield* (yield* Runs).readLog
  const last = rows.findLast((row) => row.stage === name)
  const set = yield* (yield* Images).load(split)
  const weights = `${out}/stages/${name}.safetensors`
  yield* result(json, { stage: name, ...lastBatch(json, last), weights }, [set])
})

/** The progress of stages, beside the standard output where that is for a machine. A worker receives it in its own way. */
export const progress = (json: boolean): Layer.Layer<never, never, Stdio.Stdio | Terminal.Terminal> =>
  Layer.unwrap(
    Effect.map(Progress.Progress, (present) =>
      present === Progress.silent ? Progress.layerTerminal(json ? { to: "stderr" } : {}) : Layer.empty)
  )
