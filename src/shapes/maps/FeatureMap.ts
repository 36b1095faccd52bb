/**
 * Feature maps with the channels last, `[B, H, W, C]`: convolution, pooling and resizing. Each operation is a product of
 * matrices, and the channels stay where they are. `Convolution` has the operations on maps `[B, C, H, W]`.
 *
 * ```ts
 * import assert from "node:assert"
 * import { FeatureMap, Tensor } from "patchword/shapes"
 *
 * const map = FeatureMap.ofTokens(Tensor.zeros([2, 12, 8]), 3, 4)
 * assert.deepStrictEqual(FeatureMap.convolve(map, Tensor.zeros([5, 8, 3, 3])).shape, [2, 3, 4, 5])
 * assert.deepStrictEqual(FeatureMap.adaptiveAveragePool(map, 2, 2).shape, [2, 2, 2, 8])
 * assert.deepStrictEqual(FeatureMap.resize(map, 12, 16).shape, [2, 12, 16, 8])
 * ```
 */
import * as tf from "@tensorflow/tfjs-core"
import type { Dim, Mul, Show, ShowShape, Sized } from "../Dim.ts"
import * as FusedKernel from "../FusedKernel.ts"
import type { Shape } from "../Shape.ts"
import * as ShapeError from "../ShapeError.ts"
import { type Any, type Tensor, unsafeTyped, untyped } from "../Tensor.ts"

/** The shape of a map, `[B, H, W, C]`. */
type Map = [number, number, number, number]

const checkMap = (name: string, x: Any): void => {
  ShapeError.floats(name, { x })
  ShapeError.shaped(name, x, ["B", "H", "W", "C"])
}

/** Arranges patch tokens as a map: `[B, H·W, C]`, row-major, to `[B, H, W, C]`. */
export function ofTokens<B extends number, C extends number, H extends number, W extends number>(
  tokens: Tensor<[B, NoInfer<Mul<H, W>>, C]>,
  height: H,
  width: W
): Tensor<[B, H, W, C]>
export function ofTokens<B extends number, N extends number, C extends number, H extends number, W extends number>(
  tokens: Tensor<[B, N, C]>,
  height: H & ShapeError.ShapeError<`ofTokens: ${Show<N>} tokens do not fill ${Show<H>} rows of ${Show<W>}`>,
  width: W
): never
export function ofTokens(tokens: Any, height: number, width: number): Any {
  ShapeError.fills("ofTokens", tokens, height, width)
  const [batch, , channels] = tokens.shape
  return unsafeTyped(tf.reshape(untyped(tokens), [batch, height, width, channels]))
}

/** Moves the channels of a map behind its sides: `[B, C, H, W]` to `[B, H, W, C]`. */
export const channelsLast = <B extends number, C extends number, H extends number, W extends number>(
  x: Tensor<[B, C, H, W]>
): Tensor<[B, H, W, C]> => {
  ShapeError.floats("channelsLast", { x })
  ShapeError.shaped("channelsLast", x, ["B", "C", "H", "W"])
  return unsafeTyped(tf.transpose(untyped(x), [0, 2, 3, 1]))
}

/** Moves the channels of a map before its sides: `[B, H, W, C]` to `[B, C, H, W]`. */
export const channelsFirst = <B extends number, C extends number, H extends number, W extends number>(
  x: Tensor<[B, H, W, C]>
): Tensor<[B, C, H, W]> => {
  checkMap("channelsFirst", x)
  return unsafeTyped(tf.transpose(untyped(x), [0, 3, 1, 2]))
}

/** Maps whose sides the compiler does not know, `[B, H, W, C]`. They are checked at run time. */
export type Pixels<B extends number, C extends number> = Tensor<[B, number, number, C]>

/** Returns a map of sides that the compiler does not know, for networks whose sides follow from the image's. */
export const anySides = <B extends number, H extends number, W extends number, C extends number>(
  x: Tensor<[B, H, W, C]>
): Pixels<B, C> => {
  checkMap("anySides", x)
  return unsafeTyped(untyped(x))
}

/** The labels of pixels of maps whose sides the compiler does not know, `[B, H, W]`. */
export type Labels<B extends number> = Tensor<[B, number, number], "int32">

/** Returns labels of sides that the compiler does not know. */
export const labelsOfAnySides = <B extends number, H extends number, W extends number>(
  x: Tensor<[B, H, W], "int32">
): Labels<B> => {
  ShapeError.elements("labelsOfAnySides", "int32", x)
  ShapeError.shaped("labelsOfAnySides", x, ["B", "H", "W"])
  return unsafeTyped(untyped(x))
}

