/**
 * Converts images to tokens and back: patches, the class token, masks.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Tensor, Tokens } from "patchword/shapes"
 *
 * const proj = { weight: Tensor.zeros([8, 3, 4, 4]), bias: Tensor.zeros([8]) }
 * const patches = Tokens.patchEmbed(Tensor.zeros([2, 3, 12, 12]), proj)
 * assert.deepStrictEqual(patches.shape, [2, 9, 8])
 * ```
 */
import * as tf from "@tensorflow/tfjs-core"
import type { Div, Mul, Patches, Plus, Show, ShowShape, Sized } from "./Dim.ts"
import type { DType, HostTensor } from "./HostTensor.ts"
import type { LinearParams } from "./Linear.ts"
import type { Shape } from "./Shape.ts"
import * as ShapeError from "./ShapeError.ts"
import { type Any, type Tensor, unsafeTyped, untyped } from "./Tensor.ts"

/** The parameters of a convolution whose stride is its kernel size: weight `[C, I, P, P]`, bias `[C]`. */
export interface PatchParams<in out I extends number, in out P extends number, in out C extends number> {
  readonly weight: Tensor<[C, I, P, P]>
  readonly bias: Tensor<[C]>
}

/**
 * Cuts images `[B, I, H, W]` into patches as rows, `[B, N, I·P·P]`. The elements of a row have the order channel, row, column.
 */
export const patchify = <B extends number, I extends number, H extends number, W extends number, P extends number>(
  images: Tensor<[B, I, H, W]>,
  patch: P & Sized<P>
): Tensor<[B, Patches<H, W, P>, Mul<I, Mul<P, P>>]> => {
  ShapeError.floats("patchify", { images })
  ShapeError.shaped("patchify", images, ["B", "I", "H", "W"], "images")
  const [batch, channels, height, width] = untyped(images).shape as [number, number, number, number]
  if (height % patch !== 0 || width % patch !== 0) {
    throw new ShapeError.ShapeError(`image: ${height % patch !== 0 ? height : width} is not divisible by ${patch}`)
  }
  const [rows, columns] = [height / patch, width / patch]
  return unsafeTyped(
    tf.reshape(
      tf.transpose(tf.reshape(untyped(images), [batch, channels, rows, patch, columns, patch]), [0, 2, 4, 1, 3, 5]),
      [batch, rows * columns, channels * patch * patch]
    )
  )
}

/** The inverse of `patchify`: `[B, N, I·P·P]` to `[B, I, H, W]`. */
export const unpatchify = <B extends number, I extends number, H extends number, W extends number, P extends number>(
  patches: Tensor<[B, NoInfer<Patches<H, W, P>>, NoInfer<Mul<I, Mul<P, P>>>]>,
  size: { readonly channels: I; readonly height: H; readonly width: W; readonly patch: P }
): Tensor<[B, I, H, W]> => {
  ShapeError.floats("unpatchify", { patches })
  const { channels, height, width, patch } = size
  const batch = untyped(patches).shape[0]!
  const expected = [batch, gridOf(height, patch) * gridOf(width, patch), channels * patch * patch]
  if (!ShapeError.agree(untyped(patches).shape, expected)) {
    throw new ShapeError.ShapeError(
      `unpatchify: patches are ${ShapeError.show(untyped(patches).shape)} but the image needs ${
        ShapeError.show(expected)
      }`
    )
  }
  return unsafeTyped(
    tf.reshape(
      tf.transpose(tf.reshape(untyped(patches), [batch, height / patch, width / patch, channels, patch, patch]), [
        0,
        3,
        1,
        4,
        2,
        5
      ]),
      [batch, channels, height, width]
    )
  )
}

/** Projects every patch: `[B, I, H, W]` to `[B, (H/P)·(W/P), C]`, row-major. */
export function patchEmbed<
  B extends number,
  I extends number,
  H extends number,
  W extends number,
  P extends number,
  C extends number
