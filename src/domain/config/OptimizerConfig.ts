/**
 * The settings of AdamW and of its learning rate schedule.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Presets } from "patchword/domain"
 *
 * const { optimizer } = Presets.base.pretrain
 * const rate = optimizer.learningRate(625)
 * assert.strictEqual(optimizer.steps(625).total, 1_000_000)
 * assert.strictEqual(rate(6249), optimizer.lr)
 * ```
 */
import { Schema } from "effect"
import * as Schedule from "../method/Schedule.ts"
import * as Quantity from "../values/Quantity.ts"

/** What one stage's optimiser does, and for how long. */
export class OptimizerConfig extends Schema.Class<OptimizerConfig>("patchword/OptimizerConfig")(
  Schema.Struct({
    /** Peak learning rate for all images of an update, after any scaling by their number. */
    lr: Quantity.Positive.annotateKey({ description: "Peak learning rate, for all images of an update." }),
    /** The rate that the cosine falls towards. */
    minLr: Quantity.NonNegative.annotateKey({ description: "Learning rate at the end of the cosine schedule." }),
    /** Decay rates of the first and second moment. */
    betas: Schema.Tuple([Quantity.Rate, Quantity.Rate]).annotateKey({
      description: "Decay rates of the first and second moment of AdamW."
    }),
    /** Added to the root of the second moment. */
    eps: Quantity.Positive.annotateKey({ description: "Added to the root of the second moment of AdamW." }),
    /** Decoupled weight decay, times the learning rate, per step. */
    weightDecay: Quantity.NonNegative.annotateKey({
      description: "Decoupled weight decay, times the learning rate, per step."
    }),
    /** The greatest global norm of the gradient; null to leave it as it is. */
    clipNorm: Schema.NullOr(Quantity.Positive).annotateKey({
      description: "Greatest global norm of the gradient; null for no clipping."
    }),
    /** Images in one step. */
    batchSize: Quantity.Count.annotateKey({ description: "Images of one step." }),
    /**
     * Steps that make one update: those before the last only add to a mean gradient, so that `accumulate` times the images
     * take the memory of one batch and of the mean (`update_freq`). A codebook by moving average moves at every step all the
     * same: two steps of 5 images are then not one of 10. Default 1.
     */
    accumulate: Schema.optionalKey(Quantity.Count).annotateKey({
      description: "Steps whose gradients make one update (gradient accumulation). Default 1."
    }),
    /** What `duration` and `warmup` count: updates (which are called steps where each takes one), or passes over the data. */
    unit: Schema.Literals(["steps", "epochs"]).annotateKey({
      description: "Unit of duration and warmup: steps or epochs."
    }),
    /** Length of the stage, in `unit`. */
    duration: Quantity.Count.annotateKey({ description: "Length of the stage, in the unit." }),
    /** Length of the linear warm-up from 0 at its start, in `unit`. */
    warmup: Quantity.Whole.annotateKey({ description: "Length of the linear warm-up, in the unit." })
  }).check(
    Schema.makeFilter((optimizer) => [
      ...(optimizer.warmup < optimizer.duration
        ? []
        : [{
          path: ["warmup"],
          issue: `expected fewer ${optimizer.unit} than the duration of ${optimizer.duration}, got ${optimizer.warmup}`
        }]),
      ...(optimizer.minLr <= optimizer.lr
        ? []
        : [{ path: ["minLr"], issue: `expected at most lr ${optimizer.lr}, got ${optimizer.minLr}` }])
    ])
  ),
  { description: "AdamW, its schedule, and the length of the stage." }
) {
  /** The steps of an epoch of so many images: what is beyond the last whole update is left out. */
  stepsPerEpoch(images: number): number {
    const { accumulate = 1, batchSize } = this
    return Math.floor(images / (batchSize * accumulate)) * accumulate
  }

  /** The length of the stage and of its warm-up in steps, for data of that many steps an epoch. */
  steps(stepsPerEpoch: number): { readonly total: number; readonly warmup: number } {
    const factor = this.unit === "steps" ? this.accumulate ?? 1 : stepsPerEpoch
    return { total: this.duration * factor, warmup: this.warmup * factor }
  }

  /** The learning rate at each step, counted from 0, which changes with the updates; see `Schedule.cosine`. */
  learningRate(stepsPerEpoch: number): (step: number) => number {
    const { accumulate = 1, lr, minLr } = this
    const { total, warmup } = this.steps(stepsPerEpoch)
    const rate = Schedule.cosine({ peak: lr, floor: minLr, total: total / accumulate, warmup: warmup / accumulate })
    return (step) => rate(Math.floor(step / accumulate))
  }
}
