/**
 * The vision transformers of DINO and DINOv2 as teachers of BEiT v2. The features are the patch tokens of the last block after
 * the final norm (`vqkd_teacher/dino.py`, `modeling_vqkd.py`). DINOv2 has a layer scale and, in some files, registers:
 * additional tokens that have no position and stand for no patch.
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
import * as AbsolutePosition from "../../domain/method/AbsolutePosition.ts"
import type { Channels } from "../../domain/pixels/Normalize.ts"
import { gelu } from "../../shapes/Activation.ts"
import * as Dim from "../../shapes/Dim.ts"
import { addToSamples } from "../../shapes/Elementwise.ts"
import * as HostTensor from "../../shapes/HostTensor.ts"
import type { LinearParams } from "../../shapes/Linear.ts"
import { layerNorm, type NormParams } from "../../shapes/Normalization.ts"
import * as ShapeError from "../../shapes/ShapeError.ts"
import type { Inference, SpecOf } from "../../shapes/Step.ts"
import type { Tensor } from "../../shapes/Tensor.ts"
import {
  blend,
  classToken,
  patchEmbed,
  type PatchParams,
  patchTokens,
  prepend,
  repeat,
  squeeze
} from "../../shapes/Tokens.ts"
import * as TeacherVit from "./TeacherVit.ts"

/** The mean and standard deviation for standardising its images: those of ImageNet. */
export const CHANNELS: Channels = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] }

/** The epsilon of layer norms. */
export const EPSILON = 1e-6

/** The sizes of a network. */
export interface Sizes extends TeacherVit.Sizes {
  /** True if blocks have a layer scale. False by default. */
  readonly layerScale?: boolean
  /** The number of registers. 0 by default. */
  readonly registers?: number
}

/** Block parameters under the official names. */
export interface DinoBlock<in out N extends Sizes> {
  readonly norm1: NormParams<N["width"]>
  readonly attn: {
    readonly qkv: LinearParams<N["width"], Dim.Mul<3, N["width"]>>
    readonly proj: LinearParams<N["width"], N["width"]>
  }
  readonly norm2: NormParams<N["width"]>
  readonly mlp: {
    readonly fc1: LinearParams<N["width"], N["hidden"]>
    readonly fc2: LinearParams<N["hidden"], N["width"]>
  }
  /** The layer scales of attention and MLP, if the network has them. */
  readonly ls1?: { readonly gamma: Tensor<[N["width"]]> }
  readonly ls2?: { readonly gamma: Tensor<[N["width"]]> }
}

/** Network parameters under the official names. */
export interface DinoParams<in out N extends Sizes> {
  readonly cls_token: Tensor<[1, 1, N["width"]]>
  readonly pos_embed: Tensor<[1, N["tokens"], N["width"]]>
  readonly register_tokens?: Tensor<[1, number, N["width"]]>
  readonly patch_embed: { readonly proj: PatchParams<3, N["patch"], N["width"]> }
  readonly blocks: ReadonlyArray<DinoBlock<N>>
  readonly norm: NormParams<N["width"]>
}

/** Specifies the parameters of a network. */
export const spec = <const N extends Sizes>(sizes: Readonly<N>): SpecOf<DinoParams<N>> => {
  const { depth, hidden, layerScale = false, patch, registers = 0, tokens, width } = sizes
  const { linearSpec, normSpec, tensorSpec } = TeacherVit
  return {
    cls_token: tensorSpec([1, 1, width]),
    pos_embed: tensorSpec([1, tokens, width]),
    ...(registers > 0 ? { register_tokens: tensorSpec([1, registers, width]) } : {}),
    patch_embed: { proj: { weight: tensorSpec([width, 3, patch, patch]), bias: tensorSpec([width]) } },
    blocks: Array.from({ length: depth }, () => ({
      norm1: normSpec(width),
      attn: { qkv: linearSpec(width, Dim.mul(3, width)), proj: linearSpec(width, width) },
      norm2: normSpec(width),
      mlp: { fc1: linearSpec(width, hidden), fc2: linearSpec(hidden, width) },
      ...(layerScale ? { ls1: { gamma: tensorSpec([width]) }, ls2: { gamma: tensorSpec([width]) } } : {})
    })),
    norm: normSpec(width)
  }
}

const blockOf = <N extends Sizes>(
  { attn, ls1, ls2, mlp, norm1, norm2 }: DinoBlock<N>
): TeacherVit.BlockParams<N> => ({
  ...(ls1 === undefined ? {} : { attentionScale: ls1.gamma }),
  ...(ls2 === undefined ? {} : { mlpScale: ls2.gamma }),
  attentionNorm: norm1,
  qkv: attn.qkv,
  proj: attn.proj,
  mlpNorm: norm2,
  expand: mlp.fc1,
  contract: mlp.fc2
})

