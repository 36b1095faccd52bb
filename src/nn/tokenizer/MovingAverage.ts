/**
 * The quantizer of VQ-KD, which is the default. It takes the nearest code on the unit sphere with a straight-through gradient.
 * Each code follows its vectors by an exponential moving average of directions (`norm_ema_quantizer.py`).
 *
 * ```ts
 * import assert from "node:assert"
 * import { MovingAverage } from "patchword/nn"
 * import { HostTensor, Tensor } from "patchword/shapes"
 *
 * const codebook = Tensor.constant(HostTensor.make([2, 2], "float32", Float32Array.of(1, 0, 0, 1)))
 * const vectors = Tensor.constant(HostTensor.make([3, 2], "float32", Float32Array.of(2, 1, 1, 3, 5, 0)))
 * const { codes, z_q } = MovingAverage.quantize(codebook, vectors)
 * assert.deepStrictEqual([codes.shape, z_q.shape], [[3], [3, 2]])
 * ```
 */
import { countByCode, lookup, nearest, straightThrough, sumByCode } from "../../shapes/Codes.ts"
import * as Collective from "../../shapes/Collective.ts"
import { add, isBelow, scale, shift, square, stopGradient, sub, where, whereRows } from "../../shapes/Elementwise.ts"
import * as HostTensor from "../../shapes/HostTensor.ts"
import { l2Normalize } from "../../shapes/Normalization.ts"
import { mean } from "../../shapes/Reduction.ts"
import type { Tensor } from "../../shapes/Tensor.ts"
import * as Kmeans from "./Kmeans.ts"
import type * as Quantizer from "./Quantizer.ts"
import * as Rows from "./Rows.ts"

/** The codebook of `K` unit vectors with `E` channels, and the usage of each code. */
export interface QuantizerState<in out K extends number, in out E extends number> {
  readonly embedding: { readonly weight: Tensor<[K, E]> }
  /** A moving average of each code's count. */
  readonly cluster_size: Tensor<[K]>
}

/** The result of quantizing vectors. */
export interface Quantized<M extends number, E extends number> {
  /** The vectors, normalised to unit length. */
  readonly z: Tensor<[M, E]>
  readonly codes: Tensor<[M], "int32">
  /** The vectors of the codes. Their gradient passes unchanged to `z`. */
  readonly z_q: Tensor<[M, E]>
  /**
   * The commitment loss, which pulls vectors to their codes: the mean over all channels of the squared distance to the code.
   */
  readonly commitment: Tensor<[]>
}

/** Quantizes vectors `[M, E]`. No gradient reaches the codebook. */
export const quantize = <M extends number, K extends number, E extends number>(
  codebook: Tensor<[K, E]>,
  vectors: Tensor<[M, E]>
): Quantized<M, E> => {
  const z = l2Normalize(vectors)
  const codes = nearest(z, codebook)
  const z_q = stopGradient(lookup(codebook, codes))
  return { z, codes, z_q: straightThrough(z, z_q), commitment: mean(square(sub(z_q, z))) }
}

/** The options of the codebook update. */
export interface UpdateOptions {
  /** The decay of the moving average: the share of a code that stays. */
  readonly decay: number
  /** The revival of rarely used codes, or null as published. */
  readonly revival: {
    /** A code is revived when its moving count falls below this share of the count under uniform use. */
    readonly threshold: number
  } | null
}

/** The number of steps for which a revived code may stay unused before it is revived again. */
export const PATIENCE = 20

/**
 * Returns the moving count of a code at the start and after its revival. It is so low that it falls below the threshold after
 * `PATIENCE` steps without use. A code in use is far above it by then.
 */
export const freshCount = (options: {
  readonly decay: number
  readonly threshold: number
  readonly vectors: number
  readonly size: number
}): number => options.threshold * options.vectors / options.size / options.decay ** PATIENCE

/**
 * Updates the codebook after a batch, and counts each code unless `counts` is given. Every used code turns towards the mean
 * direction of its vectors, by the same share for any number of vectors. Unused codes stay. With revival, a code whose moving
 * count is below the threshold becomes the batch's vector at `rows`, and its count starts again.
 */
