/**
 * Batch normalisation of maps with the channels last, `[B, H, W, C]`: with the statistics of the batch in training, and with
 * running statistics in evaluation (`torch.nn.BatchNorm2d`, `SyncBatchNorm`).
 *
 * On several devices, the statistics are those of the whole batch. If several steps make one update, they are those of one step.
 *
 * ```ts
 * import assert from "node:assert"
 * import { BatchNorm, Tensor } from "patchword/shapes"
 *
 * const affine = { weight: Tensor.fill([4], 1), bias: Tensor.zeros([4]) }
 * const running = { running_mean: Tensor.zeros([4]), running_var: Tensor.fill([4], 1) }
 * const { statistics, y } = BatchNorm.train(Tensor.zeros([2, 3, 3, 4]), affine, 1e-5)
 * assert.deepStrictEqual(y.shape, [2, 3, 3, 4])
 * assert.deepStrictEqual(BatchNorm.follow(running, statistics, 0.1).running_var.shape, [4])
 * assert.deepStrictEqual(BatchNorm.evaluate(y, affine, running, 1e-5).shape, [2, 3, 3, 4])
 * ```
 */
import * as tf from "@tensorflow/tfjs-core"
import * as Collective from "../Collective.ts"
import type { Show } from "../Dim.ts"
import { untaped } from "../gradients/Untaped.ts"
import type { NormParams } from "../Normalization.ts"
import * as ShapeError from "../ShapeError.ts"
import { type Any, type Tensor, unsafeTyped, untyped } from "../Tensor.ts"

/** The running statistics of `C` channels, under the official names. */
export interface Running<in out C extends number> {
  readonly running_mean: Tensor<[C]>
  readonly running_var: Tensor<[C]>
}

/** The statistics of a batch. They have no gradient. */
export interface Statistics<in out C extends number> {
  readonly mean: Tensor<[C]>
  /** The biased variance: the mean of the squared distances from the mean. */
  readonly variance: Tensor<[C]>
  /** The number of values of each channel. */
  readonly count: number
}

const checked = (name: string, x: Any, params: Readonly<Record<string, Any>>): void => {
  ShapeError.floats(name, { x, ...params })
  const [channels] = params["weight"]!.shape
  if (x.shape.at(-1) !== channels) {
    throw new ShapeError.ShapeError(
      `${name}: input axis -1 is ${x.shape.at(-1)} but the parameters are for ${channels} channels`
    )
  }
  ShapeError.shaped(name, x, ["B", "H", "W", "C"])
  for (const [key, parameter] of Object.entries(params)) ShapeError.shaped(name, parameter, [channels], key)
}

/** Adds up the rows of a matrix on all devices. */
const total = (rows: tf.Tensor): tf.Tensor => untyped(Collective.psum(unsafeTyped<[number]>(tf.sum(rows, 0))))

const statisticsOf = (rows: tf.Tensor, count: number): readonly [mean: tf.Tensor, variance: tf.Tensor] => {
  const mean = untaped([rows], (x) => tf.div(total(x!), count))
  const variance = untaped([rows, mean], (x, centre) => tf.div(total(tf.square(tf.sub(x!, centre!))), count))
  return [mean, variance]
}

const normalised = (mean: tf.Tensor, variance: tf.Tensor, epsilon: number, count: number) =>
  tf.customGrad((...args) => {
    const [x, weight, bias] = args.slice(0, 3) as [tf.Tensor, tf.Tensor, tf.Tensor]
    const spread = tf.add(variance, epsilon)
    const inverse = tf.rsqrt(spread)
    ;(args[3] as tf.GradSaveFunc)([x, weight, mean, inverse, spread])
    return {
      value: tf.add(tf.mul(tf.sub(x, mean), tf.mul(inverse, weight)), bias),
      gradFunc: (dy: tf.Tensor, saved: Array<tf.Tensor>) => {
        const [x0, w, m, r, v] = saved as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]
        const all = (x: tf.Tensor) => tf.div(untyped(Collective.psum(unsafeTyped<[number]>(x))), count)
        const centred = tf.sub(x0, m)
        const bias = tf.sum(dy, 0)
        const upstream = tf.sub(dy, all(bias))
        const along = tf.sum(tf.mul(upstream, centred), 0)
        // Of two values, only the epsilon's share is left. The difference would be nothing but rounding errors.
        const left = count === 2
          ? tf.div(tf.mul(upstream, epsilon), v)
          : tf.sub(upstream, tf.mul(centred, tf.div(all(along), v)))
        const dx = tf.mul(left, tf.mul(r, w))
        return [dx, tf.mul(along, r), bias]
      }
    }
  })

