/**
 * Layer normalisation, batch normalisation and unit vectors.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Normalization, Tensor } from "patchword/shapes"
 *
 * const y = Normalization.layerNorm(Tensor.zeros([2, 4]), { weight: Tensor.fill([4], 1), bias: Tensor.fill([4], 3) }, 1e-6)
 * assert.deepStrictEqual(y.shape, [2, 4])
 * ```
 */
import * as tf from "@tensorflow/tfjs-core"
import * as Axis from "./Axis.ts"
import type { Show } from "./Dim.ts"
import * as FusedKernel from "./FusedKernel.ts"
import type { DType } from "./HostTensor.ts"
import type { Shape } from "./Shape.ts"
import * as ShapeError from "./ShapeError.ts"
import { type Any, type Tensor, unsafeTyped, untyped } from "./Tensor.ts"

/** The weight and bias of a layer normalisation over `C` channels. */
export interface NormParams<in out C extends number> {
  readonly weight: Tensor<[C]>
  readonly bias: Tensor<[C]>
}

const layerNormGrad = (epsilon: number) =>
  tf.customGrad((...args) => {
    const [x, weight, bias] = args.slice(0, 3) as [tf.Tensor, tf.Tensor, tf.Tensor]
    const save = args[3] as tf.GradSaveFunc
    const [y, mean, inverse] = FusedKernel.run("PatchwordLayerNorm", { x, weight, bias }, { epsilon }, () => {
      const moments = tf.moments(x, -1, true)
      const inverseDeviation = tf.rsqrt(tf.add(moments.variance, epsilon))
      return [
        tf.add(tf.mul(tf.mul(tf.sub(x, moments.mean), inverseDeviation), weight), bias),
        moments.mean,
        inverseDeviation
      ]
    }) as [tf.Tensor, tf.Tensor, tf.Tensor]
    save([x, weight, mean, inverse])
    return {
      value: y,
      gradFunc: (dy: tf.Tensor, saved: Array<tf.Tensor>) => {
        const [x0, w, m, r] = saved as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]
        const width = x0.shape.at(-1)!
        const rows = x0.size / width
        const upstream = tf.reshape(dy, [rows, width])
        const deviation = tf.reshape(r, [rows, 1])
        // Products with the inverse deviation are taken where there is one number for each row or column, not for each element.
        const centred = tf.sub(tf.reshape(x0, [rows, width]), tf.reshape(m, [rows, 1]))
        const column = tf.reshape(w, [width, 1])
        const weighted = tf.mul(upstream, centred)
        const alpha = 1 / width
        const meanGradient = tf.mul(FusedKernel.product(upstream, column, { alpha, exact: true }), deviation)
        const varianceGradient = tf.mul(
          FusedKernel.product(weighted, column, { alpha, exact: true }),
          tf.mul(tf.square(deviation), deviation)
        )
        const dx = tf.sub(
          tf.sub(tf.mul(tf.mul(upstream, w), deviation), meanGradient),
          tf.mul(centred, varianceGradient)
        )
        const dw = tf.reshape(FusedKernel.product(tf.reshape(r, [1, rows]), weighted, { exact: true }), [width])
        return [tf.reshape(dx, x0.shape), dw, tf.sum(upstream, 0)]
      }
    }
  })

/**
 * Normalises the last axis to mean 0 and variance 1, then scales and shifts it. The variance is the biased one, and `epsilon`
 * is inside the square root.
 */
export function layerNorm<L extends Shape, C extends number>(
  x: Tensor<[...L, C]>,
  params: NormParams<C>,
  epsilon: number
): Tensor<[...L, C]>
export function layerNorm<L extends Shape, C extends number, W extends number, P>(
  x: Tensor<[...L, C]>,
  params:
    & P
    & NormParams<W>
    & ShapeError.ShapeError<
      "bias" extends keyof P ? `layerNorm: input axis -1 is ${Show<C>} but the parameters are for ${Show<W>} channels`
        : "layerNorm: the bias is missing"
    >,
  epsilon: number
): never
export function layerNorm(
  x: Any,
  { bias, weight }: { readonly weight: Any; readonly bias?: Any },
  epsilon: number
): Any {
  ShapeError.floats("layerNorm", { x, weight, bias })
  const [channels, width] = [x.shape.at(-1), weight.shape[0]]
  if (channels !== width) {
    throw new ShapeError.ShapeError(
      `layerNorm: input axis -1 is ${channels} but the parameters are for ${width} channels`
    )
  }
  if (bias === undefined) throw new ShapeError.ShapeError("layerNorm: the bias is missing")
  ShapeError.shaped("layerNorm", weight, [width], "weight")
  ShapeError.shaped("layerNorm", bias, [width], "bias")
  return unsafeTyped(layerNormGrad(epsilon)(untyped(x), untyped(weight), untyped(bias)))
}

