/** The table of a study on the terminal, its rows before it runs, and its plan. */
import type { Preset } from "../../domain/config/Preset.ts"
import * as PaperTables from "../../domain/evaluation/PaperTables.ts"
import * as Ablation from "../../domain/study/Ablation.ts"
import * as StudyReport from "../../domain/study/StudyReport.ts"
import type { StudyPlan } from "../../pipelines/study/StudyPlan.ts"
import * as Memory from "../../pipelines/training/Memory.ts"
import * as Duration from "./Duration.ts"
import * as Print from "./Print.ts"

/** Renders the table: a row of the paper in each line, a block of columns for each measure. */
export const render = (report: StudyReport.StudyReport): string => {
  const { measures, number, rows, seeds, title } = report
  return [
    `Table ${number}: ${title}; mean ± standard deviation over the seeds ${seeds.join(", ")}`,
    ...measures.map((measure) =>
      Print.columns([
        ["", Ablation.measures[measure].title, "to the default row", PaperTables.TITLE],
        ...rows.map(({ figures, isDefault, row }) => [
          isDefault ? `${row} (default)` : row,
          StudyReport.showMean(measure, figures[measure]),
          StudyReport.showDifference(measure, figures[measure]),
          StudyReport.show(measure, figures[measure]?.paper)
        ])
      ])
    ),
    Print.columns([
      ["not run here", "", PaperTables.TITLE, "reason"],
      ...Ablation.notRun(number).map(({ column, reason, row, value }) => [row, column, value.toFixed(1), reason])
    ])
  ].join("\n\n")
}

/** Lists all tables with their rows, for a configuration. */
export const list = (preset: Preset, teachers: ReadonlyArray<Ablation.Teacher>): string =>
  Ablation.all.map((table) =>
    [
      `${table.name}: ${table.title}`,
      ...table.rows(preset, teachers).map(({ isDefault, name, title }) =>
        `  ${`${table.name}/${name}`.padEnd(22)} ${title}${isDefault ? " (default)" : ""}`
      )
    ].join("\n")
  ).join("\n\n")

const seconds = (value: number | null): string =>
  value === null
    ? "not measured"
    : Duration.show(value, (shown) => shown < 99.5 ? shown.toPrecision(2) : shown.toFixed(0))

/** Renders a plan. */
export const plan = ({ disk, runs, seconds: all, seeds, table }: StudyPlan): string =>
  [
    `${table}, seeds ${seeds.join(", ")}`,
    Print.columns([
      ["stage", "runs", "finished", "steps of one", "time of one", "rows"],
      ...runs.map((one) => [
        one.stage,
        String(one.runs),
        String(one.finished),
        String(one.steps),
        seconds(one.seconds),
        one.rows.join(" ")
      ])
    ]),
    `About ${seconds(all)} to go, without the teacher and the evaluations; ${Memory.show(disk)} on the disk.`
  ].join("\n")
