/**
 * The vision transformer of DINO as BEiT v2 is taught by it: the patch tokens of the last block after the final norm
 * (`vqkd_teacher/dino.py`, `modeling_vqkd.py`), and that of DINOv2, which has a layer scale, and in some files registers:
 * tokens without a position that stand for no patch.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Dino } from "patchword/nn"
 *
 * const sizes = { patch: 16, width: 768, hidden: 3072, heads: 12, depth: 12, grid: { height: 14, width: 14 } }
 * const { batch, weights } = Dino.features({ ...sizes, tokens: 197 }, { size: 8, height: 224, width: 224 } as const)
 * assert.deepStrictEqual(batch.images.shape, [8, 3, 224, 224])
 * assert.deepStrictEqual(weights.pos_embed.shape, [1, 197, 768])
 * ```
 */
import type { Grid } from "../domain/Grid.ts"
import type { Channels } from "../domain/Normalize.ts"
import * as Positions from "../domain/Positions.ts"
import * as Activation from "../shapes/Activation.ts"
import * as Dim from "../shapes/Dim.ts"
import * as Elementwise from "../shapes/Elementwise.ts"
import * as HostTensor from "../shapes/HostTensor.ts"
import type * as Linear from "../shapes/Linear.ts"
import * as Normalization from "../shapes/Normalization.ts"
import * as ShapeError from "../shapes/ShapeError.ts"
import type { Inference, SpecOf } from "../shapes/Step.ts"
import type { Tensor } from "../shapes/Tensor.ts"
import * as Tokens from "../shapes/Tokens.ts"
import * as TeacherVit from "./TeacherVit.ts"

/** Mean and deviation that its images are standardised with: those of ImageNet. */
export const CHANNELS: Channels = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] }

/** Layer norm's epsilon. */
export const EPSILON = 1e-6

/** A block under its official names. */
export interface DinoBlock<in out C extends number, in out F extends number> {
  readonly norm1: Normalization.NormParams<C>
  readonly attn: { readonly qkv: Linear.LinearParams<C, Dim.Mul<3, C>>; readonly proj: Linear.LinearParams<C, C> }
  readonly norm2: Normalization.NormParams<C>
  readonly mlp: { readonly fc1: Linear.LinearParams<C, F>; readonly fc2: Linear.LinearParams<F, C> }
  /** The layer scale of attention and MLP, where there is one. */
  readonly ls1?: { readonly gamma: Tensor<[C]> }
  readonly ls2?: { readonly gamma: Tensor<[C]> }
}

/** The network: `P`-pixel patches, `C` channels, `F` in the MLPs, `T` positions. */
export interface DinoParams<
  in out P extends number,
  in out C extends number,
  in out F extends number,
  in out T extends number
> {
  readonly cls_token: Tensor<[1, 1, C]>
  readonly pos_embed: Tensor<[1, T, C]>
  readonly register_tokens?: Tensor<[1, number, C]>
  readonly patch_embed: { readonly proj: Tokens.PatchParams<3, P, C> }
  readonly blocks: ReadonlyArray<DinoBlock<C, F>>
  readonly norm: Normalization.NormParams<C>
}

/** The sizes of a network. */
export interface Sizes<P extends number, C extends number, F extends number, H extends number, T extends number> {
  readonly patch: P
  readonly width: C
  readonly hidden: F
  readonly heads: H
  readonly depth: number
  /** The patches that its positions are for, and how many positions that makes with the class token. */
  readonly grid: Grid
  readonly tokens: T
  /** Whether its blocks have a layer scale. Default no. */
  readonly layerScale?: boolean
  /** How many registers it has. Default 0. */
  readonly registers?: number
}

