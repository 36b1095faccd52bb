/**
 * The image tower of OpenAI's CLIP as BEiT v2 is taught by it: the patch tokens of the last block through the final norm
 * and the projection, which CLIP itself only does with the class token (`vqkd_teacher/clip/model.py`, `modeling_vqkd.py`).
 *
 * Layer norm's epsilon is 1e-5, GELU its quick approximation unless told otherwise, and the convolution has no bias.
 * Parameters have the official names of a whole CLIP, `visual.…`.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Clip } from "patchword/nn"
 *
 * const sizes = { patch: 16, width: 768, hidden: 3072, heads: 12, depth: 12, out: 512, grid: { height: 14, width: 14 } }
 * const { batch, weights } = Clip.features({ ...sizes, tokens: 197 }, { size: 8, height: 224, width: 224 } as const)
 * assert.deepStrictEqual(batch.images.shape, [8, 3, 224, 224])
 * assert.deepStrictEqual(weights.visual.proj.shape, [768, 512])
 * ```
 */
import type { Grid } from "../domain/Grid.ts"
import type { Channels } from "../domain/Normalize.ts"
import * as Activation from "../shapes/Activation.ts"
import * as Dim from "../shapes/Dim.ts"
import * as Elementwise from "../shapes/Elementwise.ts"
import * as Linear from "../shapes/Linear.ts"
import * as Normalization from "../shapes/Normalization.ts"
import type { Inference, SpecOf } from "../shapes/Step.ts"
import type { Tensor } from "../shapes/Tensor.ts"
import * as Tokens from "../shapes/Tokens.ts"
import * as TeacherVit from "./TeacherVit.ts"

/** Mean and deviation that its images are standardised with. */
export const CHANNELS: Channels = {
  mean: [0.48145466, 0.4578275, 0.40821073],
  std: [0.26862954, 0.26130258, 0.27577711]
}

/** Layer norm's epsilon. */
export const EPSILON = 1e-5

/** A block under its official names. */
export interface ClipBlock<in out C extends number, in out F extends number> {
  readonly attn: {
    readonly in_proj_weight: Tensor<[Dim.Mul<3, C>, C]>
    readonly in_proj_bias: Tensor<[Dim.Mul<3, C>]>
    readonly out_proj: Linear.LinearParams<C, C>
  }
  readonly ln_1: Normalization.NormParams<C>
  readonly mlp: { readonly c_fc: Linear.LinearParams<C, F>; readonly c_proj: Linear.LinearParams<F, C> }
  readonly ln_2: Normalization.NormParams<C>
}

/** The tower: `P`-pixel patches, `C` channels, `F` in the MLPs, `T` positions, `O` numbers per patch in the end. */
export interface ClipParams<
  in out P extends number,
  in out C extends number,
  in out F extends number,
  in out T extends number,
  in out O extends number
> {
  readonly visual: {
    readonly class_embedding: Tensor<[C]>
    readonly positional_embedding: Tensor<[T, C]>
    readonly proj: Tensor<[C, O]>
    readonly conv1: { readonly weight: Tensor<[C, 3, P, P]> }
    readonly ln_pre: Normalization.NormParams<C>
    readonly transformer: { readonly resblocks: ReadonlyArray<ClipBlock<C, F>> }
    readonly ln_post: Normalization.NormParams<C>
  }
}

/** What the MLPs go through: OpenAI's towers a quick approximation of GELU, most of OpenCLIP's the exact one. */
export type Mlp = "quick_gelu" | "gelu"

const activations = { quick_gelu: Activation.quickGelu, gelu: Activation.gelu }

/** The sizes of a tower. */
export interface Sizes<
  P extends number,
  C extends number,
  F extends number,
  H extends number,
  T extends number,
  O extends number
> {
  readonly patch: P
  readonly width: C
  readonly hidden: F
  readonly heads: H
  readonly depth: number
  readonly out: O
  /** The patches that its positions are for, and how many positions that makes with the class token. */
  readonly grid: Grid
  readonly tokens: T
  /** Default `quick_gelu`. */
  readonly activation?: Mlp
}

/** The parameters of a tower of these sizes. */
export const spec = <
  P extends number,
  C extends number,
  F extends number,
  H extends number,
  T extends number,
  O extends number