/** The weight, bias and running statistics of a batch normalisation over `C` channels. */
export interface BatchNormParams<in out C extends number> extends NormParams<C> {
  readonly running_mean: Tensor<[C]>
  readonly running_var: Tensor<[C]>
}

/** Normalises every channel of a map `[B, C, H, W]` with the running statistics, then scales and shifts it. */
export function batchNorm<B extends number, C extends number, H extends number, W extends number>(
  x: Tensor<[B, C, H, W]>,
  params: BatchNormParams<C>,
  epsilon: number
): Tensor<[B, C, H, W]>
export function batchNorm<B extends number, C extends number, H extends number, W extends number, D extends number>(
  x: Tensor<[B, C, H, W]>,
  params:
    & BatchNormParams<D>
    & ShapeError.ShapeError<`batchNorm: input axis 1 is ${Show<C>} but the parameters are for ${Show<D>} channels`>,
  epsilon: number
): never
export function batchNorm(x: Any, params: BatchNormParams<number>, epsilon: number): Any {
  const { bias, running_mean: mean, running_var: variance, weight } = params
  ShapeError.floats("batchNorm", { x, weight, bias, running_mean: mean, running_var: variance })
  const channels = weight.shape[0]
  if (x.shape[1] !== channels) {
    throw new ShapeError.ShapeError(
      `batchNorm: input axis 1 is ${x.shape[1]} but the parameters are for ${channels} channels`
    )
  }
  ShapeError.shaped("batchNorm", x, ["B", "C", "H", "W"])
  for (const [key, parameter] of Object.entries({ weight, bias, running_mean: mean, running_var: variance })) {
    ShapeError.shaped("batchNorm", parameter, [channels], key)
  }
  const factor = tf.mul(untyped(weight), tf.rsqrt(tf.add(untyped(variance), epsilon)))
  const offset = tf.sub(untyped(bias), tf.mul(untyped(mean), factor))
  const perChannel = [1, channels, 1, 1]
  return unsafeTyped(tf.add(tf.mul(untyped(x), tf.reshape(factor, perChannel)), tf.reshape(offset, perChannel)))
}

/** Divides each vector of the last axis by its length, or by `epsilon` if its length is smaller. */
export const l2Normalize = <L extends Shape, C extends number, D extends DType = "float32">(
  x: Tensor<[...L, C], D> & ShapeError.Elements<"l2Normalize", "float32", D>,
  epsilon = 1e-12
): Tensor<[...L, C]> => {
  ShapeError.floats("l2Normalize", { x })
  Axis.place("l2Normalize", untyped(x).shape, -1)
  const raw = untyped(x)
  const squares = tf.sum(tf.square(raw), -1, true)
  // The root of the clamped square keeps the gradient of a zero vector finite.
  return unsafeTyped(tf.div(raw, tf.sqrt(tf.maximum(squares, epsilon * epsilon))))
}

/**
 * Computes the cosine similarity of vectors of the last axis: twice `[..., C]` to `[...]`. It divides by the lengths without an
 * epsilon.
 */
export const cosine = <L extends Shape, C extends number>(
  a: Tensor<[...L, C]>,
  b: Tensor<NoInfer<[...L, C]>>
): Tensor<L> => {
  ShapeError.floats("cosine", { a, b })
  ShapeError.same("cosine", a, b)
  Axis.place("cosine", untyped(a).shape, -1)
  const [x, y] = [untyped(a), untyped(b)]
  const lengths = tf.mul(tf.sqrt(tf.sum(tf.square(x), -1)), tf.sqrt(tf.sum(tf.square(y), -1)))
  return unsafeTyped(tf.div(tf.sum(tf.mul(x, y), -1), lengths))
}

/** Standardises images `[B, 3, H, W]` by channel: `(x - mean) / std`. */
export const standardise = <B extends number, H extends number, W extends number>(
  images: Tensor<[B, 3, H, W]>,
  channels: { readonly mean: ReadonlyArray<number>; readonly std: ReadonlyArray<number> }
): Tensor<[B, 3, H, W]> => {
  ShapeError.floats("standardise", { images })
  ShapeError.shaped("standardise", images, ["B", 3, "H", "W"], "images")
  const { mean, std } = channels
  ShapeError.shaped("standardise", { shape: [mean.length] }, [3], "mean")
  ShapeError.shaped("standardise", { shape: [std.length] }, [3], "std")
  const perChannel = (values: ReadonlyArray<number>) => tf.tensor([...values], [1, 3, 1, 1])
  const scaled = tf.mul(untyped(images), perChannel(std.map((deviation) => 1 / deviation)))
  return unsafeTyped(tf.add(scaled, perChannel(mean.map((middle, channel) => -middle / std[channel]!))))
}
