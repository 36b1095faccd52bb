/**
 * The settings of k-nearest-neighbour classification by the cosine similarity of frozen features.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Presets } from "patchword/domain"
 *
 * assert.strictEqual(Presets.tiny.knn.neighbours, 10)
 * ```
 */
import { Schema } from "effect"
import * as Quantity from "../values/Quantity.ts"
import * as FeatureConfig from "./FeatureConfig.ts"

/** Learning from a few images of each class. */
export const FewShot = Schema.Struct({
  /** Numbers of training images of each class. */
  perClass: Schema.NonEmptyArray(Quantity.Count).annotateKey({
    description: "Numbers of training images of each class, drawn at random."
  }),
  /** Number of draws. The seed of each is its number, from 0. */
  tries: Schema.optionalKey(Quantity.Count).annotateKey({
    description: "Number of draws, with the seeds 0, 1, 2 and so on. Default 5."
  })
})

/** The number of draws by default. */
export const TRIES = 5

const Counts = Schema.Union([Quantity.Count, Schema.NonEmptyArray(Quantity.Count)])

/** The settings of a nearest-neighbour evaluation. */
export class KnnConfig extends Schema.Class<KnnConfig>("patchword/KnnConfig")({
  ...FeatureConfig.fields,
  /** Number of nearest training images that vote, or several numbers to compare. */
  neighbours: Counts.annotateKey({
    description: "Nearest training images that vote (k); several numbers are compared, such as [10, 20, 100, 200]."
  }),
  /** Temperature of the votes. A vote weighs the softmax of `cosine / temperature` over the most neighbours. */
  temperature: Quantity.Positive.annotateKey({
    description: "Temperature of the votes: each weighs the softmax of cosine / temperature."
  }),
  /** Learning from a few images of each class, besides all images. */
  fewShot: Schema.optionalKey(FewShot).annotateKey({
    description: "Learning from a few images of each class, besides all images. Default none."
  })
}, { description: "k-nearest-neighbour classification by the cosine of frozen features." }) {}