>(images: Tensor<[B, I, H, W]>, params: PatchParams<I, P, C>): Tensor<[B, Patches<H, W, P>, C]>
export function patchEmbed<X extends Shape, I extends number, P extends number, C extends number>(
  images:
    & Tensor<X>
    & ShapeError.ShapeError<`patchEmbed: images are ${ShowShape<X>} but the weight expects [B, ${Show<I>}, H, W]`>,
  params: PatchParams<I, P, C>
): never
export function patchEmbed(images: Any, params: PatchParams<number, number, number>): Any {
  return embedded(images, params.weight, params.bias)
}

/** Projects every patch without a bias: `[B, I, H, W]` by `[C, I, P, P]` to `[B, (H/P)·(W/P), C]`, row-major. */
export const patchProject = <
  B extends number,
  I extends number,
  H extends number,
  W extends number,
  P extends number,
  C extends number
>(images: Tensor<[B, I, H, W]>, weight: Tensor<[C, NoInfer<I>, P, P]>): Tensor<[B, Patches<H, W, P>, C]> =>
  embedded(images, weight)

const embedded = (images: Any, weight: Any, bias?: Any): Any => {
  ShapeError.floats("patchEmbed", { images, weight, bias })
  const [width, channels, patch] = weight.shape
  if (images.shape.length !== 4 || images.shape[1] !== channels) {
    throw new ShapeError.ShapeError(
      `patchEmbed: images are ${ShapeError.show(images.shape)} but the weight expects [B, ${channels}, H, W]`
    )
  }
  ShapeError.shaped("patchEmbed", weight, ["C", "I", patch, patch], "weight")
  if (bias !== undefined) ShapeError.shaped("patchEmbed", bias, [width], "bias")
  const patches = untyped(patchify(images, patch))
  const rows = tf.reshape(patches, [-1, patches.shape[2]!])
  const y = tf.matMul(rows, tf.reshape(untyped(weight), [width, -1]), false, true)
  const biased = bias === undefined ? y : tf.add(y, untyped(bias))
  return unsafeTyped(tf.reshape(biased, [patches.shape[0]!, patches.shape[1]!, width]))
}

/** Returns a 1×1 convolution as the equivalent linear layer. */
export const asLinear = <I extends number, C extends number>(
  params: PatchParams<I, 1, C>
): LinearParams<I, C> => {
  const { bias, weight } = params
  ShapeError.floats("asLinear", { weight, bias })
  ShapeError.shaped("asLinear", weight, ["C", "I", 1, 1], "weight")
  ShapeError.shaped("asLinear", bias, [untyped(weight).shape[0]!], "bias")
  return { weight: unsafeTyped(tf.reshape(untyped(weight), [weight.shape[0], weight.shape[1]])), bias }
}

/** Repeats a learned token for every sample: `[1, 1, C]` to `[B, 1, C]`. */
export const repeat = <B extends number, C extends number>(
  token: Tensor<[1, 1, C]>,
  batch: B & Sized<B>
): Tensor<[B, 1, C]> => {
  ShapeError.floats("repeat", { token })
  ShapeError.shaped("repeat", token, [1, 1, "C"], "token")
  return unsafeTyped(tf.tile(untyped(token), [batch, 1, 1]))
}

/** Makes a vector the only token of one sample: `[C]` to `[1, 1, C]`. */
export const asToken = <C extends number>(vector: Tensor<[C]>): Tensor<[1, 1, C]> => {
  ShapeError.floats("asToken", { vector })
  ShapeError.shaped("asToken", vector, ["C"], "vector")
  return unsafeTyped(tf.reshape(untyped(vector), [1, 1, -1]))
}

/** Makes a table of tokens one sample: `[T, C]` to `[1, T, C]`. */
export const asSample = <T extends number, C extends number>(table: Tensor<[T, C]>): Tensor<[1, T, C]> => {
  ShapeError.floats("asSample", { table })
  ShapeError.shaped("asSample", table, ["T", "C"], "table")
  return unsafeTyped(tf.expandDims(untyped(table), 0))
}

