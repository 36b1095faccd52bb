/**
 * The common parts of teacher networks: pre-norm blocks whose queries, keys and values all have a bias, and absolute positions
 * that are resized at run time for images of another size.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Grid } from "patchword/domain"
 * import { TeacherVit } from "patchword/nn"
 * import { Tensor } from "patchword/shapes"
 *
 * const table = Tensor.zeros([1, 5, 8])
 * const larger = TeacherVit.positions(table, Grid.square(2), Grid.square(3), 10)
 * assert.deepStrictEqual(larger.shape, [1, 10, 8])
 * ```
 */
import * as AbsolutePosition from "../../domain/method/AbsolutePosition.ts"
import type { Grid } from "../../domain/values/Grid.ts"
import { attention, attentionWeights, mergeHeads, splitHeads } from "../../shapes/Attention.ts"
import * as Dim from "../../shapes/Dim.ts"
import { add, scaleChannels } from "../../shapes/Elementwise.ts"
import * as HostTensor from "../../shapes/HostTensor.ts"
import { linear, type LinearParams } from "../../shapes/Linear.ts"
import { layerNorm, type NormParams } from "../../shapes/Normalization.ts"
import type { Shape } from "../../shapes/Shape.ts"
import type { SpecOf, TensorSpec } from "../../shapes/Step.ts"
import type { Tensor } from "../../shapes/Tensor.ts"
import { blend } from "../../shapes/Tokens.ts"

/** The sizes of a teacher. Its number of positions, `tokens`, may differ from that of the images. */
export interface Sizes {
  get patch(): number
  set patch(_: never)
  get width(): number
  set width(_: never)
  get hidden(): number
  set hidden(_: never)
  get heads(): number
  set heads(_: never)
  get tokens(): number
  set tokens(_: never)
  readonly depth: number
  /** The epsilon of layer norms. By default that of the official code. */
  readonly epsilon?: number
  /** The grid of patches that its positions are for. With the class token, they are `tokens`. */
  readonly grid: Grid
}

/** The batch size and the sides of the images. */
export interface Batch {
  get size(): number
  set size(_: never)
  get height(): number
  set height(_: never)
  get width(): number
  set width(_: never)
}

/** Standardised images. */
export type Images<I extends Batch> = Tensor<[I["size"], 3, I["height"], I["width"]]>

/** The number of patches of an image. */
export type Patches<I extends Batch, N extends Sizes> = Dim.Patches<I["height"], I["width"], N["patch"]>

/** Returns the number of patches of an image. */
export const patches = <I extends Batch, N extends Sizes>(
  sizes: Readonly<N>,
  images: Readonly<I>
): Patches<I, N> => Dim.mul(Dim.div(images.height, sizes.patch), Dim.div(images.width, sizes.patch))

/** Specifies the images of a batch. */
export const batchSpec = <I extends Batch>(
  images: Readonly<I>
): SpecOf<{ readonly images: Images<I> }> => ({
  images: { shape: [images.size, 3, images.height, images.width], dtype: "float32" }
})

/** The parameters of a block. The teachers' official names are translated into these. */
export interface BlockParams<in out N extends Sizes> {
  readonly attentionNorm: NormParams<N["width"]>
  readonly qkv: LinearParams<N["width"], Dim.Mul<3, N["width"]>>
  readonly proj: LinearParams<N["width"], N["width"]>
  /** The layer scales of attention and MLP: factors of the channels. */
  readonly attentionScale?: Tensor<[N["width"]]>
  readonly mlpScale?: Tensor<[N["width"]]>
  readonly mlpNorm: NormParams<N["width"]>
  readonly expand: LinearParams<N["width"], N["hidden"]>
  readonly contract: LinearParams<N["hidden"], N["width"]>
}

/** Specifies a parameter. */
export const tensorSpec = <const S extends Shape>(
  shape: S
): TensorSpec<{ -readonly [K in keyof S]: S[K] }, "float32"> => ({
  shape: shape as { -readonly [K in keyof S]: S[K] },
  dtype: "float32"
})

/** Specifies a linear layer. */
export const linearSpec = <In extends number, Out extends number>(width: In, out: Out) => ({
  weight: tensorSpec([out, width]),
  bias: tensorSpec([out])
})

/** Specifies a layer norm. */
export const normSpec = <C extends number>(width: C) => ({ weight: tensorSpec([width]), bias: tensorSpec([width]) })

/** The differences between the blocks of different teachers. */
export interface Kind<N extends Sizes> {
  readonly heads: N["heads"]
  readonly epsilon: number
  /** The activation between the two layers of the MLP. */
  readonly activation: <S extends ReadonlyArray<number>>(x: Tensor<S>) => Tensor<S>
}

const project = <B extends number, T extends number, N extends Sizes>(
  { attentionNorm, qkv }: BlockParams<N>,
  x: Tensor<[B, T, NoInfer<N["width"]>]>,
  { epsilon, heads }: Kind<N>
) => splitHeads(linear(layerNorm(x, attentionNorm, epsilon), qkv), x.shape[2], heads)

const scaled = <B extends number, T extends number, C extends number>(
  x: Tensor<[B, T, C]>,
  factors: Tensor<[C]> | undefined
): Tensor<[B, T, C]> => factors === undefined ? x : scaleChannels<[B, T], C>(x, factors)

/** Applies a block, `[B, T, C]` to `[B, T, C]`. */
export const block = <B extends number, T extends number, N extends Sizes>(
  params: BlockParams<N>,
  x: Tensor<[B, T, NoInfer<N["width"]>]>,
  kind: Kind<N>
): Tensor<[B, T, N["width"]]> => {
  const { attentionScale, contract, expand, mlpNorm, mlpScale, proj } = params
  const { k, q, v } = project(params, x, kind)
  const heads = mergeHeads(attention(q, k, v), x.shape[2])
  const attended = add(x, scaled(linear(heads, proj), attentionScale))
  const hidden = kind.activation(linear(layerNorm(attended, mlpNorm, kind.epsilon), expand))
  return add(attended, scaled(linear(hidden, contract), mlpScale))
}

/** Computes the attention weights of a block, `[B, H, T, T]`, for an input `[B, T, C]`. */
export const attentionProbabilities = <B extends number, T extends number, N extends Sizes>(
  params: BlockParams<N>,
  x: Tensor<[B, T, NoInfer<N["width"]>]>,
  kind: Kind<N>
): Tensor<[B, N["heads"], T, T]> => {
  const { k, q } = project(params, x, kind)
  return attentionWeights(q, k)
}

/**
 * Resizes positions `[1, T, C]` of the grid `from`, class token first, to the grid `to` of `N - 1` patches: `[1, N, C]`. It is
 * bicubic, as in the official code at run time. The default is `AbsolutePosition.resizeAtRunTime`.
 */
export const positions = <T extends number, C extends number, N extends number>(
  table: Tensor<[1, T, C]>,
  from: Grid,
  to: Grid,
  tokens: N,
  resize: typeof AbsolutePosition.resize = AbsolutePosition.resizeAtRunTime
): Tensor<[1, N, C]> => {
  const known = table.shape[1]
  // Resizing is linear, so the resized unit vectors are the weights of the rows.
  const unit = Float32Array.from({ length: known * known }, (_, i) => (i % (known + 1) === 0 ? 1 : 0))
  const weights = resize(unit, known, from, to)
  return blend(HostTensor.make([tokens, known], "float32", weights), table)
}