/** Returns the registers of `[1, R, C]` one by one. */
const registersOf = <C extends number>(tokens: Tensor<[1, number, C]>): ReadonlyArray<Tensor<[1, 1, C]>> => {
  const [, count] = tokens.shape
  return Array.from({ length: count }, (_, i) => {
    const only = new Float32Array(count).fill(1, i, i + 1)
    return blend(HostTensor.make([1, count], "float32", only), tokens)
  })
}

/**
 * Runs blocks on tokens with registers and removes the registers afterwards. The order of tokens does not matter to blocks, so
 * the registers are put before the class token.
 */
const amongRegisters = <B extends number, N extends number, C extends number>(
  tokens: Tensor<[B, N, C]>,
  registers: ReadonlyArray<Tensor<[1, 1, C]>>,
  run: <T extends number>(tokens: Tensor<[B, T, C]>) => Tensor<[B, T, C]>
): Tensor<[B, N, C]> => {
  const [first, ...rest] = registers
  if (first === undefined) return run(tokens)
  const [batch, count] = tokens.shape
  const more = prepend(repeat(first, batch), tokens)
  return patchTokens<B, N, C>(amongRegisters(more, rest, run), count)
}

/** Computes the tokens before the blocks, without registers. */
const embed = <I extends TeacherVit.Batch, N extends Sizes>(
  params: DinoParams<N>,
  images: TeacherVit.Images<I>,
  { grid }: Pick<Sizes, "grid">
): Tensor<[I["size"], Dim.Plus<TeacherVit.Patches<I, N>, 1>, N["width"]]> => {
  const [batch, , height, width] = images.shape
  const patches = patchEmbed(images, params.patch_embed.proj)
  const tokens = prepend(repeat(params.cls_token, batch), patches)
  const patch = params.patch_embed.proj.weight.shape[2]
  const here = { height: height / patch, width: width / patch }
  const resize = params.register_tokens === undefined
    ? AbsolutePosition.resizeAtRunTime
    : AbsolutePosition.resizeAntialiased
  return addToSamples(tokens, TeacherVit.positions(params.pos_embed, grid, here, tokens.shape[1], resize))
}

const kindOf = <N extends Sizes>({ epsilon = EPSILON, heads }: Readonly<N>): TeacherVit.Kind<N> => ({
  heads,
  epsilon,
  activation: gelu
})

/** The outputs of a network. */
export interface Outputs<I extends TeacherVit.Batch, N extends Sizes> {
  /** The patch tokens after the final norm, which are the tokenizer's reconstruction target. They are not of unit length. */
  readonly target: Tensor<[I["size"], TeacherVit.Patches<I, N>, N["width"]]>
  /** The class token after the final norm. */
  readonly pooled: Tensor<[I["size"], N["width"]]>
}

/** Makes the inference of all outputs for standardised images. The image size may differ from that of training. */
export const features = <const I extends TeacherVit.Batch, const N extends Sizes>(
  sizes: Readonly<N>,
  batch: Readonly<I>
): Inference<DinoParams<N>, { readonly images: TeacherVit.Images<I> }, Outputs<I, N>> => ({
  name: "dino",
  weights: spec(sizes),
  batch: TeacherVit.batchSpec(batch),
  run: (params, { images }) => {
    const kind = kindOf(sizes)
    const last = amongRegisters(
      embed(params, images, sizes),
      params.register_tokens === undefined ? [] : registersOf(params.register_tokens),
      (tokens) => params.blocks.reduce((x, block) => TeacherVit.block(blockOf(block), x, kind), tokens)
    )
    const normed = layerNorm(last, params.norm, kind.epsilon)
    return {
      target: patchTokens(normed, TeacherVit.patches(sizes, batch)),
      pooled: squeeze(classToken(normed))
    }
  }
})

/**
 * Makes the inference of the last block's attention, `[B, H, N+1, N+1]`: each token's attention weights, the class token first.
 *
 * @throws ShapeError for a network with registers, which are tokens too.
 */
export const attention = <const I extends TeacherVit.Batch, const N extends Sizes>(
  sizes: Readonly<N>,
  batch: Readonly<I>
): Inference<DinoParams<N>, { readonly images: TeacherVit.Images<I> }, { readonly attention: Attention<I, N> }> => ({
  name: "dino attention",
  weights: spec(sizes),
  batch: TeacherVit.batchSpec(batch),
  run: (params, { images }) => {
    if (params.register_tokens !== undefined) {
      throw new ShapeError.ShapeError("attention: the network has registers, which are tokens too")
    }
    const kind = kindOf(sizes)
    const blocks = params.blocks.map((block) => blockOf(block))
    const tokens = embed(params, images, sizes)
    const before = blocks.slice(0, -1).reduce((x, block) => TeacherVit.block(block, x, kind), tokens)
    return { attention: TeacherVit.attentionProbabilities(blocks.at(-1)!, before, kind) }
  }
})

type Attention<I extends TeacherVit.Batch, N extends Sizes> = Tensor<
  [I["size"], N["heads"], Dim.Plus<TeacherVit.Patches<I, N>, 1>, Dim.Plus<TeacherVit.Patches<I, N>, 1>]
>