/** Lists the pixels of maps as rows: `[B, H, W, C]` to `[B·H·W, C]`. */
export const pixels = <M extends Map>(x: Tensor<M>): Tensor<[Dim<"pixels">, M[3]]> => {
  checkMap("pixels", x)
  return unsafeTyped(tf.reshape(untyped(x), [-1, x.shape[3]]))
}

/** Lists the labels of pixels: `[B, H, W]` to `[B·H·W]`, in the order of {@link pixels}. */
export const labels = <B extends number, H extends number, W extends number>(
  x: Tensor<[B, H, W], "int32">
): Tensor<[Dim<"pixels">], "int32"> => {
  ShapeError.elements("labels", "int32", x)
  ShapeError.shaped("labels", x, ["B", "H", "W"])
  return unsafeTyped(tf.reshape(untyped(x), [-1]))
}

/** Joins maps of the same sides along their channels, in order. `channels` is the sum of the maps' channels. */
export const join = <M extends Map, T extends number>(
  first: Tensor<M>,
  others: ReadonlyArray<Any>,
  channels: T & Sized<T>
): Tensor<[M[0], M[1], M[2], T]> => {
  checkMap("join", first)
  const sides = first.shape.slice(0, 3)
  const maps = [first, ...others]
  for (const x of others) {
    checkMap("join", x)
    ShapeError.shaped("join", x, [...sides, "C"])
  }
  const sum = maps.reduce((total: number, { shape }) => total + shape[3], 0)
  if (sum !== channels) throw new ShapeError.ShapeError(`join: the maps have ${sum} channels but not ${channels}`)
  return unsafeTyped(tf.concat(maps.map(untyped), 3))
}

/** Multiplies every channel of every map by its own factor: `[B, H, W, C]` by `[B, C]` (Dropout2d). */
export const scaleChannels = <M extends Map>(
  x: Tensor<M>,
  factors: Tensor<[NoInfer<M[0]>, NoInfer<M[3]>]>
): Tensor<M> => {
  checkMap("scaleChannels", x)
  ShapeError.floats("scaleChannels", { factors })
  const [batch, , , channels] = untyped(x).shape as Map
  ShapeError.shaped("scaleChannels", factors, [batch, channels], "factors")
  return unsafeTyped(tf.mul(untyped(x), tf.reshape(untyped(factors), [batch, 1, 1, channels])))
}

/** The windows of a map that is padded with zeros: for each row of the kernel a matrix `[positions, K·I]`. */
interface Windows {
  readonly rows: ReadonlyArray<tf.Tensor>
  /** The sides of the padded map, and the number of positions that windows begin at. */
  readonly height: number
  readonly width: number
  readonly span: number
}

/**
 * Cuts a padded map into windows. Its pixels are rows of one matrix. A window's pixel at (i, j) is then the same number of rows
 * behind the window's first pixel for every window. So a part of the matrix has it for all of them. Windows that begin in the
 * padding are cut off after the product.
 */
const windows = (x: tf.Tensor, kernel: number): Windows => {
  const [batch, height, width, channels] = x.shape as [number, number, number, number]
  const around = (kernel - 1) / 2
  const sides: [number, number] = [around, around]
  const [tall, wide] = [height + 2 * around, width + 2 * around]
  const pixels = tf.reshape(
    around === 0 ? x : tf.pad(x, [[0, 0], sides, sides, [0, 0]]),
    [batch * tall * wide, channels]
  )
  const count = batch * tall * wide
  const span = count - (kernel - 1) * (wide + 1)
  if (kernel === 1) return { rows: [pixels], height: tall, width: wide, span }
  const along = count - (kernel - 1)
  const joined = tf.concat(
    Array.from({ length: kernel }, (_, column) => tf.slice(pixels, [column, 0], [along, channels])),
    1
  )
  const rows = Array.from(
    { length: kernel },
    (_, row) => tf.slice(joined, [row * wide, 0], [span, kernel * channels])
  )
  return { rows, height: tall, width: wide, span }
}

/** The weight `[O, I, K, K]` as a matrix `[K·I, O]` for each row of the kernel. */
const kernelRows = (weight: tf.Tensor): ReadonlyArray<tf.Tensor> => {
  const [out, into, kernel] = weight.shape as [number, number, number, number]
  const turned = tf.reshape(tf.transpose(weight, [2, 3, 1, 0]), [kernel, kernel * into, out])
  return Array.from(
    { length: kernel },
    (_, row) => tf.reshape(tf.slice(turned, [row, 0, 0], [1, kernel * into, out]), [kernel * into, out])
  )
}