>({ depth, hidden, out, patch, tokens, width }: Sizes<P, C, F, H, T, O>): SpecOf<ClipParams<P, C, F, T, O>> => {
  const { linear, norm, tensor } = TeacherVit
  return {
    visual: {
      class_embedding: tensor([width]),
      positional_embedding: tensor([tokens, width]),
      proj: tensor([width, out]),
      conv1: { weight: tensor([width, 3, patch, patch]) },
      ln_pre: norm(width),
      transformer: {
        resblocks: Array.from({ length: depth }, () => ({
          attn: {
            in_proj_weight: tensor([Dim.mul(3, width), width]),
            in_proj_bias: tensor([Dim.mul(3, width)]),
            out_proj: linear(width, width)
          },
          ln_1: norm(width),
          mlp: { c_fc: linear(width, hidden), c_proj: linear(hidden, width) },
          ln_2: norm(width)
        }))
      },
      ln_post: norm(width)
    }
  }
}

const blockOf = <C extends number, F extends number>(
  { attn, ln_1, ln_2, mlp }: ClipBlock<C, F>
): TeacherVit.BlockParams<C, F> => ({
  attentionNorm: ln_1,
  qkv: { weight: attn.in_proj_weight, bias: attn.in_proj_bias },
  proj: attn.out_proj,
  mlpNorm: ln_2,
  expand: mlp.c_fc,
  contract: mlp.c_proj
})

/** What a tower says of images. */
export interface Outputs<B extends number, N extends number, C extends number, O extends number> {
  /** All tokens of the last block, class token first, before the final norm. */
  readonly last: Tensor<[B, Dim.Plus<N, 1>, C]>
  /** The patch tokens after the final norm. */
  readonly patches: Tensor<[B, N, C]>
  /** These, projected: what the tokenizer learns to rebuild. Not of unit length. */
  readonly target: Tensor<[B, N, O]>
  /** The class token, normed and projected: CLIP's own embedding of an image. */
  readonly pooled: Tensor<[B, O]>
}

/** Runs the tower over standardised images `[B, 3, Y, X]`, whose sides need not be those that it was trained with. */
export const forward = <
  B extends number,
  Y extends number,
  X extends number,
  P extends number,
  C extends number,
  F extends number,
  H extends number,
  T extends number,
  O extends number
>(
  { visual }: ClipParams<P, C, F, T, O>,
  images: Tensor<[B, 3, Y, X]>,
  { activation = "quick_gelu", grid, heads }: { readonly grid: Grid; readonly heads: H; readonly activation?: Mlp }
): Outputs<B, Dim.Patches<Y, X, P>, C, O> => {
  const [batch, , height, width] = images.shape
  const weight = visual.conv1.weight
  const patches = Tokens.patchProject(images, weight)
  const count = patches.shape[1]
  const tokens = Tokens.prepend(Tokens.repeat(Tokens.lone(visual.class_embedding), batch), patches)
  const patch = weight.shape[2]
  const positions = TeacherVit.positions(
    Tokens.sample(visual.positional_embedding),
    grid,
    { height: height / patch, width: width / patch },
    tokens.shape[1]
  )
  const kind = { heads, epsilon: EPSILON, activation: activations[activation] }
  const last = visual.transformer.resblocks.reduce(
    (x, params) => TeacherVit.block(blockOf(params), x, kind),
    Normalization.layerNorm(Elementwise.addToSamples(tokens, positions), visual.ln_pre, EPSILON)
  )
  const normed = Normalization.layerNorm(last, visual.ln_post, EPSILON)
  const normedPatches = Tokens.patchTokens(normed, count)
  return {
    last,
    patches: normedPatches,
    target: Tokens.batched(Linear.matMul(Tokens.rows(normedPatches), visual.proj), batch, count),
    pooled: Linear.matMul(Tokens.single(Tokens.classToken(normed)), visual.proj)
  }
}

/** All that a tower says of standardised images of one size. */
export const features = <
  B extends number,
  Y extends number,
  X extends number,
  P extends number,
  C extends number,
  F extends number,
  H extends number,
  T extends number,
  O extends number
>(
  sizes: Sizes<P, C, F, H, T, O>,
  batch: { readonly size: B; readonly height: Y; readonly width: X }
): Inference<
  ClipParams<P, C, F, T, O>,
  { readonly images: Tensor<[B, 3, Y, X]> },
  Outputs<B, Dim.Patches<Y, X, P>, C, O>
> => ({
  name: "clip",
  weights: spec(sizes),
  batch: { images: { shape: [batch.size, 3, batch.height, batch.width], dtype: "float32" } },
  run: (weights, { images }) => forward(weights, images, sizes)
})
