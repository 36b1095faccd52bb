/**
 * Training the tokenizer, step by step, and using it.
 *
 * ```ts
 * import assert from "node:assert"
 * import { TokenizerStep, Vit } from "patchword/nn"
 *
 * const dims = Vit.dims({ image: 224, patch: 16, width: 768, heads: 12 })
 * const network = { ...dims, hidden: 3072, depth: 12, decoderDepth: 3, qkvBias: true, teacherWidth: 512 } as const
 * const { batch, weights } = TokenizerStep.encode({ ...network, codes: 8192, codeWidth: 32 }, 64)
 * assert.deepStrictEqual(batch.images.shape, [64, 3, 224, 224])
 * assert.deepStrictEqual(weights.codebook.shape, [8192, 32])
 * ```
 */
import * as Dim from "../../shapes/Dim.ts"
import { add, select } from "../../shapes/Elementwise.ts"
import { valueAndGradient } from "../../shapes/Gradient.ts"
import { layerNorm } from "../../shapes/Normalization.ts"
import { meanTokens } from "../../shapes/Reduction.ts"
import type { Inference, TrainStep } from "../../shapes/Step.ts"
import type { Tensor } from "../../shapes/Tensor.ts"
import { classToken, patchEmbed, patchTokens, squeeze } from "../../shapes/Tokens.ts"
import * as Block from "../blocks/Block.ts"
import * as PatchGrid from "../blocks/PatchGrid.ts"
import type * as Pooling from "../blocks/Pooling.ts"
import * as Vit from "../blocks/Vit.ts"
import type * as VitParams from "../blocks/VitParams.ts"
import * as AdamW from "../optimizer/AdamW.ts"
import * as Quantizer from "./Quantizer.ts"
import * as Vqkd from "./Vqkd.ts"

/** The state of training: parameters, moments, and the codebook, which the optimizer does not touch. */
export interface State<N extends Vqkd.Sizes> extends AdamW.State<Vqkd.VqkdParams<N>> {
  readonly quantize: Quantizer.QuantizerState<N["codes"], N["codeWidth"]>
}

/** What a step is given. */
export interface Batch<B extends number, N extends Vqkd.Sizes> {
  /** From 0 to 1. */
  readonly images: PatchGrid.Images<B, N>
  /** The teacher's features. */
  readonly targets: Tensor<[B, PatchGrid.Patches<N>, N["teacherWidth"]]>
  readonly hyper: AdamW.Hyper
  /** For each code the row of `[B·N]` vectors that would revive it; absent without revival. */
  readonly revive?: Tensor<[N["codes"]], "int32">
}

/** What a step measures. */
export interface Metrics<N extends Vqkd.Sizes> {
  readonly loss: Tensor<[]>
  readonly reconstruction: Tensor<[]>
  readonly commitment: Tensor<[]>
  readonly gradientNorm: Tensor<[]>
  /** How many patches of the batch got each code. */
  readonly counts: Tensor<[N["codes"]]>
}

/** How the tokenizer is trained. */
export interface Options {
  readonly decay: number
  readonly revival: { readonly threshold: number } | null
  readonly adamw: AdamW.Options
}

/** One step of VQ-KD on batches of `B` images. */
export const step = <B extends number, const N extends Vqkd.Sizes>(
  sizes: Readonly<N>,
  batchSize: B,
  { adamw, decay, revival }: Options
): TrainStep<State<N>, Batch<B, N>, Metrics<N>> => {
  const { codeWidth, codes, heads, teacherWidth } = sizes
  const patches = PatchGrid.patches(sizes)
  const vectors = Dim.mul(batchSize, patches)
  return {
    name: "tokenizer",
    state: {
      ...AdamW.stateSpec(Vqkd.spec(sizes), adamw.accumulate),
      quantize: {
        embedding: { weight: { shape: [codes, codeWidth], dtype: "float32" } },
        cluster_size: { shape: [codes], dtype: "float32" }
      }
    },
    batch: {
      images: PatchGrid.images(sizes, batchSize),
      targets: { shape: [batchSize, patches, teacherWidth], dtype: "float32" },
      hyper: AdamW.hyperSpec(adamw.accumulate),
      ...(revival === null ? {} : { revive: { shape: [codes], dtype: "int32" } })
    },
    run: ({ quantize, ...state }, { hyper, images, revive, targets }) => {
      const codebook = quantize.embedding.weight
      const { aux, gradients, loss } = valueAndGradient((params) => {
        const { cosine, quantized: { codes, commitment, z } } = Vqkd.forward(params, codebook, images, targets, heads)
        const reconstruction = Vqkd.reconstruction(cosine)
        return { loss: add(reconstruction, commitment), aux: { reconstruction, commitment, z, codes } }
      }, state.parameters)
      const { finite, norm, state: next } = AdamW.update(state, gradients, hyper, adamw, loss)
      const { counts, state: moved } = Quantizer.updateCodebook(quantize, aux, { decay, revival, vectors }, revive)
      return {
        metrics: {
          loss,
          reconstruction: aux.reconstruction,
          commitment: aux.commitment,
          gradientNorm: norm,
          counts
        },
        state: {
          ...next,
          quantize: {
            embedding: { weight: select(finite, moved.embedding.weight, codebook) },
            cluster_size: select(finite, moved.cluster_size, quantize.cluster_size)
          }
        }
      }
    }
  }
}

