/**
 * Training the tokenizer, step by step, and using it.
 *
 * ```ts
 * import assert from "node:assert"
 * import { TokenizerStep, Vit } from "patchword/nn"
 *
 * const vit = Vit.dims({ image: 224, patch: 16, width: 768, heads: 12 })
 * const network = { vit, hidden: 3072, depth: 12, decoderDepth: 3, qkvBias: true, teacherWidth: 512 } as const
 * const { batch, weights } = TokenizerStep.encode({ ...network, codes: 8192, codeWidth: 32 }, 64)
 * assert.deepStrictEqual(batch.images.shape, [64, 3, 224, 224])
 * assert.deepStrictEqual(weights.codebook.shape, [8192, 32])
 * ```
 */
import * as Dim from "../shapes/Dim.ts"
import * as Elementwise from "../shapes/Elementwise.ts"
import * as Gradient from "../shapes/Gradient.ts"
import * as Normalization from "../shapes/Normalization.ts"
import * as Reduction from "../shapes/Reduction.ts"
import type { Inference, TrainStep } from "../shapes/Step.ts"
import type { Tensor } from "../shapes/Tensor.ts"
import * as Tokens from "../shapes/Tokens.ts"
import * as AdamW from "./AdamW.ts"
import * as Block from "./Block.ts"
import type * as Parameter from "./Parameter.ts"
import * as Quantizer from "./Quantizer.ts"
import * as Vit from "./Vit.ts"
import * as Vqkd from "./Vqkd.ts"

/** The sizes of a tokenizer, its codebook, and its teacher. */
export interface Sizes<
  Y extends number,
  X extends number,
  P extends number,
  C extends number,
  F extends number,
  H extends number,
  K extends number,
  E extends number,
  O extends number
> {
  readonly vit: Vit.Dims<Y, X, P, C, H, NoInfer<Dim.Patches<Y, X, P>>, NoInfer<Dim.Plus<Dim.Patches<Y, X, P>, 1>>>
  readonly hidden: F
  readonly depth: number
  readonly decoderDepth: number
  readonly qkvBias: boolean
  readonly codes: K
  readonly codeWidth: E
  readonly teacherWidth: O
}

/** The parameters of a tokenizer of these sizes. */
export const spec = <
  Y extends number,
  X extends number,
  P extends number,
  C extends number,
  F extends number,
  H extends number,
  K extends number,
  E extends number,
  O extends number
>({ vit, ...sizes }: Sizes<Y, X, P, C, F, H, K, E, O>): Parameter.ParametersOf<
  Vqkd.VqkdParams<P, C, F, H, Dim.Patches<Y, X, P>, E, O>
> => Vqkd.spec<P, C, F, H, Dim.Patches<Y, X, P>, E, O>({ ...sizes, ...vit })

/** The state of training: parameters, moments, and the codebook, which the optimizer does not touch. */
export interface State<
  P extends number,
  C extends number,
  F extends number,
  H extends number,
  N extends number,
  K extends number,
  E extends number,
  O extends number
> extends AdamW.State<Vqkd.VqkdParams<P, C, F, H, N, E, O>> {
  readonly quantize: Quantizer.QuantizerState<K, E>
}

/** What a step is given. */
export interface Batch<
  B extends number,
  Y extends number,
  X extends number,
  N extends number,
  K extends number,
  O extends number
> {
  /** From 0 to 1. */
  readonly images: Tensor<[B, 3, Y, X]>
  /** The teacher's features. */
  readonly targets: Tensor<[B, N, O]>
  readonly hyper: AdamW.Hyper
  /** For each code the row of `[B·N]` vectors that would revive it; absent without revival. */
  readonly revive?: Tensor<[K], "int32">
}

/** What a step measures. */
export interface Metrics<K extends number> {
  readonly loss: Tensor<[]>
  readonly reconstruction: Tensor<[]>
  readonly commitment: Tensor<[]>
  readonly gradientNorm: Tensor<[]>
  /** How many patches of the batch got each code. */
  readonly counts: Tensor<[K]>
}

/** How the tokenizer is trained. */
export interface Options {
  readonly decay: number
  readonly revival: { readonly threshold: number } | null
  readonly adamw: AdamW.Options
}