/** The parameters of a network of these sizes. */
export const spec = <P extends number, C extends number, F extends number, H extends number, T extends number>(
  { depth, hidden, layerScale = false, patch, registers = 0, tokens, width }: Sizes<P, C, F, H, T>
): SpecOf<DinoParams<P, C, F, T>> => {
  const { linear, norm, tensor } = TeacherVit
  return {
    cls_token: tensor([1, 1, width]),
    pos_embed: tensor([1, tokens, width]),
    ...(registers > 0 ? { register_tokens: tensor([1, registers, width]) } : {}),
    patch_embed: { proj: { weight: tensor([width, 3, patch, patch]), bias: tensor([width]) } },
    blocks: Array.from({ length: depth }, () => ({
      norm1: norm(width),
      attn: { qkv: linear(width, Dim.mul(3, width)), proj: linear(width, width) },
      norm2: norm(width),
      mlp: { fc1: linear(width, hidden), fc2: linear(hidden, width) },
      ...(layerScale ? { ls1: { gamma: tensor([width]) }, ls2: { gamma: tensor([width]) } } : {})
    })),
    norm: norm(width)
  }
}

const blockOf = <C extends number, F extends number>(
  { attn, ls1, ls2, mlp, norm1, norm2 }: DinoBlock<C, F>
): TeacherVit.BlockParams<C, F> => ({
  ...(ls1 === undefined ? {} : { attentionScale: ls1.gamma }),
  ...(ls2 === undefined ? {} : { mlpScale: ls2.gamma }),
  attentionNorm: norm1,
  qkv: attn.qkv,
  proj: attn.proj,
  mlpNorm: norm2,
  expand: mlp.fc1,
  contract: mlp.fc2
})

/** The registers of `[1, R, C]` one by one. */
const registersOf = <C extends number>(tokens: Tensor<[1, number, C]>): ReadonlyArray<Tensor<[1, 1, C]>> => {
  const [, count] = tokens.shape
  return Array.from({ length: count }, (_, i) => {
    const only = new Float32Array(count).fill(1, i, i + 1)
    return Tokens.blend(HostTensor.make([1, count], "float32", only), tokens)
  })
}

/**
 * What blocks make of tokens with registers among them, without the registers. Blocks ask for no order of the tokens, so
 * these stand before the class token.
 */
const amongRegisters = <B extends number, N extends number, C extends number>(
  tokens: Tensor<[B, N, C]>,
  registers: ReadonlyArray<Tensor<[1, 1, C]>>,
  run: <T extends number>(tokens: Tensor<[B, T, C]>) => Tensor<[B, T, C]>
): Tensor<[B, N, C]> => {
  const [first, ...rest] = registers
  if (first === undefined) return run(tokens)
  const [batch, count] = tokens.shape
  const more = Tokens.prepend(Tokens.repeat(first, batch), tokens)
  return Tokens.patchTokens<B, N, C>(amongRegisters(more, rest, run), count)
}

/** The tokens before the blocks, with `N` patches; without registers. */
const embed = <
  B extends number,
  Y extends number,
  X extends number,
  P extends number,
  C extends number,
  F extends number,
  T extends number
>(params: DinoParams<P, C, F, T>, images: Tensor<[B, 3, Y, X]>, grid: Grid) => {
  const [batch, , height, width] = images.shape
  const patches = Tokens.patchEmbed(images, params.patch_embed.proj)
  const tokens = Tokens.prepend(Tokens.repeat(params.cls_token, batch), patches)
  const patch = params.patch_embed.proj.weight.shape[2]
  const here = { height: height / patch, width: width / patch }
  const resize = params.register_tokens === undefined ? Positions.resizeAtRunTime : Positions.resizeAntialiased
  const positions = TeacherVit.positions(params.pos_embed, grid, here, tokens.shape[1], resize)
  return { count: patches.shape[1], tokens: Elementwise.addToSamples(tokens, positions) }
}

const kindOf = <H extends number>(heads: H): TeacherVit.Kind<H> => ({
  heads,
  epsilon: EPSILON,
  activation: Activation.gelu
})

/** What a network says of images. */
export interface Outputs<B extends number, N extends number, C extends number> {
  /** The patch tokens after the final norm: what the tokenizer learns to rebuild. Not of unit length. */
  readonly target: Tensor<[B, N, C]>
  /** The class token after the final norm. */
  readonly pooled: Tensor<[B, C]>
}

