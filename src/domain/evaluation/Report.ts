/**
 * The content of `report.json`: the results of a run, and the expected ones.
 *
 * Accuracies are top-1, from 0 to 1. The names of held-out splits describe their images:
 *
 * * `in-new` has new concepts in the styles of training.
 * * `flat-new` and `3d-new` have new concepts in new styles.
 * * `flat-seen` and `3d-seen` have the concepts of training in new styles.
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

/**
 * Top-1 accuracy of the features of three frozen networks: a random initialisation, the tokenizer's encoder, the pretrained
 * one.
 */
export const Features = Schema.Struct({
  random: Quantity.Share,
  tokenizer: Quantity.Share,
  pretrained: Quantity.Share
})

/** Like {@link Features}, with an optional tokenizer. */
export const Neighbours = Schema.Struct({
  random: Quantity.Share,
  tokenizer: Schema.optionalKey(Quantity.Share),
  pretrained: Quantity.Share
})

/** Top-1 accuracy after fine-tuning from a random initialisation and from the pretrained weights. */
export const Finetuned = Schema.Struct({ random: Quantity.Share, pretrained: Quantity.Share })

const scores = { probe: Features, knn: Neighbours, finetune: Finetuned }

/** The three evaluations of one set of images. */
export const Scores = Schema.Struct(scores)
export type Scores = typeof Scores.Type

/** The held-out styles. */
const Renditions = Schema.Struct({ flat: Scores, "3d": Scores })

const splits = ["train", "val", "in-new", "flat-new", "3d-new", "flat-seen", "3d-seen"] as const

/** The name of a set of images. */
export const Split = Schema.Literals(splits)
export type Split = typeof Split.Type

/**
 * The expected range of a figure: a smallest value, a largest value, or a gain of at least `by` over another figure. Figures
 * are named by their path in the report, as `rendition.3d.probe.pretrained`. `seconds` alone is the sum over the stages.
 */
export const Expectation = Schema.Union([
  Schema.Struct({ figure: Schema.String, atLeast: Schema.Finite }),
  Schema.Struct({ figure: Schema.String, atMost: Schema.Finite }),
  Schema.Struct({ figure: Schema.String, above: Schema.String, by: Quantity.NonNegative })
])
export type Expectation = typeof Expectation.Type

/** The expected range of a training curve, at some steps. */
export const Band = Schema.Struct({
  stage: Schema.String,
  metric: Schema.String,
  points: Schema.Array(Schema.Struct({ step: Quantity.Whole, low: Schema.Finite, high: Schema.Finite }))
})
export type Band = typeof Band.Type

const fields = Schema.Struct({
  /** The name of the preset. */
  preset: Schema.String,
  seed: Schema.Int,
  /** The engine that ran the steps: `onnx cpu`. */
  engine: Schema.String,
  /** Results of the tokenizer on `in-new`. */
  tokenizer: Schema.Struct({
    /** Mean cosine similarity of the reconstructed and the teacher's features. */
    cosine: Schema.Finite,
    /** Number of codes that occur. */
    usage: Quantity.Whole,
    codebookSize: Quantity.Count,
    /** Perplexity of the codes: the number of equally frequent codes with the same entropy. */
    perplexity: Quantity.NonNegative
  }),
  /** Results of pretraining on `in-new`. */
  pretrain: Schema.Struct({
    /** The share of masked patches whose code is predicted correctly. */
    maskedAccuracy: Quantity.Share,
    /** Accuracy of always answering the most frequent code. */
    majority: Quantity.Share,
    steps: Quantity.Count,
    loss: Quantity.NonNegative
  }),
  ...scores,
  /** New concepts in the held-out styles: `flat-new`, `3d-new`. */
  rendition: Renditions,
  /** Concepts of training in the held-out styles: `flat-seen`, `3d-seen`. */
  renditionSeen: Renditions,
  /** Accuracy of always answering the most frequent class, on `in-new`. */
  majority: Quantity.Share,
  classes: Schema.NonEmptyArray(Schema.String),
  /** Number of images of each split. */
  counts: Schema.Record(Split, Quantity.Whole),
  /** Wall-clock seconds of each stage, in the order of the run. */
  seconds: Schema.Record(Schema.String, Quantity.NonNegative),
  expected: Schema.Struct({ figures: Schema.Array(Expectation), curves: Schema.Array(Band) })
})

/** Sums the seconds of all stages. */
export const totalSeconds = (report: { readonly seconds: Readonly<Record<string, number>> }): number =>
  Object.values(report.seconds).reduce((sum, seconds) => sum + seconds, 0)

/** Returns the figure at a path of the report; `undefined` if there is none. */
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

/** The content of `report.json`. It must contain every figure of its expectations. */
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

/** The text of `report.json`, decoded to a {@link Report}. */
export const ReportJson = Json.text(Report)

/** An expectation and the measured figure. */
export interface Verdict {
  readonly expectation: Expectation
  readonly measured: number
  /** The figure that the measured one has to exceed, for expectations with `above`. */
  readonly baseline?: number
  readonly reached: boolean
}

// A share that is a ratio of counts meets a bound that it equals, whatever the rounding of its difference.
const ROUNDING = 1e-9

/** Compares a figure with its expectation. `lookup` returns the figure at a path. */
export const judge = (expectation: Expectation, lookup: (path: string) => number): Verdict => {
  const measured = lookup(expectation.figure)
  if ("atLeast" in expectation) return { expectation, measured, reached: measured >= expectation.atLeast - ROUNDING }
  if ("atMost" in expectation) return { expectation, measured, reached: measured <= expectation.atMost + ROUNDING }
  const baseline = lookup(expectation.above)
  const gain = measured - baseline
  return { expectation, measured, baseline, reached: gain > 0 && gain >= expectation.by - ROUNDING }
}

/** Judges all expectations of a report, in order. */
export const verdicts = (report: Report): ReadonlyArray<Verdict> =>
  report.expected.figures.map((expectation) => judge(expectation, (path) => figure(report, path) ?? Number.NaN))

/** Computes one standard deviation of an accuracy `share` measured on `count` images, as if these were independent. */
export const deviation = (share: number, count: number): number =>
  count === 0 ? 0 : Math.sqrt(share * (1 - share) / count)
