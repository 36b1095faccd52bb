/**
 * The content of `report.json`: what a run measured, and what was expected of it.
 *
 * Accuracies are top-1, from 0 to 1. The names of held-out splits say what is new in them: `in-new` has new concepts in
 * the styles of training, `flat-new` and `3d-new` have new concepts in new styles, `flat-seen` and `3d-seen` have the
 * concepts of training in new styles.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Report } from "patchword/domain"
 *
 * assert.ok(Math.abs(Report.deviation(0.45, 239) - 0.032) < 1e-3)
 * assert.strictEqual(Report.judge({ figure: "tokenizer.cosine", atLeast: 0.5 }, () => 0.55).reached, true)
 * ```
 */
import { Schema } from "effect"
import * as Json from "../values/Json.ts"
import * as Quantity from "../values/Quantity.ts"

/** Top-1 of features of three frozen networks: randomly initialised, the tokenizer's encoder, the pretrained one. */
export const Features = Schema.Struct({
  random: Quantity.Share,
  tokenizer: Quantity.Share,
  pretrained: Quantity.Share
})

/** As {@link Features}, where the tokenizer need not have been measured. */
export const Neighbours = Schema.Struct({
  random: Quantity.Share,
  tokenizer: Schema.optionalKey(Quantity.Share),
  pretrained: Quantity.Share
})

/** Top-1 after fine-tuning from a random initialisation and from the pretrained weights. */
export const Finetuned = Schema.Struct({ random: Quantity.Share, pretrained: Quantity.Share })

const scores = { probe: Features, knn: Neighbours, finetune: Finetuned }

/** The three evaluations of one set of images. */
export const Scores = Schema.Struct(scores)
export type Scores = typeof Scores.Type

/** The held-out styles. */
const Renditions = Schema.Struct({ flat: Scores, "3d": Scores })

const splits = ["train", "val", "in-new", "flat-new", "3d-new", "flat-seen", "3d-seen"] as const

/** A set of images. */
export const Split = Schema.Literals(splits)
export type Split = typeof Split.Type

/**
 * What is expected of a figure, which is named by its path in the report (`rendition.3d.probe.pretrained`; `seconds` alone
 * is the sum over the stages): a least value, a greatest value, or a place above another figure, by at least `by`.
 */
export const Expectation = Schema.Union([
  Schema.Struct({ figure: Schema.String, atLeast: Schema.Finite }),
  Schema.Struct({ figure: Schema.String, atMost: Schema.Finite }),
  Schema.Struct({ figure: Schema.String, above: Schema.String, by: Quantity.NonNegative })
])
export type Expectation = typeof Expectation.Type

/** Where a curve is expected to run, at some steps. */
export const Band = Schema.Struct({
  stage: Schema.String,
  metric: Schema.String,
  points: Schema.Array(Schema.Struct({ step: Quantity.Whole, low: Schema.Finite, high: Schema.Finite }))
})
export type Band = typeof Band.Type

const fields = Schema.Struct({
  /** The name of the configuration. */
  preset: Schema.String,
  seed: Schema.Int,
  /** What ran the steps: `onnx cpu`. */
  engine: Schema.String,
  /** The tokenizer on `in-new`. */
  tokenizer: Schema.Struct({
    /** Mean cosine of the rebuilt and the teacher's features. */
    cosine: Schema.Finite,
    /** How many codes occur. */
    usage: Quantity.Whole,
    codebookSize: Quantity.Count,
    /** How many equally frequent codes would be as hard to guess. */
    perplexity: Quantity.NonNegative
  }),
  /** Masked image modelling on `in-new`. */
  pretrain: Schema.Struct({
    /** The share of masked patches whose code is predicted. */
    maskedAccuracy: Quantity.Share,
    /** What always answering the most frequent code would reach. */
    majority: Quantity.Share,
    steps: Quantity.Count,
    loss: Quantity.NonNegative
  }),
  ...scores,
  /** New concepts in the held-out styles: `flat-new`, `3d-new`. */
  rendition: Renditions,
  /** Concepts of training in the held-out styles: `flat-seen`, `3d-seen`. */
  renditionSeen: Renditions,
  /** What always answering the most frequent class would reach on `in-new`. */
  majority: Quantity.Share,
  classes: Schema.NonEmptyArray(Schema.String),
  /** Images of each split. */
  counts: Schema.Record(Split, Quantity.Whole),
  /** Wall-clock seconds of each stage, in the order in which they ran. */
  seconds: Schema.Record(Schema.String, Quantity.NonNegative),
  expected: Schema.Struct({ figures: Schema.Array(Expectation), curves: Schema.Array(Band) })
})

/** All seconds of a run. */
export const totalSeconds = (report: { readonly seconds: Readonly<Record<string, number>> }): number =>
  Object.values(report.seconds).reduce((sum, seconds) => sum + seconds, 0)

/** The figure at a path of the report, `undefined` where there is none. */
export const figure = (report: typeof fields.Type, path: string): number | undefined => {
  if (path === "seconds") return totalSeconds(report)
  const found = path.split(".").reduce<unknown>(
    (value, key) => typeof value === "object" && value !== null ? new Map(Object.entries(value)).get(key) : undefined,
    report
  )
  return typeof found === "number" ? found : undefined
}

const paths = (expectation: Expectation): ReadonlyArray<string> =>
  "above" in expectation ? [expectation.figure, expectation.above] : [expectation.figure]

/** The content of `report.json`; every figure that something is expected of must be there. */
export const Report = fields.check(
  Schema.makeFilter((report) =>
    report.expected.figures.flatMap((expectation, i) =>
      paths(expectation)
        .filter((path) => figure(report, path) === undefined)
        .map((path) => ({ path: ["expected", "figures", i], issue: `expected the path of a figure, got "${path}"` }))
    )
  ),
  Schema.makeFilter(({ tokenizer }) =>
    tokenizer.usage <= tokenizer.codebookSize || {
      path: ["tokenizer", "usage"],
      issue: `expected at most the ${tokenizer.codebookSize} codes of the codebook, got ${tokenizer.usage}`
    }
  )
)
export type Report = typeof Report.Type

/** A {@link Report} as the text of its file. */
export const ReportJson = Json.text(Report)

/** An expectation beside what was measured. */
export interface Verdict {
  readonly expectation: Expectation
  readonly measured: number
  /** The figure that the measured one has to be above, if it has to. */
  readonly baseline?: number
  readonly reached: boolean
}

// A share that is a ratio of counts meets a bound that it equals, whatever the rounding of its difference.
const ROUNDING = 1e-9

/** Compares a figure with what is expected of it. `lookup` gives the figure at a path. */
export const judge = (expectation: Expectation, lookup: (path: string) => number): Verdict => {
  const measured = lookup(expectation.figure)
  if ("atLeast" in expectation) return { expectation, measured, reached: measured >= expectation.atLeast - ROUNDING }
  if ("atMost" in expectation) return { expectation, measured, reached: measured <= expectation.atMost + ROUNDING }
  const baseline = lookup(expectation.above)
  const gain = measured - baseline
  return { expectation, measured, baseline, reached: gain > 0 && gain >= expectation.by - ROUNDING }
}

/** The verdict on every expectation of a report, in its order. */
export const verdicts = (report: Report): ReadonlyArray<Verdict> =>
  report.expected.figures.map((expectation) => judge(expectation, (path) => figure(report, path) ?? Number.NaN))

/** One standard deviation of an accuracy `share` that was measured on `count` images, as if these were independent. */
export const deviation = (share: number, count: number): number =>
  count === 0 ? 0 : Math.sqrt(share * (1 - share) / count)
