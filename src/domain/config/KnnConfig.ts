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

/** The settings of a nearest-neighbour evaluation. */
export class KnnConfig extends Schema.Class<KnnConfig>("patchword/KnnConfig")({
  ...FeatureConfig.fields,
  /** Number of nearest training images that vote. */
  neighbours: Quantity.Count.annotateKey({ description: "Nearest training images that vote (k)." }),
  /** Temperature of the votes. A vote weighs `exp(cosine / temperature)`. */
  temperature: Quantity.Positive.annotateKey({
    description: "Temperature of the votes: each weighs exp(cosine / temperature)."
  })
}, { description: "k-nearest-neighbour classification by the cosine of frozen features." }) {}