const sumOf = (parts: ReadonlyArray<tf.Tensor>): tf.Tensor => parts.reduce((sum, part) => tf.add(sum, part))

const convolved = (x: tf.Tensor, weight: tf.Tensor): { readonly y: tf.Tensor; readonly cut: Windows } => {
  const [batch, height, width] = x.shape as [number, number, number, number]
  const [out, , kernel] = weight.shape as [number, number, number, number]
  const cut = windows(x, kernel)
  const matrices = kernelRows(weight)
  const sums = sumOf(cut.rows.map((row, at) => tf.matMul(row, matrices[at]!)))
  const missing = batch * cut.height * cut.width - cut.span
  const whole = tf.reshape(missing === 0 ? sums : tf.pad(sums, [[0, missing], [0, 0]]), [
    batch,
    cut.height,
    cut.width,
    out
  ])
  return { y: kernel === 1 ? whole : tf.slice(whole, [0, 0, 0, 0], [batch, height, width, out]), cut }
}

const convolution = tf.customGrad((...args) => {
  const [x, weight] = args.slice(0, 2) as [tf.Tensor, tf.Tensor]
  const { cut, y } = convolved(x, weight)
  ;(args[2] as tf.GradSaveFunc)([weight, ...cut.rows])
  return {
    value: y,
    gradFunc: (dy: tf.Tensor, saved: Array<tf.Tensor>) => {
      const [w, ...rows] = saved as [tf.Tensor, ...Array<tf.Tensor>]
      const [out, into, kernel] = w.shape as [number, number, number, number]
      const [batch, height, width] = dy.shape as [number, number, number, number]
      const more: [number, number] = [0, kernel - 1]
      const count = batch * (height + kernel - 1) * (width + kernel - 1)
      const placed = tf.reshape(kernel === 1 ? dy : tf.pad(dy, [[0, 0], more, more, [0, 0]]), [count, out])
      const span = rows[0]!.shape[0]!
      const upstream = span === count ? placed : tf.slice(placed, [0, 0], [span, out])
      const matrices = rows.map((row) => tf.matMul(row, upstream, true))
      const dw = tf.transpose(tf.reshape(tf.stack(matrices), [kernel, kernel, into, out]), [3, 2, 0, 1])
      // The gradient of the map is the convolution of `dy` with the turned kernel.
      const turned = tf.transpose(kernel === 1 ? w : tf.reverse(w, [2, 3]), [1, 0, 2, 3])
      return [convolved(dy, turned).y, dw]
    }
  }
})

/**
 * Applies a convolution without a bias: `[B, H, W, I]` by `[O, I, K, K]` to `[B, H, W, O]`. The stride is 1. The map is padded
 * with zeros, so that it keeps its sides. `Elementwise.addBias` adds a bias.
 *
 * @throws ShapeError when the kernel is not a square with an odd side.
 */
export function convolve<M extends Map, O extends number, K extends number>(
  x: Tensor<M>,
  weight: Tensor<[O, NoInfer<M[3]>, K, K]>
): Tensor<[M[0], M[1], M[2], O]>
export function convolve<X extends Shape, I extends number, O extends number, K extends number, L extends number>(
  x: Tensor<X>,
  weight:
    & Tensor<[O, I, K, L]>
    & ShapeError.ShapeError<`convolve: the map is ${ShowShape<X>} but the weight expects [B, H, W, ${Show<I>}]`>
): never
export function convolve(x: Any, weight: Any): Any {
  ShapeError.floats("convolve", { x, weight })
  const [, into, kernel] = weight.shape
  if (x.shape.length !== 4 || x.shape[3] !== into) {
    throw new ShapeError.ShapeError(
      `convolve: the map is ${ShapeError.show(x.shape)} but the weight expects [B, H, W, ${into}]`
    )
  }
  ShapeError.shaped("convolve", weight, ["O", into, kernel, kernel], "weight")
  if (kernel % 2 === 0) {
    throw new ShapeError.ShapeError(`convolve: the kernel has ${kernel} rows but must have an odd number of them`)
  }
  return unsafeTyped(convolution(untyped(x), untyped(weight)))
}

/** A constant matrix with a row for each result along an axis and a column for each input. */
interface Matrix {
  readonly rows: number
  readonly columns: number
  readonly data: Float32Array
}

