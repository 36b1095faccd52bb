/**
 * The result of a study: the paper's table, with the mean and the deviation of each figure over seeds, and the paper's number.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Ablation, Presets, StudyReport } from "patchword/domain"
 *
 * const { table5 } = Ablation
 * const figures = new Map([["shared", [{ probe: 0.42 }, { probe: 0.44 }]], ["late", [{ probe: 0.43 }, { probe: 0.41 }]]])
 * const report = StudyReport.make(table5, table5.rows(Presets.base, []), figures, { seeds: [0, 1], train: "a", test: "b" })
 * const late = report.rows.find(({ row }) => row === "late")!.figures.probe!
 * assert.deepStrictEqual([late.mean, late.paper, late.note], [42, 69.4, "no difference at this size"])
 * ```
 */
import { Schema } from "effect"
import * as PaperTables from "../evaluation/PaperTables.ts"
import * as Csv from "../values/Csv.ts"
import * as Quantity from "../values/Quantity.ts"
import * as Ablation from "./Ablation.ts"

/** The figures of a row under one seed. Accuracies and usage are shares. */
export type Figures = Readonly<Partial<Record<Ablation.Measure, number>>>

/** The words for two rows that differ by less than three deviations. */
export const NO_DIFFERENCE = "no difference at this size"

const DEVIATIONS = 3

/** A figure of a row over the seeds. Shares are in percent. */
export const Figure = Schema.Struct({
  /** The figure of each seed; null where it is not measured yet. */
  values: Schema.Array(Schema.NullOr(Schema.Finite)),
  /** The mean over the measured seeds; null without one. */
  mean: Schema.NullOr(Schema.Finite),
  /** The standard deviation over the measured seeds (n - 1); null with fewer than two. */
  deviation: Schema.NullOr(Schema.Finite),
  /** The mean minus that of the default row; null at the default row, and where one of them is missing. */
  difference: Schema.NullOr(Schema.Finite),
  /** {@link NO_DIFFERENCE}, if it applies. */
  note: Schema.NullOr(Schema.String),
  /** The paper's number; null if it has none. */
  paper: Schema.NullOr(Schema.Finite)
})
export type Figure = typeof Figure.Type

/** A row of the report. */
export const ReportRow = Schema.Struct({
  row: Schema.String,
  title: Schema.String,
  isDefault: Schema.Boolean,
  /** The name of the row in the paper. Absent if the paper has none. */
  paperRow: Schema.optionalKey(Schema.String),
  figures: Schema.Struct({
    reconstruction: Schema.optionalKey(Figure),
    usage: Schema.optionalKey(Figure),
    finetune: Schema.optionalKey(Figure),
    probe: Schema.optionalKey(Figure)
  })
})
export type ReportRow = typeof ReportRow.Type

/** The report. */
export const StudyReport = Schema.Struct({
  table: Schema.String,
  number: Quantity.upTo(7),
  title: Schema.String,
  measures: Schema.Array(Schema.Literals(["reconstruction", "usage", "finetune", "probe"])),
  seeds: Schema.Array(Schema.Int),
  /** SHA-256 of the images that were learned from and measured on. */
  train: Schema.String,
  test: Schema.String,
  rows: Schema.Array(ReportRow)
})
export type StudyReport = typeof StudyReport.Type

const average = (values: ReadonlyArray<number>): number => values.reduce((sum, value) => sum + value, 0) / values.length

const deviationOf = (values: ReadonlyArray<number>): number | null => {
  if (values.length < 2) return null
  const mean = average(values)
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1))
}

// One figure of a row varies as the row does, so that of a difference varies as both do.
const isWithin = (difference: number, a: number | null, b: number | null): boolean =>
  a !== null && b !== null && (difference === 0 || Math.abs(difference) < DEVIATIONS * Math.hypot(a, b))

type Plain = Pick<Figure, "values" | "mean" | "deviation">

