/**
 * The settings of logistic regression as DINOv2 and DINOv3 evaluate (`dinov3/eval/log_regression.py`). Settings that are absent
 * have the published values.
 *
 * ```ts
 * import assert from "node:assert"
 * import { LogregConfig } from "patchword/domain"
 *
 * const { c, heldOut } = LogregConfig.complete({ heldOut: 0.2 })
 * assert.deepStrictEqual([c.length, c[0], c.at(-1), heldOut], [45, 1e-6, 1e5, 0.2])
 * ```
 */
import { Schema } from "effect"
import * as Quantity from "../values/Quantity.ts"

/** The settings. */
export const LogregConfig = Schema.Struct({
  /** The values of C to try: the weight of the cross entropy against half of the squared norm of the weights. */
  c: Schema.optionalKey(Schema.NonEmptyArray(Quantity.Positive)).annotateKey({
    description: "Values of C to try; more is less regularisation. Default 45 values from 1e-6 to 1e5."
  }),
  /** The share of each class of the training images that C is chosen on, if no split is given for that. */
  heldOut: Schema.optionalKey(Quantity.Part).annotateKey({
    description: "Share of the training images that C is chosen on, without a split for that. Default 0.1."
  }),
  /** The norm of the gradient below which the solver stops. */
  tolerance: Schema.optionalKey(Quantity.Positive).annotateKey({
    description: "The solver stops below this norm of the gradient. Default 1e-12."
  }),
  /** Largest number of iterations of the solver. */
  iterations: Schema.optionalKey(Quantity.Count).annotateKey({
    description: "Largest number of iterations of the solver. Default 1000."
  })
})
export type LogregConfig = typeof LogregConfig.Type

const VALUES = 45

/** The published values of C: `10 ** linspace(-6, 5, 45)`. */
export const C = Array.from({ length: VALUES }, (_, i) => 10 ** (-6 + 11 * i / (VALUES - 1))) as [
  number,
  ...Array<number>
]

/** Returns the settings with the published values in place of those that are absent. */
export const complete = (given: LogregConfig = {}): Required<LogregConfig> => ({
  c: C,
  heldOut: 0.1,
  tolerance: 1e-12,
  iterations: 1000,
  ...given
})
