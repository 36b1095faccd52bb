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

/** The optimizer of one stage, and the length of the stage. */
export class OptimizerConfig extends Schema.Class<OptimizerConfig>("patchword/OptimizerConfig")(
  Schema.Struct({
    /** Peak learning rate of an update, after any scaling by the number of its images. */
    lr: Quantity.Positive.annotateKey({ description: "Peak learning rate, for all images of an update." }),
    /** The learning rate at the end of the cosine schedule. */
    minLr: Quantity.NonNegative.annotateKey({ description: "Learning rate at the end of the cosine schedule." }),
    /** Decay rates of the first and second moment. */
    betas: Schema.Tuple([Quantity.Rate, Quantity.Rate]).annotateKey({
      description: "Decay rates of the first and second moment of AdamW."
    }),
    /** Added to the square root of the second moment. */
    eps: Quantity.Positive.annotateKey({ description: "Added to the square root of the second moment of AdamW." }),
    /** Decoupled weight decay. It is multiplied by the learning rate. */
    weightDecay: Quantity.NonNegative.annotateKey({
      description: "Decoupled weight decay. It is multiplied by the learning rate."
    }),
    /**
     * Weight decay at the end of a cosine schedule from `weightDecay`, which changes with each update; constant when absent. It
     * may be larger or smaller. Without `weightDecay`, nothing decays (`weight_decay_end` of the official code).
     */
    weightDecayEnd: Schema.optionalKey(Quantity.NonNegative).annotateKey({
      description: "Weight decay at the end of a cosine schedule. Default: constant."
    }),
    /** The largest global norm of the gradient; null for no clipping. */
    clipNorm: Schema.NullOr(Quantity.Positive).annotateKey({
      description: "Largest global norm of the gradient; null for no clipping."
    }),
    /** Images of one step. */
    batchSize: Quantity.Count.annotateKey({ description: "Images of one step." }),
    /**
     * Steps of one update (`update_freq`); 1 when absent. Their gradients are averaged, so `accumulate` times as many images
     * take the memory of one batch and of the mean gradient. A moving-average codebook still moves at every step: two steps of
     * 5 images are therefore not equal to one step of 10.
     */
    accumulate: Schema.optionalKey(Quantity.Count).annotateKey({
      description: "Steps whose gradients make one update (gradient accumulation). Default 1."
    }),
    /**
     * The unit of `duration` and `warmup`: updates (`steps`), or passes over the data (`epochs`). An update takes `accumulate`
     * steps.
     */
    unit: Schema.Literals(["steps", "epochs"]).annotateKey({
      description: "Unit of duration and warmup: steps or epochs."
    }),
    /** Length of the stage, in `unit`. */
    duration: Quantity.Count.annotateKey({ description: "Length of the stage, in the unit." }),
    /** Length of the linear warmup from 0, in `unit` or in `warmupUnit`. */
    warmup: Quantity.Whole.annotateKey({ description: "Length of the linear warmup, in the unit." }),
    /** The unit of `warmup`, if it is not `unit`: a warmup in updates of a training in epochs, or the other way round. */
    warmupUnit: Schema.optionalKey(Schema.Literals(["steps", "epochs"])).annotateKey({
      description: "Unit of the warmup, if it is another one: steps or epochs."
    })
  }).check(
    Schema.makeFilter((optimizer) => [
      ...(optimizer.warmup < optimizer.duration || (optimizer.warmupUnit ?? optimizer.unit) !== optimizer.unit
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
  /** Returns the number of steps of an epoch of `images` images. Images after the last whole update are left out. */
  stepsPerEpoch(images: number): number {
    const { accumulate = 1, batchSize } = this
    return Math.floor(images / (batchSize * accumulate)) * accumulate
  }

  /** Converts the lengths of the stage and of its warmup to steps. */
  steps(stepsPerEpoch: number): { readonly total: number; readonly warmup: number } {
    const { accumulate = 1, duration, unit, warmup, warmupUnit = unit } = this
    const factor = { steps: accumulate, epochs: stepsPerEpoch }
    return { total: duration * factor[unit], warmup: warmup * factor[warmupUnit] }
  }

  /**
   * Returns the learning rate as a function of the step, counted from 0. It changes with each update. See `Schedule.cosine`.
   */
  learningRate(stepsPerEpoch: number): (step: number) => number {
    const { accumulate = 1, lr, minLr } = this
    const { total, warmup } = this.steps(stepsPerEpoch)
    const rate = Schedule.cosine({ peak: lr, floor: minLr, total: total / accumulate, warmup: warmup / accumulate })
    return (step) => rate(Math.floor(step / accumulate))
  }

  /**
   * Returns the weight decay as a function of the step, counted from 0. It changes with each update, without a warmup, if there
   * is a `weightDecayEnd`. See `Schedule.cosine`.
   */
  weightDecayAt(stepsPerEpoch: number): (step: number) => number {
    const { accumulate = 1, weightDecay, weightDecayEnd = weightDecay } = this
    const total = this.steps(stepsPerEpoch).total / accumulate
    const at = Schedule.cosine({ peak: weightDecay, floor: weightDecayEnd, total, warmup: 0 })
    return weightDecayEnd === weightDecay ? () => weightDecay : (step) => at(Math.floor(step / accumulate))
  }
}