/** Computes tokens as sums of the `T` tokens of a sample with constant weights: `[1, T, C]` to `[1, N, C]`. */
export const blend = <N extends number, T extends number, C extends number>(
  weights: HostTensor<[N, T], "float32">,
  table: Tensor<[1, T, C]>
): Tensor<[1, N, C]> => {
  ShapeError.floats("blend", { weights, table })
  ShapeError.shaped("blend", weights, ["N", "T"], "weights")
  ShapeError.shaped("blend", table, [1, "T", "C"], "table")
  const [, tokens] = untyped(table).shape
  if (tokens !== weights.shape[1]) {
    throw new ShapeError.ShapeError(`blend: weights for ${weights.shape[1]} tokens but there are ${tokens}`)
  }
  return unsafeTyped(tf.matMul(tf.tensor(weights.data, [1, ...weights.shape], "float32"), untyped(table)))
}

/** Puts the class token before the patches: `[B, 1, C]` and `[B, N, C]` to `[B, N+1, C]`. */
export const prepend = <B extends number, N extends number, C extends number>(
  token: Tensor<[B, 1, C]>,
  patches: Tensor<[B, N, C]>
): Tensor<[B, Plus<N, 1>, C]> => {
  ShapeError.floats("prepend", { token, patches })
  ShapeError.shaped("prepend", patches, ["B", "N", "C"], "patches")
  const [batch, , width] = untyped(patches).shape as [number, number, number]
  ShapeError.shaped("prepend", token, [batch, 1, width], "token")
  return unsafeTyped(tf.concat([untyped(token), untyped(patches)], 1))
}

/** Returns the class token of `[B, N+1, C]`: `[B, 1, C]`. */
export const classToken = <B extends number, T extends number, C extends number>(
  tokens: Tensor<[B, T, C]>
): Tensor<[B, 1, C]> => {
  ShapeError.floats("classToken", { tokens })
  ShapeError.shaped("classToken", tokens, ["B", "T", "C"], "tokens")
  const [batch, , width] = untyped(tokens).shape as [number, number, number]
  return unsafeTyped(tf.slice(untyped(tokens), [0, 0, 0], [batch, 1, width]))
}

/** Returns the patch tokens of `[B, N+1, C]`: `[B, N, C]`. */
export function patchTokens<B extends number, N extends number, C extends number>(
  tokens: Tensor<[B, NoInfer<Plus<N, 1>>, C]>,
  count: N
): Tensor<[B, N, C]>
export function patchTokens<B extends number, T extends number, C extends number, N extends number>(
  tokens: Tensor<[B, T, C]>,
  count:
    & N
    & ShapeError.ShapeError<`patchTokens: ${Show<N>} patches and the class token are not ${Show<T>} tokens`>
): never
export function patchTokens(tokens: Any, count: number): Any {
  ShapeError.floats("patchTokens", { tokens })
  ShapeError.shaped("patchTokens", tokens, ["B", "T", "C"], "tokens")
  const [batch, total, width] = tokens.shape as [number, number, number]
  if (total !== count + 1) {
    throw new ShapeError.ShapeError(`patchTokens: ${count} patches and the class token are not ${total} tokens`)
  }
  return unsafeTyped(tf.slice(untyped(tokens), [0, 1, 0], [batch, count, width]))
}

/** Replaces every masked patch by the mask token: patches `[B, N, C]`, mask `[B, N]`, token `[1, 1, C]`. */
export function replaceMasked<B extends number, N extends number, C extends number>(
  patches: Tensor<[B, N, C]>,
  mask: Tensor<NoInfer<[B, N]>, "bool">,
  token: Tensor<NoInfer<[1, 1, C]>>
): Tensor<[B, N, C]>
export function replaceMasked<B extends number, N extends number, C extends number, S extends Shape, D extends DType>(
  patches: Tensor<[B, N, C]>,
  mask:
    & Tensor<S, D>
    & ShapeError.ShapeError<`replaceMasked: the mask must be bool ${ShowShape<[B, N]>} but is ${D} ${ShowShape<S>}`>,
  token: Tensor<NoInfer<[1, 1, C]>>
): never
export function replaceMasked(patches: Any, mask: Any, token: Any): Any {
  ShapeError.floats("replaceMasked", { patches, token })
  ShapeError.shaped("replaceMasked", patches, ["B", "N", "C"], "patches")
  ShapeError.shaped("replaceMasked", token, [1, 1, patches.shape[2]], "token")
  const expected = patches.shape.slice(0, 2)
  if (mask.dtype !== "bool" || !ShapeError.agree(mask.shape, expected)) {
    throw new ShapeError.ShapeError(
      `replaceMasked: the mask must be bool ${ShapeError.show(expected)} but is ${mask.dtype} ${
        ShapeError.show(mask.shape)
      }`
    )
  }
  const masked = tf.expandDims(tf.cast(untyped(mask), "float32"), 2)
  return unsafeTyped(tf.add(tf.mul(untyped(patches), tf.sub(1, masked)), tf.mul(masked, untyped(token))))
}

