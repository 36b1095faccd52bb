/**
 * The parts of multi-head attention: splitting a projection into heads, the attention, the relative position bias, and merging
 * the heads. The attention is one fused operation with its own gradient.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Attention, Tensor } from "patchword/shapes"
 *
 * const { q, k, v } = Attention.splitHeads(Tensor.zeros([2, 5, 12]), 4, 2)
 * const y = Attention.mergeHeads(Attention.attention(q, k, v), 4)
 * assert.deepStrictEqual(y.shape, [2, 5, 4])
 * ```
 */
import * as tf from "@tensorflow/tfjs-core"
import type { Div, Mul, Show, ShowShape } from "./Dim.ts"
import * as FusedKernel from "./FusedKernel.ts"
import type { HostTensor } from "./HostTensor.ts"
import type { Shape } from "./Shape.ts"
import * as ShapeError from "./ShapeError.ts"
import { type Any, type Tensor, unsafeTyped, untyped } from "./Tensor.ts"

/** Queries, keys and values of all heads, each `[B, H, N, C/H]`. */
export interface Heads<B extends number, H extends number, N extends number, E extends number> {
  readonly q: Tensor<[B, H, N, E]>
  readonly k: Tensor<[B, H, N, E]>
  readonly v: Tensor<[B, H, N, E]>
}

/** Swaps the axes of heads and tokens: `[B, H, N, E]` to `[B, N, H, E]` and back. */
const sideBySide = (x: tf.Tensor): tf.Tensor => tf.transpose(x, [0, 2, 1, 3])

/**
 * Splits a joint projection `[B, N, 3C]` into queries, keys and values of `H` heads. Its channels have the order of the
 * official code: first query, key, value, then the heads, then the channels of a head.
 */
export function splitHeads<B extends number, N extends number, C extends number, H extends number>(
  x: Tensor<[B, N, NoInfer<Mul<3, C>>]>,
  width: C,
  heads: H
): Heads<B, H, N, Div<C, H>>
export function splitHeads<B extends number, N extends number, X extends number, C extends number>(
  x: Tensor<[B, N, X]>,
  width:
    & C
    & ShapeError.ShapeError<`splitHeads: input axis -1 is ${Show<X>} but three times the width is ${Show<Mul<3, C>>}`>,
  heads: number
): never
export function splitHeads(x: Any, width: number, heads: number): { q: Any; k: Any; v: Any } {
  ShapeError.floats("splitHeads", { x })
  ShapeError.shaped("splitHeads", x, ["B", "N", "3C"])
  const [batch, tokens, channels] = untyped(x).shape as [number, number, number]
  if (channels !== 3 * width) {
    throw new ShapeError.ShapeError(
      `splitHeads: input axis -1 is ${channels} but three times the width is ${3 * width}`
    )
  }
  if (width % heads !== 0) throw new ShapeError.ShapeError(`heads: ${width} is not divisible by ${heads}`)
  // Split first and transposed then: the gradient transposes three small arrays, which takes half as long as one that
  // holds all.
  const [q, k, v] = tf.split(untyped(x), 3, 2).map((part) =>
    unsafeTyped(sideBySide(tf.reshape(part, [batch, tokens, heads, width / heads])))
  ) as [Any, Any, Any]
  return { q, k, v }
}

/** Merges the heads: `[B, H, N, C/H]` to `[B, N, C]`. */
export function mergeHeads<B extends number, H extends number, N extends number, C extends number>(
  x: Tensor<[B, H, N, NoInfer<Div<C, H>>]>,
  width: C
): Tensor<[B, N, C]>
export function mergeHeads<B extends number, H extends number, N extends number, E extends number, C extends number>(
  x: Tensor<[B, H, N, E]>,
  width: C & ShapeError.ShapeError<`mergeHeads: ${Show<H>} heads of ${Show<E>} channels do not make ${Show<C>}`>
): never
export function mergeHeads(x: Any, width: number): Any {
  ShapeError.floats("mergeHeads", { x })
  ShapeError.shaped("mergeHeads", x, ["B", "H", "N", "E"])
  const [batch, heads, tokens, channels] = untyped(x).shape as [number, number, number, number]
  if (heads * channels !== width) {
    throw new ShapeError.ShapeError(`mergeHeads: ${heads} heads of ${channels} channels do not make ${width}`)
  }
  return unsafeTyped(tf.reshape(sideBySide(untyped(x)), [batch, tokens, width]))
}

const weights = (query: tf.Tensor, key: tf.Tensor, scale: number, bias?: tf.Tensor): tf.Tensor => {
  const scores = FusedKernel.product(query, key, { transposeB: true, alpha: scale })
  return tf.softmax(bias === undefined ? scores : tf.add(scores, bias))
}

const attentionGrad = (scale: number) =>
  tf.customGrad((...args) => {
    const save = args.at(-1) as tf.GradSaveFunc
    const [query, key, value, bias] = args.slice(0, -1) as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor?]
    const probabilities = weights(query, key, scale, bias)
    const y = FusedKernel.product(probabilities, value)
    // As merged heads, which the next layer keeps for its own gradient anyway.
    save([query, key, value, probabilities, sideBySide(y)])
    return {
      value: y,
      gradFunc: (dy: tf.Tensor, saved: Array<tf.Tensor>) => {
        const [q, k, v, p, merged] = saved as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]
        // Σ p·dp of a row of N scores is Σ y·dy of the E numbers that came of it.
        const mean = tf.expandDims(tf.transpose(tf.sum(tf.mul(sideBySide(dy), merged), -1), [0, 2, 1]), -1)
        const dScores = tf.mul(tf.sub(FusedKernel.product(dy, v, { transposeB: true }), mean), p)
        const gradients = [
          FusedKernel.product(dScores, k, { alpha: scale }),
          FusedKernel.product(dScores, q, { transposeA: true, alpha: scale }),
          FusedKernel.product(p, dy, { transposeA: true })
        ]
        return bias === undefined ? gradients : [...gradients, tf.sum(dScores, 0, true)]
      }
    }
  })