const transposed = ({ columns, data, rows }: Matrix): Matrix => ({
  rows: columns,
  columns: rows,
  data: Float32Array.from(data, (_, at) => data[(at % rows) * columns + Math.floor(at / rows)]!)
})

/** Multiplies every matrix of `[..., columns, C]` by a constant one from the left. */
const mixed = ({ columns, data, rows }: Matrix, x: tf.Tensor): tf.Tensor =>
  FusedKernel.product(tf.tensor(data, [1, rows, columns], "float32"), x, { exact: true })

/** Applies a constant matrix to the rows of a map and another to its columns. */
const linearMap = (down: Matrix, across: Matrix, x: tf.Tensor): tf.Tensor => {
  const [batch, height, width, channels] = x.shape as [number, number, number, number]
  const tall = mixed(down, tf.reshape(x, [batch, height, width * channels]))
  const wide = mixed(across, tf.reshape(tall, [batch * down.rows, width, channels]))
  return tf.reshape(wide, [batch, down.rows, across.rows, channels])
}

const separable = (x: tf.Tensor, down: Matrix, across: Matrix): tf.Tensor =>
  tf.customGrad((input) => ({
    value: linearMap(down, across, input as tf.Tensor),
    gradFunc: (dy: tf.Tensor) => linearMap(transposed(down), transposed(across), dy)
  }))(x)

/** The weights of bilinear interpolation along an axis of `from` pixels. */
const bilinear = (from: number, to: number): Matrix => {
  const data = new Float32Array(to * from)
  for (let place = 0; place < to; place++) {
    const source = Math.max((place + 0.5) * from / to - 0.5, 0)
    const below = Math.floor(source)
    const above = Math.min(below + 1, from - 1)
    data[place * from + below]! += 1 - (source - below)
    data[place * from + above]! += source - below
  }
  return { rows: to, columns: from, data }
}

/** The weights of the means of `bins` along an axis of `from` pixels. Bins may overlap. */
const means = (from: number, bins: number): Matrix => {
  const data = new Float32Array(bins * from)
  for (let bin = 0; bin < bins; bin++) {
    const [first, end] = [Math.floor(bin * from / bins), Math.ceil((bin + 1) * from / bins)]
    data.fill(1 / (end - first), bin * from + first, bin * from + end)
  }
  return { rows: bins, columns: from, data }
}

const sized = (name: string, x: Any, sides: ReadonlyArray<number>): void => {
  checkMap(name, x)
  ShapeError.sizes(name, sides)
  const [, height, width] = x.shape
  if (height === 0 || width === 0 || sides.includes(0)) {
    throw new ShapeError.ShapeError(`${name}: a map of ${height} by ${width} cannot become ${sides.join(" by ")}`)
  }
}

/**
 * Resizes a map to explicit sides by bilinear interpolation: `[B, H, W, C]` to `[B, Y, X, C]`. Pixels are squares and their
 * centres are compared (`align_corners=False` in PyTorch). To a smaller size it does not average.
 *
 * @throws ShapeError when a side is 0.
 */
export const resize = <M extends Map, Y extends number, X extends number>(
  x: Tensor<M>,
  height: Y & Sized<Y>,
  width: X & Sized<X>
): Tensor<[M[0], Y, X, M[3]]> => {
  sized("resize", x, [height, width])
  const [, rows, columns] = untyped(x).shape as [number, number, number, number]
  if (rows === height && columns === width) return unsafeTyped(untyped(x))
  return unsafeTyped(separable(untyped(x), bilinear(rows, height), bilinear(columns, width)))
}

/**
 * Averages a map over `Y` by `X` bins: `[B, H, W, C]` to `[B, Y, X, C]`. As in PyTorch, bin `i` of `n` over `L` pixels goes from
 * `⌊i L / n⌋` to `⌈(i+1) L / n⌉`. Bins may overlap, and there may be more bins than pixels. If the bins divide the sides, it is
 * plain average pooling.
 *
 * @throws ShapeError when a side is 0.
 */
export const adaptiveAveragePool = <M extends Map, Y extends number, X extends number>(
  x: Tensor<M>,
  rows: Y & Sized<Y>,
  columns: X & Sized<X>
): Tensor<[M[0], Y, X, M[3]]> => {
  sized("adaptiveAveragePool", x, [rows, columns])
  const [, height, width] = untyped(x).shape as [number, number, number, number]
  return unsafeTyped(separable(untyped(x), means(height, rows), means(width, columns)))
}
