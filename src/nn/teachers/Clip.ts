/**
 * The image encoder of OpenAI's CLIP as a teacher of BEiT v2. Its features are the patch tokens of the last block after the
 * final norm and the projection. CLIP itself projects only the class token (`vqkd_teacher/clip/model.py`, `modeling_vqkd.py`).
 *
 * Layer norm's epsilon is 1e-5. GELU is the quick approximation unless an option says otherwise. The convolution has no bias.
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
import type { Channels } from "../../domain/pixels/Normalize.ts"
import { gelu, quickGelu } from "../../shapes/Activation.ts"
import * as Dim from "../../shapes/Dim.ts"
import { addToSamples } from "../../shapes/Elementwise.ts"
import { type LinearParams, matMul } from "../../shapes/Linear.ts"
import { layerNorm, type NormParams } from "../../shapes/Normalization.ts"
import type { Inference, SpecOf } from "../../shapes/Step.ts"
import type { Tensor } from "../../shapes/Tensor.ts"
import {
  asSample,
  asToken,
  batched,
  classToken,
  patchProject,
  patchTokens,
  prepend,
  repeat,
  rows,
  squeeze
} from "../../shapes/Tokens.ts"
import * as TeacherVit from "./TeacherVit.ts"

/** The mean and standard deviation for standardising its images. */
export const CHANNELS: Channels = {
  mean: [0.48145466, 0.4578275, 0.40821073],
  std: [0.26862954, 0.26130258, 0.27577711]
}

/** The epsilon of layer norms. */
export const EPSILON = 1e-5

/** The activation of the MLPs. OpenAI's encoders use a quick approximation of GELU, most of OpenCLIP's the exact one. */
export type Mlp = "quick_gelu" | "gelu"

const activations = { quick_gelu: quickGelu, gelu }

/** The sizes of an encoder. */
export interface Sizes extends TeacherVit.Sizes {
  /** The number of channels of the projected features. */
  get out(): number
  set out(_: never)
  /** Default `quick_gelu`. */
  readonly activation?: Mlp
}

/** Block parameters under the official names. */
export interface ClipBlock<in out N extends Sizes> {
  readonly attn: {
    readonly in_proj_weight: Tensor<[Dim.Mul<3, N["width"]>, N["width"]]>
    readonly in_proj_bias: Tensor<[Dim.Mul<3, N["width"]>]>
    readonly out_proj: LinearParams<N["width"], N["width"]>
  }
  readonly ln_1: NormParams<N["width"]>
  readonly mlp: {
    readonly c_fc: LinearParams<N["width"], N["hidden"]>
    readonly c_proj: LinearParams<N["hidden"], N["width"]>
  }
  readonly ln_2: NormParams<N["width"]>
}

/** Encoder parameters under the official names. */
export interface ClipParams<in out N extends Sizes> {
  readonly visual: {
    readonly class_embedding: Tensor<[N["width"]]>
    readonly positional_embedding: Tensor<[N["tokens"], N["width"]]>
    readonly proj: Tensor<[N["width"], N["out"]]>
    readonly conv1: { readonly weight: Tensor<[N["width"], 3, N["patch"], N["patch"]]> }
    readonly ln_pre: NormParams<N["width"]>
    readonly transformer: { readonly resblocks: ReadonlyArray<ClipBlock<N>> }
    readonly ln_post: NormParams<N["width"]>
  }
}

/** Specifies the parameters of an encoder. */
export const spec = <const N extends Sizes>(sizes: Readonly<N>): SpecOf<ClipParams<N>> => {
  const { depth, hidden, out, patch, tokens, width } = sizes
  const { linearSpec, normSpec, tensorSpec } = TeacherVit
  return {
    visual: {
      class_embedding: tensorSpec([width]),
      positional_embedding: tensorSpec([tokens, width]),
      proj: tensorSpec([width, out]),
      conv1: { weight: tensorSpec([width, 3, patch, patch]) },
      ln_pre: normSpec(width),
      transformer: {
        resblocks: Array.from({ length: depth }, () => ({
          attn: {
            in_proj_weight: tensorSpec([Dim.mul(3, width), width]),
            in_proj_bias: tensorSpec([Dim.mul(3, width)]),
            out_proj: linearSpec(width, width)
          },
          ln_1: normSpec(width),
          mlp: { c_fc: linearSpec(width, hidden), c_proj: linearSpec(hidden, width) },
          ln_2: normSpec(width)
        }))
      },
      ln_post: normSpec(width)
    }
  }
}

const blockOf = <N extends Sizes>({ attn, ln_1, ln_2, mlp }: ClipBlock<N>): TeacherVit.BlockParams<N> => ({
  attentionNorm: ln_1,
  qkv: { weight: attn.in_proj_weight, bias: attn.in_proj_bias },
  proj: attn.out_proj,
  mlpNorm: ln_2,
  expand: mlp.c_fc,
  contract: mlp.c_proj
})

/** The outputs of an encoder. */
export interface Outputs<I extends TeacherVit.Batch, N extends Sizes> {
  /** All tokens of the last block, class token first, before the final norm. */
  readonly last: Tensor<[I["size"], Dim.Plus<TeacherVit.Patches<I, N>, 1>, N["width"]]>
  /** The patch tokens after the final norm. */
  readonly patches: Tensor<[I["size"], TeacherVit.Patches<I, N>, N["width"]]>
  /** The projected patch tokens, which are the tokenizer's reconstruction target. They are not of unit length. */
  readonly target: Tensor<[I["size"], TeacherVit.Patches<I, N>, N["out"]]>
  /** The class token after norm and projection: CLIP's own image embedding. */
  readonly pooled: Tensor<[I["size"], N["out"]]>
}

/** Makes the inference of all outputs for standardised images. The image size may differ from that of training. */
export const features = <const I extends TeacherVit.Batch, const N extends Sizes>(
  sizes: Readonly<N>,
  batch: Readonly<I>
): Inference<ClipParams<N>, { readonly images: TeacherVit.Images<I> }, Outputs<I, N>> => ({
  name: "clip",
  weights: spec(sizes),
  batch: TeacherVit.batchSpec(batch),
  run: ({ visual }, { images }) => {
    const { activation = "quick_gelu", epsilon = EPSILON, grid, heads, patch } = sizes
    const { height, size, width } = batch
    const patches = patchProject(images, visual.conv1.weight)
    const [, count] = patches.shape
    const tokens = prepend(repeat(asToken(visual.class_embedding), size), patches)
    const here = { height: height / patch, width: width / patch }
    const table = asSample(visual.positional_embedding)
    const positions = TeacherVit.positions(table, grid, here, tokens.shape[1])
    const kind = { heads, epsilon, activation: activations[activation] }
    const last = visual.transformer.resblocks.reduce(
      (x, params) => TeacherVit.block(blockOf(params), x, kind),
      layerNorm(addToSamples(tokens, positions), visual.ln_pre, epsilon)
    )
    const normed = layerNorm(last, visual.ln_post, epsilon)
    const normedPatches = patchTokens(normed, count)
    return {
      last,
      patches: normedPatches,
      target: batched(matMul(rows(normedPatches), visual.proj), size, count),
      pooled: matMul(squeeze(classToken(normed)), visual.proj)
    }
  }
})