/** Computes `softmax(q kᵀ / √E + bias) v` for each head, `[B, H, N, E]`. The bias `[H, N, N]` is the same for every sample. */
export function attention<B extends number, H extends number, N extends number, E extends number>(
  query: Tensor<[B, H, N, E]>,
  key: Tensor<NoInfer<[B, H, N, E]>>,
  value: Tensor<NoInfer<[B, H, N, E]>>,
  bias?: Tensor<NoInfer<[H, N, N]>>
): Tensor<[B, H, N, E]>
export function attention<B extends number, H extends number, N extends number, E extends number, S extends Shape>(
  query: Tensor<[B, H, N, E]>,
  key: Tensor<NoInfer<[B, H, N, E]>>,
  value: Tensor<NoInfer<[B, H, N, E]>>,
  bias:
    & Tensor<S>
    & ShapeError.ShapeError<
      `attention: the bias is ${ShowShape<S>} but there are ${Show<H>} heads and ${Show<N>} tokens`
    >
): never
export function attention(query: Any, key: Any, value: Any, bias?: Any): Any {
  ShapeError.floats("attention", { query, key, value, bias })
  ShapeError.same("attention", query, key)
  ShapeError.same("attention", key, value)
  ShapeError.shaped("attention", query, ["B", "H", "N", "E"], "query")
  const inputs = [query, key, value].map(untyped)
  const [, heads, tokens, channels] = untyped(query).shape as [number, number, number, number]
  if (bias !== undefined) {
    if (!ShapeError.agree(bias.shape, [heads, tokens, tokens])) {
      throw new ShapeError.ShapeError(
        `attention: the bias is ${ShapeError.show(bias.shape)} but there are ${heads} heads and ${tokens} tokens`
      )
    }
    inputs.push(tf.expandDims(untyped(bias), 0))
  }
  return unsafeTyped(attentionGrad(channels ** -0.5)(...inputs))
}

/** Checks queries, keys and a bias, and returns the size of the queries, `[B, H, N, E]`. */
const weighed = (name: string, query: Any, key: Any, bias: Any | undefined) => {
  ShapeError.floats(name, { query, key, bias })
  ShapeError.same(name, query, key)
  ShapeError.shaped(name, query, ["B", "H", "N", "E"], "query")
  const size = untyped(query).shape as [number, number, number, number]
  const [, heads, tokens] = size
  if (bias !== undefined) ShapeError.shaped(name, bias, [heads, tokens, tokens], "bias")
  return size
}

/** Computes the attention weights of `attention`, `[B, H, N, N]`. They are for inspection, not for training. */
export const attentionWeights = <B extends number, H extends number, N extends number, E extends number>(
  query: Tensor<[B, H, N, E]>,
  key: Tensor<NoInfer<[B, H, N, E]>>,
  bias?: Tensor<NoInfer<[H, N, N]>>
): Tensor<[B, H, N, N]> => {
  const [, , , channels] = weighed("attentionWeights", query, key, bias)
  return unsafeTyped(
    weights(untyped(query), untyped(key), channels ** -0.5, bias === undefined ? undefined : untyped(bias))
  )
}

/**
 * Computes the attention weights of the first token over all tokens, `[B, H, N]`: the first rows of `attentionWeights`, without
 * the others. They are for inspection, not for training.
 */
export const firstTokenWeights = <B extends number, H extends number, N extends number, E extends number>(
  query: Tensor<[B, H, N, E]>,
  key: Tensor<NoInfer<[B, H, N, E]>>,
  bias?: Tensor<NoInfer<[H, N, N]>>
): Tensor<[B, H, N]> => {
  const [batch, heads, tokens, channels] = weighed("firstTokenWeights", query, key, bias)
  const first = tf.slice(untyped(query), [0, 0, 0, 0], [batch, heads, 1, channels])
  const row = bias === undefined ? undefined : tf.slice(untyped(bias), [0, 0, 0], [heads, 1, tokens])
  return unsafeTyped(tf.squeeze(weights(first, untyped(key), channels ** -0.5, row), [2]))
}

/** Looks up the bias of every pair of tokens in a table `[R, H]` with a constant index `[N, N]`, as `[H, N, N]`. */
export const relativeBias = <R extends number, H extends number, N extends number>(
  table: Tensor<[R, H]>,
  index: HostTensor<[N, N], "int32">
): Tensor<[H, N, N]> => {
  ShapeError.floats("relativeBias", { table })
  ShapeError.elements("relativeBias", "int32", index, "index")
  const [tokens] = index.shape
  ShapeError.shaped("relativeBias", table, ["R", "H"], "table")
  ShapeError.shaped("relativeBias", index, [tokens, tokens], "index")
  const rows = tf.gather(untyped(table), tf.tensor1d(index.data, "int32"))
  return unsafeTyped(tf.transpose(tf.reshape(rows, [tokens, tokens, untyped(table).shape[1]!]), [2, 0, 1]))
}

/** Makes the bias of a joint projection without a key bias: query bias, zeros, value bias, `[3C]`. */
export const queryValueBias = <C extends number>(query: Tensor<[C]>, value: Tensor<[C]>): Tensor<[Mul<3, C>]> => {
  ShapeError.floats("queryValueBias", { query, value })
  ShapeError.same("queryValueBias", query, value)
  ShapeError.shaped("queryValueBias", query, ["C"], "query")
  return unsafeTyped(tf.concat([untyped(query), tf.zerosLike(untyped(query)), untyped(value)]))
}