export const updateCodebook = <M extends number, K extends number, E extends number>(
  state: QuantizerState<K, E>,
  quantized: Pick<Quantized<M, E>, "codes" | "z"> & { readonly counts?: Tensor<[K]> },
  options: UpdateOptions,
  rows?: Tensor<[K], "int32">
): { readonly state: QuantizerState<K, E>; readonly counts: Tensor<[K]> } => {
  const { codes, counts: given, z } = quantized
  const { decay, revival } = options
  const codebook = state.embedding.weight
  const [size] = codebook.shape
  const counts = given ?? Collective.psum(countByCode(codes, size))
  const direction = l2Normalize(Collective.psum(sumByCode(z, codes, size)))
  const target = whereRows(isBelow(counts, 0.5), codebook, direction)
  const moved = l2Normalize(add(scale(codebook, decay), scale(target, 1 - decay)))
  const used = add(scale(state.cluster_size, decay), scale(counts, 1 - decay))
  if (revival === null || rows === undefined) {
    return { state: { embedding: { weight: moved }, cluster_size: used }, counts }
  }
  const vectors = z.shape[0] * Collective.size()
  const dead = isBelow(used, revival.threshold * vectors / size)
  const fresh = Collective.lookup(z, rows)
  const begun = freshCount({ decay, threshold: revival.threshold, vectors, size })
  return {
    state: {
      embedding: { weight: whereRows(dead, fresh, moved) },
      cluster_size: where(dead, shift(scale(used, 0), begun), used)
    },
    counts
  }
}

/** The tensors of the quantizer. */
export interface Parts<K extends number, E extends number> extends Quantizer.Nothing {
  readonly state: Pick<QuantizerState<K, E>, "embedding">
  readonly statistics: Pick<QuantizerState<K, E>, "cluster_size">
  /** For each code the row of the batch that would revive it. Absent without revival. */
  readonly draws: { readonly revive?: Tensor<[K], "int32"> }
  readonly start: Kmeans.Start<K>
  readonly losses: Pick<Quantized<number, E>, "commitment">
}

/** The options of the quantizer. */
export interface Options<K extends number, E extends number> extends UpdateOptions {
  readonly codes: K
  readonly codeWidth: E
  /** True if k-means over the first batch initialises the codes. Otherwise they start as random directions. */
  readonly kmeans: boolean
}

/** Makes the quantizer. */
export const make = <K extends number, E extends number>(
  options: Options<K, E>
): Quantizer.Quantizer<K, E, Parts<K, E>> => {
  const { codeWidth, codes, decay, kmeans, revival } = options
  return {
    name: "movingAverage",
    codes,
    codeWidth,
    state: { embedding: { weight: { shape: [codes, codeWidth], dtype: "float32" } } },
    statistics: { cluster_size: { shape: [codes], dtype: "float32" } },
    draws: revival === null ? {} : { revive: { shape: [codes], dtype: "int32" } },
    quantize: ({ embedding }, vectors) => {
      const { commitment, ...quantized } = quantize(embedding.weight, vectors)
      return { ...quantized, losses: { commitment } }
    },
    update: (moved, batch, { revive }) => updateCodebook(moved, batch, { decay, revival }, revive).state,
    draw: (keyOf, vectors) => revival === null ? {} : { revive: Rows.drawn(codes, vectors, keyOf("revive")) },
    initial: (keyOf, vectors) => ({
      embedding: {
        weight: kmeans
          ? HostTensor.zeros([codes, codeWidth], "float32")
          : Rows.units(codes, codeWidth, keyOf("codebook"))
      },
      // The published statistic starts from zero, and nothing depends on it; revival would find every code dead.
      cluster_size: HostTensor.make(
        [codes],
        "float32",
        new Float32Array(codes).fill(revival === null ? 0 : freshCount({ ...revival, decay, vectors, size: codes }))
      )
    }),
    fit: kmeans ? Kmeans.fit(codes) : undefined
  }
}