/**
 * Normalises every channel to mean 0 and variance 1 over the batch and the map, then scales and shifts it. The variance is the
 * biased one, and `epsilon` is inside the square root. The gradient passes through mean and variance.
 *
 * @throws ShapeError when a channel has only one value. Its variance says nothing.
 */
export function train<B extends number, H extends number, W extends number, C extends number>(
  x: Tensor<[B, H, W, C]>,
  params: NormParams<C>,
  epsilon: number
): { readonly y: Tensor<[B, H, W, C]>; readonly statistics: Statistics<C> }
export function train<B extends number, H extends number, W extends number, C extends number, D extends number>(
  x: Tensor<[B, H, W, C]>,
  params:
    & NormParams<D>
    & ShapeError.ShapeError<`train: input axis -1 is ${Show<C>} but the parameters are for ${Show<D>} channels`>,
  epsilon: number
): never
export function train(x: Any, params: NormParams<number>, epsilon: number): object {
  const { bias, weight } = params
  checked("train", x, { weight, bias })
  const [batch, height, width, channels] = x.shape
  const rows = tf.reshape(untyped(x), [batch * height * width, channels])
  const count = rows.shape[0]! * Collective.size()
  if (count < 2) {
    throw new ShapeError.ShapeError(
      "train: a batch norm needs more than 1 value per channel but has 1; use more images"
    )
  }
  const [mean, variance] = statisticsOf(rows, count)
  const y = normalised(mean, variance, epsilon, count)(rows, untyped(weight), untyped(bias))
  return {
    y: unsafeTyped(tf.reshape(y, x.shape)),
    statistics: { mean: unsafeTyped(mean), variance: unsafeTyped(variance), count }
  }
}

/** Normalises every channel with running statistics, then scales and shifts it. */
export const evaluate = <B extends number, H extends number, W extends number, C extends number>(
  x: Tensor<[B, H, W, C]>,
  params: NormParams<NoInfer<C>>,
  running: Running<NoInfer<C>>,
  epsilon: number
): Tensor<[B, H, W, C]> => {
  const { bias, weight } = params
  const { running_mean, running_var } = running
  checked("evaluate", x, { weight, bias, running_mean, running_var })
  const factor = tf.mul(untyped(weight), tf.rsqrt(tf.add(untyped(running_var), epsilon)))
  const offset = tf.sub(untyped(bias), tf.mul(untyped(running_mean), factor))
  return unsafeTyped(tf.add(tf.mul(untyped(x), factor), offset))
}

/**
 * Moves running statistics towards those of a batch by the share `momentum`. The running variance follows the unbiased
 * variance, which is larger by the factor `n / (n - 1)` for `n` values. It has no gradient and is for updates.
 */
export const follow = <C extends number>(
  running: Running<C>,
  statistics: Statistics<NoInfer<C>>,
  momentum: number
): Running<C> => {
  const { running_mean, running_var } = running
  const { count, mean, variance } = statistics
  ShapeError.floats("follow", { running_mean, running_var, mean, variance })
  ShapeError.same("follow", running_mean, mean)
  ShapeError.same("follow", running_var, variance)
  const towards = (old: Any, young: Any, factor: number): tf.Tensor =>
    tf.add(tf.mul(untyped(old), 1 - momentum), tf.mul(untyped(young), factor))
  return {
    running_mean: unsafeTyped(towards(running_mean, mean, momentum)),
    running_var: unsafeTyped(towards(running_var, variance, momentum * count / (count - 1)))
  }
}
