/**
 * Feature maps `[B, C, H, W]`: transposed convolutions enlarge them, pooling shrinks them. As in the official segmentation
 * backbone, the stride is the kernel size, so windows never overlap.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Convolution, Tensor } from "patchword/shapes"
 *
 * const map = Convolution.map(Tensor.zeros([2, 12, 8]), 3, 4)
 * const double = { weight: Tensor.zeros([8, 5, 2, 2]), bias: Tensor.zeros([5]) }
 * assert.deepStrictEqual(Convolution.transposed(map, double).shape, [2, 5, 6, 8])
 * assert.deepStrictEqual(Convolution.maxPool(Tensor.zeros([2, 8, 7, 4]), 2).shape, [2, 8, 3, 2])
 * ```
 */
import * as tf from "@tensorflow/tfjs-core"
import type { DivFloor, Mul, Show, ShowShape, Sized } from "./Dim.ts"
import type { Shape } from "./Shape.ts"
import * as ShapeError from "./ShapeError.ts"
import { type Any, type Tensor, unsafeTyped, untyped } from "./Tensor.ts"

/** Arranges patch tokens as a map: `[B, H·W, C]`, row-major, to `[B, C, H, W]`. */
export function map<B extends number, C extends number, H extends number, W extends number>(
  tokens: Tensor<[B, NoInfer<Mul<H, W>>, C]>,
  height: H,
  width: W
): Tensor<[B, C, H, W]>
export function map<B extends number, N extends number, C extends number, H extends number, W extends number>(
  tokens: Tensor<[B, N, C]>,
  height: H & ShapeError.ShapeError<`map: ${Show<N>} tokens do not fill ${Show<H>} rows of ${Show<W>}`>,
  width: W
): never
export function map(tokens: Any, height: number, width: number): Any {
  ShapeError.fills("map", tokens, height, width)
  const [batch, , channels] = tokens.shape
  return unsafeTyped(tf.reshape(tf.transpose(untyped(tokens), [0, 2, 1]), [batch, channels, height, width]))
}

/** The parameters of a transposed convolution whose stride is its kernel size: weight `[I, O, K, K]`, bias `[O]`. */
export interface TransposedParams<in out I extends number, in out O extends number, in out K extends number> {
  readonly weight: Tensor<[I, O, K, K]>
  readonly bias: Tensor<[NoInfer<O>]>
}

/** Applies a transposed convolution, so every pixel becomes `K` by `K` pixels: `[B, I, H, W]` to `[B, O, H·K, W·K]`. */
export function transposed<
  B extends number,
  I extends number,
  O extends number,
  H extends number,
  W extends number,
  K extends number
>(x: Tensor<[B, I, H, W]>, params: TransposedParams<I, O, K>): Tensor<[B, O, Mul<H, K>, Mul<W, K>]>
export function transposed<X extends Shape, I extends number, O extends number, K extends number>(
  x:
    & Tensor<X>
    & ShapeError.ShapeError<`transposed: the map is ${ShowShape<X>} but the weight expects [B, ${Show<I>}, H, W]`>,
  params: TransposedParams<I, O, K>
): never
export function transposed(x: Any, { bias, weight }: TransposedParams<number, number, number>): Any {
  ShapeError.floats("transposed", { x, weight, bias })
  const [into, out, kernel] = weight.shape
  const [batch, channels, height, width] = x.shape
  if (x.shape.length !== 4 || channels !== into) {
    throw new ShapeError.ShapeError(
      `transposed: the map is ${ShapeError.show(x.shape)} but the weight expects [B, ${into}, H, W]`
    )
  }
  ShapeError.shaped("transposed", weight, ["I", "O", kernel, kernel], "weight")
  ShapeError.shaped("transposed", bias, [out], "bias")
  const rows = tf.reshape(tf.transpose(untyped(x), [0, 2, 3, 1]), [-1, into])
  const squares = tf.reshape(
    tf.transpose(
      tf.reshape(tf.matMul(rows, tf.reshape(untyped(weight), [into, -1])), [batch, height, width, out, kernel, kernel]),
      [0, 3, 1, 4, 2, 5]
    ),
    [batch, out, height * kernel, width * kernel]
  )
  return unsafeTyped(tf.add(squares, tf.reshape(untyped(bias), [1, out, 1, 1])))
}

/**
 * Takes the maximum of every square of `K` by `K`: `[B, C, H, W]` to `[B, C, ⌊H/K⌋, ⌊W/K⌋]`. As in PyTorch, it ignores rows and
 * columns behind the last whole square. The gradient goes to every pixel that equals the maximum. PyTorch's goes to the first
 * of them.
 *
 * @throws ShapeError when the map is smaller than a square.
 */
export const maxPool = <
  B extends number,
  C extends number,
  H extends number,
  W extends number,
  K extends number
>(x: Tensor<[B, C, H, W]>, size: K & Sized<K>): Tensor<[B, C, DivFloor<H, K>, DivFloor<W, K>]> => {
  ShapeError.floats("maxPool", { x })
  ShapeError.shaped("maxPool", x, ["B", "C", "H", "W"])
  const [batch, channels, height, width] = untyped(x).shape as [number, number, number, number]
  const [rows, columns] = [Math.floor(height / size), Math.floor(width / size)]
  if (rows === 0 || columns === 0) {
    throw new ShapeError.ShapeError(`maxPool: a map of ${height} by ${width} is smaller than a square of ${size}`)
  }
  const whole = [batch, channels, rows * size, columns * size]
  const tiled = ShapeError.agree(whole, untyped(x).shape) ? untyped(x) : tf.slice(untyped(x), [0, 0, 0, 0], whole)
  return unsafeTyped(tf.max(tf.reshape(tiled, [batch, channels, rows, size, columns, size]), [3, 5]))
}
