/**
 * Cross entropy and accuracy.
 *
 * ```ts
 * import assert from "node:assert"
 * import { HostTensor, Loss, Tensor } from "patchword/shapes"
 *
 * const labels = Tensor.constant(HostTensor.make([2], "int32", Int32Array.of(0, 1)))
 * assert.deepStrictEqual(Loss.crossEntropy(Tensor.zeros([2, 10]), labels).shape, [])
 * ```
 */
import * as tf from "@tensorflow/tfjs-core"
import type { Show, ShowShape } from "./Dim.ts"
import * as FusedKernel from "./FusedKernel.ts"
import { untaped } from "./gradients/Untaped.ts"
import type { DType } from "./HostTensor.ts"
import type { Shape } from "./Shape.ts"
import * as ShapeError from "./ShapeError.ts"
import { type Any, type Tensor, unsafeTyped, untyped } from "./Tensor.ts"

const logSoftmax = (x: tf.Tensor): tf.Tensor =>
  FusedKernel.run("PatchwordLogSoftmax", { x }, {}, () => [tf.logSoftmax(x)])[0]!

const oneHot = (column: tf.Tensor, classes: number): tf.Tensor =>
  tf.cast(tf.oneHot(tf.squeeze(column, [1]) as tf.Tensor1D, classes), "float32")

const crossEntropyGrad = (labels: tf.Tensor, smoothing: number) =>
  tf.customGrad((logits, saveUntyped) => {
    const x = logits as tf.Tensor
    const save = saveUntyped as tf.GradSaveFunc
    const [rows, classes] = x.shape as [number, number]
    const column = tf.reshape(labels, [rows, 1])
    const logProbabilities = logSoftmax(x)
    const picked = FusedKernel.run(
      "PatchwordGatherElements",
      { x: logProbabilities, indices: column },
      {},
      () => [tf.sum(tf.mul(logProbabilities, oneHot(column, classes)), 1, true)]
    )[0]!
    const likelihood = tf.mul(tf.sum(picked), -(1 - smoothing) / rows)
    save([logProbabilities, column])
    return {
      value: smoothing === 0 ? likelihood : tf.sub(likelihood, tf.mul(tf.mean(logProbabilities), smoothing)),
      gradFunc: (dy: tf.Tensor, saved: Array<tf.Tensor>) => {
        const [p, c] = saved as [tf.Tensor, tf.Tensor]
        const share = tf.mul(dy, 1 / rows)
        const probabilities = tf.mul(tf.exp(p), share)
        const uniform = smoothing === 0 ? probabilities : tf.sub(probabilities, tf.mul(share, smoothing / classes))
        const hit = tf.mul(share, 1 - smoothing)
        return FusedKernel.run(
          "PatchwordScatterElementsAdd",
          { x: uniform, indices: c, updates: tf.tile(tf.reshape(tf.neg(hit), [1, 1]), [rows, 1]) },
          {},
          () => [tf.sub(uniform, tf.mul(oneHot(c, classes), hit))]
        )[0]!
      }
    }
  })

/** The error for labels that do not fit their logits. */
export type WrongLabels<Name extends string, M extends number, S extends Shape, D extends DType> =
  ShapeError.ShapeError<
    `${Name}: labels must be int32 [${Show<M>}] but are ${D} ${ShowShape<S>}`
  >

const checkLabels = (name: string, logits: Any, labels: Any): void => {
  ShapeError.shaped(name, logits, ["M", "K"], "logits")
  const [rows] = logits.shape
  if (labels.dtype !== "int32" || !ShapeError.agree(labels.shape, [rows])) {
    throw new ShapeError.ShapeError(
      `${name}: labels must be int32 [${rows}] but are ${labels.dtype} ${ShapeError.show(labels.shape)}`
    )
  }
}

/**
 * The cross entropy: the mean over rows of `-log softmax(logits)[label]`, with logits `[M, K]` and labels `[M]`. Label
 * smoothing `s` spreads a share `s` of each target evenly over all classes. Labels outside 0 to K-1 are not checked inside a
 * step. Their losses differ between engines.
 */
export function crossEntropy<M extends number, K extends number>(
  logits: Tensor<[M, K]>,
  labels: Tensor<[NoInfer<M>], "int32">,
  smoothing?: number
): Tensor<[]>
export function crossEntropy<M extends number, K extends number, S extends Shape, D extends DType>(
  logits: Tensor<[M, K]>,
  labels: Tensor<S, D> & WrongLabels<"crossEntropy", M, S, D>,
  smoothing?: number
): never
export function crossEntropy(logits: Any, labels: Any, smoothing = 0): Any {
  ShapeError.floats("crossEntropy", { logits })
  checkLabels("crossEntropy", logits, labels)
  return unsafeTyped(crossEntropyGrad(untyped(labels), smoothing)(untyped(logits)))
}

