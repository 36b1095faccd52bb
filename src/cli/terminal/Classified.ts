/** The figures of classifiers: measured, kept in a folder, and printed. */
import { Effect, type Option } from "effect"
import type * as Classes from "../../domain/evaluation/Classes.ts"
import type { ImageSet } from "../../layers/images/reading/ImageSet.ts"
import * as Results from "../../layers/run/Results.ts"
import * as Weights from "../../layers/weights/Weights.ts"
import { examineClassifier } from "../../pipelines/evaluate/Classify.ts"
import type { Classifier } from "../../pipelines/trained/Classifier.ts"
import * as Kept from "./Kept.ts"
import * as Print from "./Print.ts"

/** A classifier's results on the sets. */
export interface Classified {
  readonly network: string
  readonly results: ReadonlyArray<Results.Result>
}

/** Measures a classifier on sets of images. */
export const measure = Effect.fnUntraced(function*(
  classifier: Classifier,
  sets: ReadonlyArray<ImageSet>,
  rule: Classes.Rule,
  about: Omit<Results.About, "verb" | "weights">
) {
  const examined = yield* examineClassifier(classifier, sets, rule)
  const results = yield* Results.make(
    { ...about, verb: "finetune", weights: yield* Weights.digest(classifier.tensors) },
    sets,
    examined.map(({ figure }) => figure),
    examined.map(({ report }) => report)
  )
  return { network: about.network, results } satisfies Classified
})

/** Keeps the results in a folder, if there is one, and prints them: those of a network, and of others beside it. */
export const keep = Effect.fnUntraced(function*(
  given: { readonly json: boolean; readonly folder: Option.Option<string> },
  fields: object,
  found: readonly [own: Classified, ...beside: ReadonlyArray<Classified>],
  random: ReadonlyArray<Classified>,
  sets: ReadonlyArray<ImageSet>
) {
  const { folder, json } = given
  const [own, ...beside] = found
  const columnsOf = ({ network, results }: Classified) =>
    results.map(({ report }) => ({
      ...(beside.length === 0 ? {} : { network }),
      loss: (report?.loss ?? Number.NaN).toFixed(3)
    }))
  const lossOf = ({ results }: Classified) =>
    Object.fromEntries(results.map(({ report, split }) => [split, report?.loss]))
  const results = [...found, ...random].flatMap((one) => one.results)
  yield* Kept.keep(folder, results, json, (results) =>
    Print.evaluation(
      json,
      {
        ...fields,
        results,
        ...(json ? { loss: lossOf(own) } : {}),
        ...(json && beside.length > 0
          ? {
            others: Object.fromEntries(
              beside.map((one) => [one.network, { figures: one.results.map(Results.figure), loss: lossOf(one) }])
            )
          }
          : {})
      },
      {
        found: own.results.map(Results.figure),
        random: random[0]?.results.map(Results.figure),
        paper: own.results.map(({ paper }) => paper),
        columns: columnsOf(own)
      },
      sets,
      beside.map((one) => ({ found: one.results.map(Results.figure), columns: columnsOf(one) }))
    ))
})
