/** The health of a run on the terminal: for each stage its findings, its figures, and what could not be measured. */
import * as HealthFigure from "../../domain/health/HealthFigure.ts"
import type { HealthReport, StageHealth } from "../../domain/health/HealthReport.ts"
import { columns } from "./Layout.ts"

const verdicts = { true: "healthy", false: "ILL", undefined: "" } as const

const findings = ({ findings: all }: StageHealth): ReadonlyArray<string> =>
  all.flatMap(({ cause, change, evidence, title }, i) => [
    `${i + 1}. ${title}`,
    `   cause     ${cause}`,
    ...evidence.map((one, at) => `   ${at === 0 ? "shown by" : "        "}  ${one}`),
    ...change.map((one, at) => `   ${at === 0 ? "change" : "      "}    ${one}`),
    ""
  ])

const praise = ({ figures }: StageHealth): string =>
  figures.some(({ healthy }) => healthy !== undefined)
    ? "nothing is wrong"
    : "no figure could be judged yet, so it may be healthy or not"

const stage = (one: StageHealth): string => {
  const { figures, finished, missing, notes = [], step } = one
  const count = one.findings.length
  return [
    `${one.stage}, step ${step}${finished ? "" : ", not finished"}: ${
      count === 0 ? praise(one) : count === 1 ? "1 finding" : `${count} findings, the root of them first`
    }`,
    ...notes.map((note) => `note: ${note}`),
    "",
    ...findings(one),
    ...columns([
      ["figure", "value", "healthy", "verdict", "measured on"],
      ...figures.map(({ healthy, name, on, value }) => [
        HealthFigure.all[name].title,
        HealthFigure.show(name, value),
        HealthFigure.showBand(name) ?? "",
        verdicts[`${healthy}`],
        on
      ])
    ]),
    ...missing.map(({ figures, why }) =>
      `not measured: ${figures.map((name) => HealthFigure.all[name].title).join(", ")}: ${why}`
    )
  ].join("\n")
}

/** Renders the report. */
export const render = (report: HealthReport): string =>
  [...report.stages.map(stage), `The ${HealthFigure.MEASURED_ON}.`].join("\n\n")