const exceptGrad = (labels: tf.Tensor, ignored: number) =>
  tf.customGrad((logits, saveUntyped) => {
    const x = logits as tf.Tensor
    const save = saveUntyped as tf.GradSaveFunc
    const [rows, classes] = x.shape as [number, number]
    const column = tf.reshape(labels, [rows, 1])
    const counted = tf.notEqual(column, tf.scalar(ignored, "int32"))
    const safe = tf.where(counted, column, tf.zerosLike(column))
    const share = tf.mul(tf.cast(counted, "float32"), 1 / rows)
    const logProbabilities = logSoftmax(x)
    const picked = FusedKernel.run(
      "PatchwordGatherElements",
      { x: logProbabilities, indices: safe },
      {},
      () => [tf.sum(tf.mul(logProbabilities, oneHot(safe, classes)), 1, true)]
    )[0]!
    save([logProbabilities, safe, share])
    return {
      value: tf.neg(tf.sum(tf.mul(picked, share))),
      gradFunc: (dy: tf.Tensor, saved: Array<tf.Tensor>) => {
        const [p, c, s] = saved as [tf.Tensor, tf.Tensor, tf.Tensor]
        const hit = tf.mul(s, dy)
        const probabilities = tf.mul(tf.exp(p), hit)
        return FusedKernel.run(
          "PatchwordScatterElementsAdd",
          { x: probabilities, indices: c, updates: tf.neg(hit) },
          {},
          () => [tf.sub(probabilities, tf.mul(oneHot(c, classes), hit))]
        )[0]!
      }
    }
  })

/**
 * The cross entropy of pixels, some of which have the label `ignored`. Their loss and gradient are 0, but they count in the mean
 * over all `M` rows (mmsegmentation's `cross_entropy`). Logits are `[M, K]` and labels `[M]`.
 */
export function crossEntropyExcept<M extends number, K extends number>(
  logits: Tensor<[M, K]>,
  labels: Tensor<[NoInfer<M>], "int32">,
  ignored: number
): Tensor<[]>
export function crossEntropyExcept<M extends number, K extends number, S extends Shape, D extends DType>(
  logits: Tensor<[M, K]>,
  labels: Tensor<S, D> & WrongLabels<"crossEntropyExcept", M, S, D>,
  ignored: number
): never
export function crossEntropyExcept(logits: Any, labels: Any, ignored: number): Any {
  ShapeError.floats("crossEntropyExcept", { logits })
  checkLabels("crossEntropyExcept", logits, labels)
  return unsafeTyped(exceptGrad(untyped(labels), ignored)(untyped(logits)))
}

/**
 * The cross entropy with soft targets (mixup, cutmix): the mean over rows of `-Σ target · log softmax(logits)`, both `[M, K]`.
 */
export function softCrossEntropy<M extends number, K extends number>(
  logits: Tensor<[M, K]>,
  targets: Tensor<NoInfer<[M, K]>>
): Tensor<[]>
export function softCrossEntropy<S extends Shape, R extends Shape, D extends DType, E extends DType>(
  logits: Tensor<S, D>,
  targets:
    & Tensor<R, E>
    & ShapeError.ShapeError<
      ShapeError.Floats<
        "softCrossEntropy",
        "logits",
        D,
        "targets",
        E,
        `softCrossEntropy: left is ${ShowShape<S>} but right is ${ShowShape<R>}`
      >
    >
): never
export function softCrossEntropy(logits: Any, targets: Any): Any {
  ShapeError.floats("softCrossEntropy", { logits, targets })
  ShapeError.same("softCrossEntropy", logits, targets)
  ShapeError.shaped("softCrossEntropy", logits, ["M", "K"], "logits")
  const x = untyped(logits)
  const normal = tf.sub(x, tf.logSumExp(x, 1, true))
  return unsafeTyped(tf.mean(tf.neg(tf.sum(tf.mul(normal, untyped(targets)), 1))))
}

/** The accuracy: the share of rows whose largest logit is that of the label. It has no gradient. */
export function accuracy<M extends number, K extends number>(
  logits: Tensor<[M, K]>,
  labels: Tensor<[NoInfer<M>], "int32">
): Tensor<[]>
export function accuracy<M extends number, K extends number, S extends Shape, D extends DType>(
  logits: Tensor<[M, K]>,
  labels: Tensor<S, D> & WrongLabels<"accuracy", M, S, D>
): never
export function accuracy(logits: Any, labels: Any): Any {
  ShapeError.floats("accuracy", { logits })
  checkLabels("accuracy", logits, labels)
  return unsafeTyped(
    untaped([untyped(logits)], (x) => tf.mean(tf.cast(tf.equal(tf.argMax(x!, 1), untyped(labels)), "float32")))
  )
}