/** A trained tokenizer. */
export interface Weights<N extends Vqkd.Sizes> {
  readonly parameters: Vqkd.VqkdParams<N>
  readonly codebook: Tensor<[N["codes"], N["codeWidth"]]>
}

/** What a trained tokenizer makes of images from 0 to 1. */
type Seeing<B extends number, N extends Vqkd.Sizes, O> = Inference<
  Weights<N>,
  { readonly images: PatchGrid.Images<B, N> },
  O
>

const seeing = <B extends number, N extends Vqkd.Sizes>(
  sizes: Readonly<N>,
  batchSize: B
): Pick<Seeing<B, N, object>, "weights" | "batch"> => ({
  weights: { parameters: Vqkd.spec(sizes), codebook: { shape: [sizes.codes, sizes.codeWidth], dtype: "float32" } },
  batch: { images: PatchGrid.images(sizes, batchSize) }
})

/** Images from 0 to 1 to codes, `[B·N]`, and to vectors before quantization, `[B·N, E]`. */
export const encode = <B extends number, const N extends Vqkd.Sizes>(sizes: Readonly<N>, batchSize: B): Seeing<B, N, {
  readonly codes: Tensor<[Vqkd.Vectors<B, N>], "int32">
  readonly vectors: Tensor<[Vqkd.Vectors<B, N>, N["codeWidth"]]>
}> => ({
  ...seeing(sizes, batchSize),
  name: "encode",
  run: ({ codebook, parameters }, { images }) => {
    const vectors = Vqkd.encode(parameters, images, sizes.heads)
    return { codes: Quantizer.quantize(codebook, vectors).codes, vectors }
  }
})

/** Codes `[B, N]` and the cosine of rebuilt and given teacher features, `[B, N]`. */
export const reconstruct = <B extends number, const N extends Vqkd.Sizes>(
  sizes: Readonly<N>,
  batchSize: B
): Inference<Weights<N>, Pick<Batch<B, N>, "images" | "targets">, Pick<Vqkd.Pass<B, N>, "codes" | "cosine">> => {
  const { batch, weights } = seeing(sizes, batchSize)
  return {
    name: "reconstruct",
    weights,
    batch: {
      ...batch,
      targets: { shape: [batchSize, PatchGrid.patches(sizes), sizes.teacherWidth], dtype: "float32" }
    },
    run: ({ codebook, parameters }, { images, targets }) => {
      const { codes, cosine } = Vqkd.forward(parameters, codebook, images, targets, sizes.heads)
      return { codes, cosine }
    }
  }
}

/** One vector per image from 0 to 1: mean patch token or class token of the encoder, normed or raw, `[B, C]`. */
export const features = <B extends number, const N extends Vqkd.Sizes>(
  sizes: Readonly<N>,
  batchSize: B,
  { finalNorm, pooling }: Pooling.Options
): Seeing<B, N, { readonly features: Tensor<[B, N["width"]]> }> => ({
  ...seeing(sizes, batchSize),
  name: "tokenizer features",
  run: ({ parameters: { encoder } }, { images }) => {
    const trunk: VitParams.VitParams<Vqkd.Encoder<N>> = encoder
    const patches = patchEmbed(Vqkd.preprocess(images), encoder.patch_embed.proj)
    const tokens = Vit.forward(trunk, patches, { heads: sizes.heads })
    const norm = <T extends number>(x: Tensor<[B, T, N["width"]]>) =>
      finalNorm ? layerNorm(x, encoder.fc_norm, Block.EPSILON) : x
    return {
      features: pooling === "mean"
        ? meanTokens(norm(patchTokens(tokens, patches.shape[1])))
        : squeeze(norm(classToken(tokens)))
    }
  }
})

/** The encoder's normed patch tokens, `[B, N, C]`, of images from 0 to 1. */
export const patchFeatures = <B extends number, const N extends Vqkd.Sizes>(
  sizes: Readonly<N>,
  batchSize: B
): Seeing<B, N, { readonly target: Tensor<[B, PatchGrid.Patches<N>, N["width"]]> }> => ({
  ...seeing(sizes, batchSize),
  name: "tokenizer patch features",
  run: ({ parameters }, { images }) => ({ target: Vqkd.encodeTokens(parameters, images, sizes.heads) })
})
