/**
 * The settings of the linear probe, a logistic regression on frozen features.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Presets } from "patchword/domain"
 *
 * assert.deepStrictEqual(Presets.tiny.probe.l2, [1e-3, 1e-2, 1e-1])
 * ```
 */
import { Schema } from "effect"
import * as Quantity from "../values/Quantity.ts"
import * as FeatureConfig from "./FeatureConfig.ts"
import { LogregConfig } from "./LogregConfig.ts"
import { SweepConfig } from "./SweepConfig.ts"

/**
 * The settings of a linear probe. The paper gives results but no procedure. The problem is convex, so it needs no learning
 * rate.
 */
export class ProbeConfig extends Schema.Class<ProbeConfig>("patchword/ProbeConfig")({
  /** The random seed of the stage. */
  seed: Schema.Int.annotateKey({ description: "Random seed of the stage." }),
  ...FeatureConfig.fields,
  /** True if each feature is scaled to mean 0 and standard deviation 1 over the training set. */
  standardise: Schema.Boolean.annotateKey({
    description: "True if each feature is scaled to mean 0 and standard deviation 1 over the training set."
  }),
  /**
   * The L2 penalties to try: factors of the squared norm of the weights. The one that is best on the validation split is used.
   */
  l2: Schema.NonEmptyArray(Quantity.NonNegative).annotateKey({
    description: "L2 penalties to try. The best one on the validation split is used."
  }),
  /** Largest number of iterations of the solver. */
  iterations: Quantity.Count.annotateKey({ description: "Largest number of iterations of the solver." }),
  /** The settings of the method `logreg`, which replace `standardise`, `l2` and `iterations`. */
  logreg: Schema.optionalKey(LogregConfig).annotateKey({
    description: "Settings of --method logreg, in place of standardise, l2 and iterations. Default the published ones."
  }),
  /** The settings of the method `sweep`, which replace those of the other methods, and `pooling`. */
  sweep: Schema.optionalKey(SweepConfig).annotateKey({
    description:
      "Settings of --method sweep, in place of pooling and those of the other methods. Default those of DINOv2."
  })
}, { description: "Linear probe: logistic regression on frozen features." }) {}
