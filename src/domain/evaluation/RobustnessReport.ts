/**
 * The robustness of a network: its figures on sets of unusual images, and on corrupted images at each severity.
 *
 * ```ts
 * import assert from "node:assert"
 * import { RobustnessReport } from "patchword/domain"
 *
 * const figure = { images: 10, share: 0.9, interval: [0.6, 0.98] } as const
 * const noisy = { kind: "gaussian_noise", severity: 1, images: 10, share: 0.7, interval: [0.4, 0.9] } as const
 * const report = RobustnessReport.make({
 *   network: "finetune",
 *   measure: "top-1",
 *   sets: [{ name: "val", ...figure }],
 *   corruptions: [noisy]
 * })
 * assert.ok(Math.abs(report.kinds[0]!.error - 0.3) < 1e-12)
 * ```
 */
import { Array as Arr, Schema } from "effect"
import * as Corruption from "../corruptions/Corruption.ts"
import * as Quantity from "../values/Quantity.ts"
import * as CorruptionError from "./CorruptionError.ts"
import * as PaperTables from "./PaperTables.ts"

const figure = {
  images: Quantity.Whole,
  /** Top-1 accuracy, or the share of the codes that change. */
  share: Quantity.Share,
  /** The 95 % interval of `share`, for independent images or codes. */
  interval: Schema.Tuple([Quantity.Share, Quantity.Share])
}

/** The figure of a set of images as they are. */
export const SetFigure = Schema.Struct({
  name: Schema.String,
  ...figure,
  /** The paper's number. */
  paper: Schema.optionalKey(PaperTables.Entry)
})
export type SetFigure = typeof SetFigure.Type

/** The figure of corrupted images. */
export const CorruptedFigure = Schema.Struct({ ...Corruption.Corruption.fields, ...figure })
export type CorruptedFigure = typeof CorruptedFigure.Type

/** The report. */
export const RobustnessReport = Schema.Struct({
  network: Schema.String,
  /** The meaning of a share: the top-1 accuracy of a classifier, or the share of a tokenizer's codes that change. */
  measure: Schema.Literals(["top-1", "changed codes"]),
  sets: Schema.Array(SetFigure),
  /** The sets whose classes were matched with those of the classifier by the order of WordNet numbers alone. */
  byOrder: Schema.optionalKey(Schema.NonEmptyArray(Schema.String)),
  corruptions: Schema.Array(CorruptedFigure),
  /** For each kind, the mean over its severities: the error or the share of changed codes, and the corruption errors. */
  kinds: Schema.Array(Schema.Struct({
    kind: Corruption.Kind,
    error: Quantity.Share,
    ce: Schema.optionalKey(Schema.Finite),
    relativeCe: Schema.optionalKey(Schema.Finite)
  })),
  /** The mean corruption errors, if all fifteen kinds were measured at all severities. */
  mce: Schema.optionalKey(Schema.Finite),
  relativeMce: Schema.optionalKey(Schema.Finite),
  /** AlexNet's error on clean images, in the relative corruption errors. */
  alexnetClean: Schema.optionalKey(Quantity.Share)
})
export type RobustnessReport = typeof RobustnessReport.Type

const present = <const K extends string>(key: K, value: number | undefined) =>
  (value === undefined ? {} : { [key]: value }) as { readonly [P in K]?: number }

/** Returns the sentence on sets that were matched by order alone. */
export const warning = (report: RobustnessReport): string | undefined =>
  report.byOrder &&
  `The classifier keeps no WordNet numbers of its classes. On ${
      report.byOrder.join(", ")
    } they are taken to be in the order of ` +
    "these numbers. If they are not, the figures are wrong."

/** Makes the report of figures. `clean` is the name of the set that the corrupted images are made of. */
export const make = (figures: {
  readonly network: string
  readonly measure: RobustnessReport["measure"]
  readonly sets: ReadonlyArray<SetFigure>
  readonly corruptions: ReadonlyArray<CorruptedFigure>
  readonly byOrder?: ReadonlyArray<string>
  readonly clean?: string | undefined
  readonly alexnetClean?: number | undefined
}): RobustnessReport => {
  const { alexnetClean = CorruptionError.ALEXNET_CLEAN, byOrder = [], clean, ...found } = figures
  const isClassifier = found.measure === "top-1"
  const byKind = Map.groupBy(found.corruptions, ({ kind }) => kind)
  const severities = new Map(Array.from(byKind, ([kind, figures]) => [
    kind,
    figures.map(({ share }) => isClassifier ? 1 - share : share)
  ]))
  const whole = found.sets.find(({ name }) => name === clean)
  const { errors, mce, relativeMce } = CorruptionError.measure(severities, {
    alexnetClean,
    clean: whole && 1 - whole.share
  })
  return {
    ...found,
    ...(Arr.isReadonlyArrayNonEmpty(byOrder) ? { byOrder } : {}),
    kinds: Array.from(errors, ([kind, { ce, mean, relativeCe }]) => ({
      kind,
      error: mean,
      ...(isClassifier ? { ...present("ce", ce), ...present("relativeCe", relativeCe) } : {})
    })),
    ...(isClassifier ? { ...present("mce", mce), ...present("relativeMce", relativeMce), alexnetClean } : {})
  }
}
