/**
 * Layer normalisation and unit vectors.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Normalization, Tensor } from "patchword/shapes"
 *
 * const y = Normalization.layerNorm(Tensor.zeros([2, 4]), { weight: Tensor.fill([4], 1), bias: Tensor.fill([4], 3) }, 1e-6)
 * assert.deepStrictEqual(y.shape, [2, 4])
 * ```
 */
import * as tf from "@tensorflow/tfjs"
import type { Show } from "./Dim.ts"
import * as FusedKernel from "./FusedKernel.ts"
import type { Shape } from "./Shape.ts"
import * as ShapeError from "./ShapeError.ts"
import { type Any, type Tensor, unsafeTyped, untyped } from "./Tensor.ts"

/** Weight and bias of a layer normalisation over `C` channels. */
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
      const inverseDeviation = tf.rsqrt(moments.variance.add(epsilon))
      return [x.sub(moments.mean).mul(inverseDeviation).mul(weight).add(bias), moments.mean, inverseDeviation]
    }) as [tf.Tensor, tf.Tensor, tf.Tensor]
    save([x, weight, mean, inverse])
    return {
      value: y,
      gradFunc: (dy: tf.Tensor, saved: Array<tf.Tensor>) => {
        const [x0, w, m, r] = saved as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]
        const width = x0.shape.at(-1)!
        const rows = x0.size / width
        const upstream = dy.reshape([rows, width])
        const deviation = r.reshape([rows, 1])
        // Products with the inverse deviation are taken where there is one number for each row or column, not for each element.
        const centred = x0.reshape([rows, width]).sub(m.reshape([rows, 1]))
        const column = w.reshape([width, 1])
        const weighted = upstream.mul(centred)
        const meanGradient = FusedKernel.product(upstream, column, { alpha: 1 / width }).mul(deviation)
        const varianceGradient = FusedKernel.product(weighted, column, { alpha: 1 / width }).mul(
          deviation.square().mul(deviation)
        )
        const dx = upstream.mul(w).mul(deviation).sub(meanGradient).sub(centred.mul(varianceGradient))
        const dw = FusedKernel.product(r.reshape([1, rows]), weighted).reshape([width])
        return [dx.reshape(x0.shape), dw, upstream.sum(0)]
      }
    }
  })

/** Normalises the last axis to mean 0 and variance 1 (biased, `epsilon` inside the root), then scales and shifts it. */
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
        : "layerNorm: the bias is left out"
    >,
  epsilon: number
): never
export function layerNorm(
  x: Any,
  { bias, weight }: { readonly weight: Any; readonly bias?: Any },
  epsilon: number
): Any {
  const [channels, width] = [x.shape.at(-1), weight.shape[0]]
  if (channels !== width) {
    throw new ShapeError.ShapeError(
      `layerNorm: input axis -1 is ${channels} but the parameters are for ${width} channels`
    )
  }
  if (bias === undefined) throw new ShapeError.ShapeError("layerNorm: the bias is left out")
  return unsafeTyped(layerNormGrad(epsilon)(untyped(x), untyped(weight), untyped(bias)))
}

/** Weight, bias and the statistics that training has gathered of a batch normalisation over `C` channels. */
export interface BatchNormParams<in out C extends number> extends NormParams<C> {
  readonly running_mean: Tensor<[C]>
  readonly running_var: Tensor<[C]>
}

/** Normalises every channel of a map `[B, C, H, W]` by the gathered statistics, then scales and shifts it. */
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
  const channels = params.weight.shape[0]
  if (x.shape[1] !== channels) {
    throw new ShapeError.ShapeError(
      `batchNorm: input axis 1 is ${x.shape[1]} but the parameters are for ${channels} channels`
    )
  }
  const { bias, running_mean: mean, running_var: variance, weight } = params
  const factor = untyped(weight).mul(tf.rsqrt(untyped(variance).add(epsilon)))
  const offset = untyped(bias).sub(untyped(mean).mul(factor))
  const perChannel = [1, channels, 1, 1]
  return unsafeTyped(untyped(x).mul(factor.reshape(perChannel)).add(offset.reshape(perChannel)))
}

/** Each vector of the last axis divided by its length, or by `epsilon` where it is shorter than that. */
export const l2Normalize = <L extends Shape, C extends number>(
  x: Tensor<[...L, C]>,
  epsilon = 1e-12
): Tensor<[...L, C]> => {
  const raw = untyped(x)
  const squares = raw.square().sum(-1, true)
  // The root of the clamped square keeps the gradient of a zero vector finite.
  return unsafeTyped(raw.div(tf.sqrt(tf.maximum(squares, epsilon * epsilon))))
}

/** The cosine between vectors of the last axis: `[..., C]` twice to `[...]`. Divides by the lengths, without an epsilon. */
export const cosine = <L extends Shape, C extends number>(
  a: Tensor<[...L, C]>,
  b: Tensor<NoInfer<[...L, C]>>
): Tensor<L> => {
  ShapeError.same("cosine", a, b)
  const [x, y] = [untyped(a), untyped(b)]
  const lengths = tf.mul(tf.sqrt(x.square().sum(-1)), tf.sqrt(y.square().sum(-1)))
  return unsafeTyped(tf.div(x.mul(y).sum(-1), lengths))
}

/** `(x - mean) / std`, channel by channel, of images `[B, 3, H, W]`. */
export const standardise = <B extends number, H extends number, W extends number>(
  images: Tensor<[B, 3, H, W]>,
  channels: { readonly mean: ReadonlyArray<number>; readonly std: ReadonlyArray<number> }
): Tensor<[B, 3, H, W]> => {
  const { mean, std } = channels
  const perChannel = (values: ReadonlyArray<number>) => tf.tensor([...values], [1, 3, 1, 1])
  const scaled = untyped(images).mul(perChannel(std.map((deviation) => 1 / deviation)))
  return unsafeTyped(scaled.add(perChannel(mean.map((middle, channel) => -middle / std[channel]!))))
}