const plain = (measure: Ablation.Measure, seeds: ReadonlyArray<Figures | undefined>): Plain => {
  const values = seeds.map((seed) => {
    const value = seed?.[measure]
    return value === undefined ? null : value * Ablation.factor(measure)
  })
  const known = values.filter((value) => value !== null)
  return { values, mean: known.length === 0 ? null : average(known), deviation: deviationOf(known) }
}

/** The seeds of a study, and its images. */
export type About = Pick<StudyReport, "seeds" | "train" | "test">

/**
 * Makes the report of a table. `figures` holds for each row, by name, its figures in the order of the seeds. What is missing is
 * not measured yet. Each row is compared with the default row: the words {@link NO_DIFFERENCE} stand where the means differ by
 * less than three standard deviations of a difference of two runs, the root of the sum of both variances.
 */
export const make = (
  table: Ablation.Ablation,
  rows: ReadonlyArray<Ablation.Row>,
  figures: ReadonlyMap<string, ReadonlyArray<Figures | undefined>>,
  about: About
): StudyReport => {
  const of = ({ name }: Ablation.Row, measure: Ablation.Measure) =>
    plain(measure, about.seeds.map((_, i) => figures.get(name)?.[i]))
  const usual = rows.find(({ isDefault }) => isDefault)
  return {
    table: table.name,
    number: table.number,
    title: table.title,
    measures: table.measures,
    ...about,
    rows: rows.map((row) => ({
      row: row.name,
      title: row.title,
      isDefault: row.isDefault,
      ...(row.place === undefined ? {} : { paperRow: row.place.row }),
      figures: Object.fromEntries(table.measures.map((measure) => {
        const own = of(row, measure)
        const other = usual === undefined || usual === row ? undefined : of(usual, measure)
        const difference = other === undefined || own.mean === null || other.mean === null
          ? null
          : own.mean - other.mean
        const alike = difference !== null && isWithin(difference, own.deviation, other?.deviation ?? null)
        const figure: Figure = {
          ...own,
          difference,
          note: alike ? NO_DIFFERENCE : null,
          paper: Ablation.paper(table, row, measure)
        }
        return [measure, figure]
      }))
    }))
  }
}

const digits = (measure: Ablation.Measure): number => measure === "reconstruction" ? 3 : 1

/** Formats a number of a measure; empty if there is none. */
export const show = (measure: Ablation.Measure, value: number | null | undefined): string =>
  value == null ? "" : value.toFixed(digits(measure))

/** Formats a mean with its deviation: `44.8 ± 0.6`. */
export const showMean = (measure: Ablation.Measure, figure: Figure | undefined): string =>
  figure?.deviation == null
    ? show(measure, figure?.mean)
    : `${show(measure, figure.mean)} ± ${show(measure, figure.deviation)}`

/** Formats the difference to the default row with its sign, or says that there is none. Empty at the default row. */
export const showDifference = (measure: Ablation.Measure, figure: Figure | undefined): string => {
  if (figure?.difference == null) return ""
  const shown = `${figure.difference > 0 ? "+" : ""}${show(measure, figure.difference)}`
  return figure.note === null ? shown : `${shown}, ${figure.note}`
}

/** Formats the report as CSV, a line for each figure of each row. */
export const csv = (report: StudyReport): string =>
  [
    Csv.line([
      "table",
      "row",
      "settings",
      "measure",
      "mean",
      "deviation",
      "difference",
      "note",
      PaperTables.TITLE,
      ...report.seeds.map((seed) => `seed ${seed}`)
    ]),
    ...report.rows.flatMap(({ figures, row, title }) =>
      report.measures.flatMap((measure) => {
        const figure = figures[measure]
        return figure === undefined ? [] : [Csv.line([
          report.table,
          row,
          title,
          Ablation.measures[measure].title,
          ...[figure.mean, figure.deviation, figure.difference, figure.note, figure.paper, ...figure.values]
            .map((value) => value ?? "")
        ])]
      })
    )
  ].join("")