/** Selects rows of `[B, N, C]`, counted row-major over batch and token: `[M]` indices to `[M, C]`. */
export const selectRows = <B extends number, N extends number, C extends number, M extends number>(
  x: Tensor<[B, N, C]>,
  rows: Tensor<[M], "int32">
): Tensor<[M, C]> => {
  ShapeError.floats("selectRows", { x })
  ShapeError.elements("selectRows", "int32", rows, "rows")
  ShapeError.shaped("selectRows", x, ["B", "N", "C"])
  ShapeError.shaped("selectRows", rows, ["M"], "rows")
  const raw = untyped(x)
  return unsafeTyped(tf.gather(tf.reshape(raw, [-1, raw.shape[2]!]), untyped(rows)))
}

/** Repeats one factor per sample for the selected rows of `[B, N, C]`: `[B]` to `[M]` (drop path). */
export const factorsOfRows = <B extends number, M extends number>(
  factors: Tensor<[B]>,
  tokens: number,
  rows: Tensor<[M], "int32">
): Tensor<[M]> => {
  ShapeError.floats("factorsOfRows", { factors })
  ShapeError.elements("factorsOfRows", "int32", rows, "rows")
  ShapeError.shaped("factorsOfRows", factors, ["B"], "factors")
  ShapeError.shaped("factorsOfRows", rows, ["M"], "rows")
  const raw = untyped(factors)
  return unsafeTyped(tf.gather(tf.reshape(tf.tile(tf.expandDims(raw, 1), [1, tokens]), [-1]), untyped(rows)))
}

/** Reshapes all tokens of a batch into rows: `[B, N, C]` to `[B·N, C]`. */
export const rows = <B extends number, N extends number, C extends number>(
  x: Tensor<[B, N, C]>
): Tensor<[Mul<B, N>, C]> => {
  ShapeError.floats("rows", { x })
  ShapeError.shaped("rows", x, ["B", "N", "C"])
  const raw = untyped(x)
  return unsafeTyped(tf.reshape(raw, [-1, raw.shape[2]!]))
}

/** Reshapes rows into the tokens of a batch: `[B·N, C]` to `[B, N, C]`. */
export const batched = <B extends number, N extends number, C extends number>(
  x: Tensor<[NoInfer<Mul<B, N>>, C]>,
  batch: B & Sized<B>,
  tokens: N & Sized<N>
): Tensor<[B, N, C]> => {
  ShapeError.floats("batched", { x })
  ShapeError.shaped("batched", untyped(x), [batch * tokens, "C"])
  return unsafeTyped(tf.reshape(untyped(x), [batch, tokens, -1]))
}

/** Removes the axis of the only token: `[B, 1, C]` to `[B, C]`. */
export const squeeze = <B extends number, C extends number>(x: Tensor<[B, 1, C]>): Tensor<[B, C]> => {
  ShapeError.floats("squeeze", { x })
  ShapeError.shaped("squeeze", x, ["B", 1, "C"])
  return unsafeTyped(tf.squeeze(untyped(x), [1]))
}

/** Returns the number of patches along one side of the image, and checks that the patch divides it. */
export const gridOf = <H extends number, P extends number>(image: H, patch: P): Div<H, P> => {
  if (image % patch !== 0) throw new ShapeError.ShapeError(`image: ${image} is not divisible by ${patch}`)
  return (image / patch) as Div<H, P>
}