/** Runs the network over standardised images `[B, 3, Y, X]`, whose sides need not be those that it was trained with. */
export const forward = <
  B extends number,
  Y extends number,
  X extends number,
  P extends number,
  C extends number,
  F extends number,
  H extends number,
  T extends number
>(
  params: DinoParams<P, C, F, T>,
  images: Tensor<[B, 3, Y, X]>,
  { grid, heads }: { readonly grid: Grid; readonly heads: H }
): Outputs<B, Dim.Patches<Y, X, P>, C> => {
  const { count, tokens } = embed(params, images, grid)
  const kind = kindOf(heads)
  const registers = params.register_tokens === undefined ? [] : registersOf(params.register_tokens)
  const last = amongRegisters(
    tokens,
    registers,
    (all) => params.blocks.reduce((x, block) => TeacherVit.block(blockOf(block), x, kind), all)
  )
  const normed = Normalization.layerNorm(last, params.norm, EPSILON)
  return { target: Tokens.patchTokens(normed, count), pooled: Tokens.single(Tokens.classToken(normed)) }
}

/**
 * What the heads of the last block look at, `[B, H, N+1, N+1]`: probabilities of each token, the class token first.
 *
 * @throws ShapeError for a network with registers, which are tokens too.
 */
export const lastAttention = <
  B extends number,
  Y extends number,
  X extends number,
  P extends number,
  C extends number,
  F extends number,
  H extends number,
  T extends number
>(
  params: DinoParams<P, C, F, T>,
  images: Tensor<[B, 3, Y, X]>,
  { grid, heads }: { readonly grid: Grid; readonly heads: H }
): Tensor<[B, H, Dim.Plus<Dim.Patches<Y, X, P>, 1>, Dim.Plus<Dim.Patches<Y, X, P>, 1>]> => {
  if (params.register_tokens !== undefined) {
    throw new ShapeError.ShapeError("attention: the network has registers, which are tokens too")
  }
  const { tokens } = embed(params, images, grid)
  const kind = kindOf(heads)
  const blocks = params.blocks.map((block) => blockOf(block))
  const before = blocks.slice(0, -1).reduce((x, block) => TeacherVit.block(block, x, kind), tokens)
  return TeacherVit.attention(blocks.at(-1)!, before, kind)
}

/** All that a network says of standardised images of one size. */
export const features = <
  B extends number,
  Y extends number,
  X extends number,
  P extends number,
  C extends number,
  F extends number,
  H extends number,
  T extends number
>(
  sizes: Sizes<P, C, F, H, T>,
  batch: { readonly size: B; readonly height: Y; readonly width: X }
): Inference<
  DinoParams<P, C, F, T>,
  { readonly images: Tensor<[B, 3, Y, X]> },
  Outputs<B, Dim.Patches<Y, X, P>, C>
> => ({
  name: "dino",
  weights: spec(sizes),
  batch: { images: { shape: [batch.size, 3, batch.height, batch.width], dtype: "float32" } },
  run: (weights, { images }) => forward(weights, images, sizes)
})

/** The last block's attention over standardised images of one size. */
export const attention = <
  B extends number,
  Y extends number,
  X extends number,
  P extends number,
  C extends number,
  F extends number,
  H extends number,
  T extends number
>(
  sizes: Sizes<P, C, F, H, T>,
  batch: { readonly size: B; readonly height: Y; readonly width: X }
): Inference<
  DinoParams<P, C, F, T>,
  { readonly images: Tensor<[B, 3, Y, X]> },
  {
    readonly attention: Tensor<
      [B, H, Dim.Plus<Dim.Patches<Y, X, P>, 1>, Dim.Plus<Dim.Patches<Y, X, P>, 1>]
    >
  }
> => ({
  name: "dino attention",
  weights: spec(sizes),
  batch: { images: { shape: [batch.size, 3, batch.height, batch.width], dtype: "float32" } },
  run: (weights, { images }) => ({ attention: lastAttention(weights, images, sizes) })
})
