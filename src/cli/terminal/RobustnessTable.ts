/** The robustness of a network on the terminal: sets of images, then kinds of corruption by severity. */
import * as PaperTables from "../../domain/evaluation/PaperTables.ts"
import { type RobustnessReport, warning } from "../../domain/evaluation/RobustnessReport.ts"
import * as Print from "./Print.ts"

const { percent } = Print

const sets = ({ measure, sets: all }: RobustnessReport): string => {
  const known = all.some(({ paper }) => paper !== undefined)
  return Print.columns([
    ["set", "images", `${measure}, %`, "95 % interval", ...(known ? [`${PaperTables.TITLE}, %`] : [])],
    ...all.map(({ images, interval: [low, high], name, paper, share }) => [
      name,
      String(images),
      percent(share),
      `${percent(low)} to ${percent(high)}`,
      ...(known ? [PaperTables.show(paper)] : [])
    ])
  ])
}

const corruptions = ({ corruptions: figures, kinds, mce, measure, relativeMce }: RobustnessReport): string => {
  const severities = [...new Set(figures.map(({ severity }) => severity))].toSorted()
  const isClassifier = measure === "top-1"
  const rows = Print.columns([
    [
      `${measure}, %, by severity`,
      ...severities.map(String),
      ...(isClassifier ? ["error", "CE", "relative CE"] : ["mean"])
    ],
    ...kinds.map(({ ce, error, kind, relativeCe }) => [
      kind,
      ...severities.map((severity) =>
        percent(figures.find((one) => one.kind === kind && one.severity === severity)?.share)
      ),
      percent(error),
      ...(isClassifier ? [percent(ce), percent(relativeCe)] : [])
    ])
  ])
  if (mce === undefined) return rows
  return `${rows}\n\nmCE ${percent(mce)} %${
    relativeMce === undefined ? "" : `, relative mCE ${percent(relativeMce)} %`
  }`
}

/** Renders both tables, as far as there are figures, and what limits them. */
export const render = (report: RobustnessReport): string => {
  const limit = warning(report)
  return [
    ...(report.sets.length === 0 ? [] : [sets(report)]),
    ...(report.corruptions.length === 0 ? [] : [corruptions(report)]),
    ...(limit === undefined ? [] : [limit])
  ].join("\n\n")
}
