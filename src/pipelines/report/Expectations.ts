/**
 * The expectations of a run, in words.
 *
 * Those of learning and of time are separate: time depends on the speed and the load of the machine.
 */
import * as Report from "../../domain/evaluation/Report.ts"
import * as Numbers from "./Numbers.ts"

const words: Readonly<Record<string, string>> = {
  rendition: "new concepts",
  renditionSeen: "concepts of training",
  flat: "flat style",
  "3d": "3D style",
  probe: "linear probe",
  knn: "nearest neighbours",
  finetune: "fine-tuning",
  random: "random initialisation",
  pretrain: "pretraining",
  maskedAccuracy: "masked codes predicted",
  usage: "codes used",
  seconds: "time"
}

/** Formats the path of a figure: `new concepts, flat style, linear probe, pretrained`. */
export const name = (path: string): string => path.split(".").map((part) => words[part] ?? part).join(", ")

const shares = /^(probe|knn|finetune|rendition|renditionSeen|majority)\b|^pretrain\.(maskedAccuracy|majority)$/

/** Formats a value by its figure: a share in percent, a time in minutes. */
export const write = (path: string, value: number): string => {
  if (shares.test(path)) return Numbers.percent(value)
  return path.startsWith("seconds") ? Numbers.duration(value) : Numbers.short(value)
}

/** Formats the bound alone: `at least 17.0 %`, `at least +3.0`. */
export const bound = (expectation: Report.Expectation): string => {
  const { figure } = expectation
  if ("atLeast" in expectation) return `at least ${write(figure, expectation.atLeast)}`
  if ("atMost" in expectation) return `at most ${write(figure, expectation.atMost)}`
  if (expectation.by === 0) return "any gain"
  return `at least ${shares.test(figure) ? Numbers.points(expectation.by) : `+${write(figure, expectation.by)}`}`
}

/** Formats the bound and the figure that it starts from: `at least +3.0 over random initialisation (38.3 %)`. */
export const expected = ({ baseline, expectation }: Report.Verdict): string =>
  "above" in expectation
    ? `${bound(expectation)} over ${name(expectation.above.split(".").at(-1)!)} (${
      write(expectation.above, baseline ?? 0)
    })`
    : bound(expectation)

/** Returns the verdicts on learning, and those on time. */
export const verdicts = (report: Report.Report) => {
  const all = Report.verdicts(report)
  const ofTime = ({ expectation }: Report.Verdict) => expectation.figure.startsWith("seconds")
  return { learning: all.filter((verdict) => !ofTime(verdict)), time: all.filter(ofTime) }
}

/** Returns the sentence for a run that took longer than expected. */
export const expectedTime = (expectation: Report.Expectation): string =>
  `Expected: ${bound(expectation)}. A slow or busy machine takes longer and learns the same.`

/** Formats the verdicts as sentences, one line for each missed figure. Empty if nothing was expected. */
export const lines = (report: Report.Report): ReadonlyArray<string> => {
  const { learning, time } = verdicts(report)
  const missed = learning.filter(({ reached }) => !reached)
  const told = ({ expectation: { figure }, measured }: Report.Verdict) => `${name(figure)}: ${write(figure, measured)}`
  const judged = missed.length === 0
    ? [`All ${learning.length} figures of learning are as expected.`]
    : [
      `${missed.length} of ${learning.length} figures of learning are not as expected:`,
      ...missed.map((verdict) => `  ${told(verdict)}; expected ${expected(verdict)}`)
    ]
  return [
    ...(learning.length === 0 ? [] : judged),
    ...time.filter(({ reached }) => !reached).map((verdict) => `${told(verdict)}. ${expectedTime(verdict.expectation)}`)
  ].map((line) => line.replaceAll(Numbers.SPACE, " "))
}