/** One step of VQ-KD on batches of `B` images. */
export const step = <
  B extends number,
  Y extends number,
  X extends number,
  P extends number,
  C extends number,
  F extends number,
  H extends number,
  K extends number,
  E extends number,
  O extends number
>(
  sizes: Sizes<Y, X, P, C, F, H, K, E, O>,
  batchSize: B,
  { adamw, decay, revival }: Options
): TrainStep<
  State<P, C, F, H, Dim.Patches<Y, X, P>, K, E, O>,
  Batch<B, Y, X, Dim.Patches<Y, X, P>, K, O>,
  Metrics<K>
> => {
  const { codeWidth, codes, teacherWidth, vit } = sizes
  const parameters = spec(sizes)
  const vectors = Dim.mul(batchSize, vit.patches)
  return {
    name: "tokenizer",
    state: {
      ...AdamW.stateSpec(parameters, adamw.accumulate),
      quantize: {
        embedding: { weight: { shape: [codes, codeWidth], dtype: "float32" } },
        cluster_size: { shape: [codes], dtype: "float32" }
      }
    },
    batch: {
      images: { shape: [batchSize, 3, ...vit.image], dtype: "float32" },
      targets: { shape: [batchSize, vit.patches, teacherWidth], dtype: "float32" },
      hyper: AdamW.hyperSpec(adamw.accumulate),
      ...(revival === null ? {} : { revive: { shape: [codes], dtype: "int32" } })
    },
    run: ({ quantize, ...state }, { hyper, images, revive, targets }) => {
      const codebook = quantize.embedding.weight
      const { aux, gradients, loss } = Gradient.valueAndGradient((params) => {
        const { cosine, quantized } = Vqkd.forward(params, codebook, images, targets, vit.heads)
        const reconstruction = Vqkd.reconstruction(cosine)
        const { codes: chosen, commitment, unit } = quantized
        return {
          loss: Elementwise.add(reconstruction, commitment),
          aux: { reconstruction, commitment, unit, codes: chosen }
        }
      }, state.parameters)
      const updated = AdamW.update(state, gradients, hyper, adamw, loss)
      const followed = Quantizer.follow(quantize, aux, { decay, revival, vectors }, revive)
      const keep = <S extends ReadonlyArray<number>>(next: Tensor<S>, old: Tensor<S>) =>
        Elementwise.choose(updated.finite, next, old)
      return {
        metrics: {
          loss,
          reconstruction: aux.reconstruction,
          commitment: aux.commitment,
          gradientNorm: updated.norm,
          counts: followed.counts
        },
        state: {
          ...updated.state,
          quantize: {
            embedding: { weight: keep(followed.state.embedding.weight, codebook) },
            cluster_size: keep(followed.state.cluster_size, quantize.cluster_size)
          }
        }
      }
    }
  }
}

/** A trained tokenizer. */
export interface Weights<
  P extends number,
  C extends number,
  F extends number,
  H extends number,
  N extends number,
  K extends number,
  E extends number,
  O extends number
> {
  readonly parameters: Vqkd.VqkdParams<P, C, F, H, N, E, O>
  readonly codebook: Tensor<[K, E]>
}

/** Images from 0 to 1 to codes, `[B, N]`, and to vectors before quantization, `[B·N, E]`. */
export const encode = <
  B extends number,
  Y extends number,
  X extends number,
  P extends number,
  C extends number,
  F extends number,
  H extends number,
  K extends number,
  E extends number,
  O extends number
>(sizes: Sizes<Y, X, P, C, F, H, K, E, O>, batchSize: B): Inference<
  Weights<P, C, F, H, Dim.Patches<Y, X, P>, K, E, O>,
  { readonly images: Tensor<[B, 3, Y, X]> },
  {
    readonly codes: Tensor<[Dim.Mul<B, Dim.Patches<Y, X, P>>], "int32">
    readonly vectors: Tensor<[Dim.Mul<B, Dim.Patches<Y, X, P>>, E]>
  }
> => ({
  name: "encode",
  weights: weightsSpec(sizes),
  batch: { images: { shape: [batchSize, 3, ...sizes.vit.image], dtype: "float32" } },
  run: ({ codebook, parameters }, { images }) => {
    const vectors = Vqkd.encode(parameters, images, sizes.vit.heads)
    return { codes: Quantizer.quantize(codebook, vectors).codes, vectors }
  }
})

/** Codes `[B, N]` and the cosine of rebuilt and given teacher features, `[B, N]`. */
export const reconstruct = <
  B extends number,
  Y extends number,
  X extends number,
  P extends number,
  C extends number,
  F extends number,
  H extends number,
  K extends number,
  E extends number,
  O extends number
>(sizes: Sizes<Y, X, P, C, F, H, K, E, O>, batchSize: B): Inference<
  Weights<P, C, F, H, Dim.Patches<Y, X, P>, K, E, O>,
  { readonly images: Tensor<[B, 3, Y, X]>; readonly targets: Tensor<[B, Dim.Patches<Y, X, P>, O]> },
  {
    readonly codes: Tensor<[B, Dim.Patches<Y, X, P>], "int32">
    readonly cosine: Tensor<[B, Dim.Patches<Y, X, P>]>
  }
> => ({
  name: "reconstruct",
  weights: weightsSpec(sizes),
  batch: {
    images: { shape: [batchSize, 3, ...sizes.vit.image], dtype: "float32" },
    targets: { shape: [batchSize, sizes.vit.patches, sizes.teacherWidth], dtype: "float32" }
  },
  run: ({ codebook, parameters }, { images, targets }) => {
    const { codes, cosine } = Vqkd.forward(parameters, codebook, images, targets, sizes.vit.heads)
    return { codes, cosine }
  }
})

/** One vector per image from 0 to 1: mean patch token or class token of the encoder, normed or raw, `[B, C]`. */
export const features = <
  B extends number,
  Y extends number,
  X extends number,
  P extends number,
  C extends number,
  F extends number,
  H extends number,
  K extends number,
  E extends number,
  O extends number
>(
  sizes: Sizes<Y, X, P, C, F, H, K, E, O>,
  batchSize: B,
  { finalNorm, pooling }: { readonly finalNorm: boolean; readonly pooling: "mean" | "cls" }
): Inference<
  Weights<P, C, F, H, Dim.Patches<Y, X, P>, K, E, O>,
  { readonly images: Tensor<[B, 3, Y, X]> },
  { readonly features: Tensor<[B, C]> }
> => ({
  name: "tokenizer features",
  weights: weightsSpec(sizes),
  batch: { images: { shape: [batchSize, 3, ...sizes.vit.image], dtype: "float32" } },
  run: ({ parameters: { encoder } }, { images }) => {
    const tokens = Vit.forward(encoder, Vqkd.preprocess(images), { heads: sizes.vit.heads })
    const norm = <T extends number>(x: Tensor<[B, T, C]>) =>
      finalNorm ? Normalization.layerNorm(x, encoder.fc_norm, Block.EPSILON) : x
    return {
      features: pooling === "mean"
        ? Reduction.meanTokens(norm(Tokens.patchTokens(tokens, sizes.vit.patches)))
        : Tokens.single(norm(Tokens.classToken(tokens)))
    }
  }
})

/** The encoder's normed patch tokens, `[B, N, C]`, of images from 0 to 1. */
export const patchFeatures = <
  B extends number,
  Y extends number,
  X extends number,
  P extends number,
  C extends number,
  F extends number,
  H extends number,
  K extends number,
  E extends number,
  O extends number
>(sizes: Sizes<Y, X, P, C, F, H, K, E, O>, batchSize: B): Inference<
  Weights<P, C, F, H, Dim.Patches<Y, X, P>, K, E, O>,
  { readonly images: Tensor<[B, 3, Y, X]> },
  { readonly target: Tensor<[B, Dim.Patches<Y, X, P>, C]> }
> => ({
  name: "tokenizer patch features",
  weights: weightsSpec(sizes),
  batch: { images: { shape: [batchSize, 3, ...sizes.vit.image], dtype: "float32" } },
  run: ({ parameters }, { images }) => ({ target: Vqkd.encodeTokens(parameters, images, sizes.vit.heads) })
})

const weightsSpec = <
  Y extends number,
  X extends number,
  P extends number,
  C extends number,
  F extends number,
  H extends number,
  K extends number,
  E extends number,
  O extends number
>(sizes: Sizes<Y, X, P, C, F, H, K, E, O>) =>
  ({
    parameters: spec(sizes),
    codebook: { shape: [sizes.codes, sizes.codeWidth] as [K, E], dtype: "float32" }
  }) as const
