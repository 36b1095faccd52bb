/**
 * The training step of the tokenizer, and its inferences.
 *
 * ```ts
 * import assert from "node:assert"
 * import { MovingAverage, TokenizerStep, Vit } from "patchword/nn"
 *
 * const dims = Vit.dims({ image: 224, patch: 16, width: 768, heads: 12 })
 * const network = { ...dims, hidden: 3072, depth: 12, decoderDepth: 3, qkvBias: true, teacherWidth: 512 } as const
 * const sizes = { ...network, codes: 8192, codeWidth: 32 } as const
 * const quantizer = MovingAverage.make({ ...sizes, decay: 0.99, kmeans: true, revival: null })
 * const { batch, weights } = TokenizerStep.encode(sizes, 64, quantizer)
 * assert.deepStrictEqual(batch.images.shape, [64, 3, 224, 224])
 * assert.deepStrictEqual(weights.quantize.embedding.weight.shape, [8192, 32])
 * ```
 */
import { argMax, countByCode, lookup, oneHot } from "../../shapes/Codes.ts"
import { pmean, psum } from "../../shapes/Collective.ts"
import * as Dim from "../../shapes/Dim.ts"
import { add, scale, select, square, sub } from "../../shapes/Elementwise.ts"
import { valueAndGradient } from "../../shapes/Gradient.ts"
import { linear } from "../../shapes/Linear.ts"
import { layerNorm } from "../../shapes/Normalization.ts"
import { meanTokens, sumLast } from "../../shapes/Reduction.ts"
import type { Shape } from "../../shapes/Shape.ts"
import type { HostOf, Inference, SpecOf, TrainStep } from "../../shapes/Step.ts"
import type { Tensor } from "../../shapes/Tensor.ts"
import { classToken, patchEmbed, patchTokens, squeeze } from "../../shapes/Tokens.ts"
import * as Tree from "../../shapes/Tree.ts"
import * as Block from "../blocks/Block.ts"
import * as ClassAttention from "../blocks/ClassAttention.ts"
import type * as Parameter from "../blocks/Parameter.ts"
import * as PatchGrid from "../blocks/PatchGrid.ts"
import * as Pooling from "../blocks/Pooling.ts"
import * as Vit from "../blocks/Vit.ts"
import type * as VitParams from "../blocks/VitParams.ts"
import * as AdamW from "../optimizer/AdamW.ts"
import * as Quantizer from "./Quantizer.ts"
import * as Vqkd from "./Vqkd.ts"

/** The parameters that the optimizer learns: those of the network, and those of the quantizer under `quantize`. */
export type Params<N extends Vqkd.Sizes, Q extends Quantizer.Parts> = Vqkd.VqkdParams<N> & {
  readonly quantize: Q["parameters"]
}

/** The state of training: parameters, moments, and the quantizer's state, which the optimizer does not change. */
export interface State<N extends Vqkd.Sizes, Q extends Quantizer.Parts> extends AdamW.State<Params<N, Q>> {
  readonly quantize: Quantizer.Moved<Q>
}

/** The batch of a step, with the quantizer's own inputs. */
export type Batch<B extends number, N extends Vqkd.Sizes, Q extends Quantizer.Parts> = Q["draws"] & {
  /** Images with values from 0 to 1. */
  readonly images: PatchGrid.Images<B, N>
  /** The teacher's features. */
  readonly targets: Tensor<[B, PatchGrid.Patches<N>, N["teacherWidth"]]>
  readonly hyper: AdamW.Hyper
}

/** The metrics of a step, with the quantizer's own losses. */
export type Metrics<N extends Vqkd.Sizes, Q extends Quantizer.Parts> = Q["losses"] & {
  readonly loss: Tensor<[]>
  readonly reconstruction: Tensor<[]>
  readonly gradientNorm: Tensor<[]>
  /** The number of patches of the batch for each code. */
  readonly counts: Tensor<[N["codes"]]>
}

/** The options of training. */
export interface Options<N extends Vqkd.Sizes, Q extends Quantizer.Parts> {
  readonly quantizer: QuantizerOf<N, Q>
  readonly adamw: AdamW.Options
  /** Names of log columns that the quantizer's losses may not have, besides those of the metrics. */
  readonly columns?: ReadonlyArray<string>
}

/** A quantizer that fits a network's sizes. */
export type QuantizerOf<N extends Vqkd.Sizes, Q extends Quantizer.Parts> = Quantizer.Quantizer<
  N["codes"],
  N["codeWidth"],
  Q
>

// The parts of a quantizer are a type parameter, so TypeScript cannot compute the type of a record with them.
const typed = <A>(record: object): A => Tree.map<A>(record, (leaf) => leaf)

/** Specifies the parameters of the network and of its quantizer. */
export const spec = <const N extends Vqkd.Sizes, Q extends Quantizer.Parts>(
  sizes: Readonly<N>,
  quantizer: Pick<QuantizerOf<N, Q>, "parameters">
) => typed<Parameter.ParametersOf<Params<N, Q>>>({ ...Vqkd.spec(sizes), quantize: quantizer.parameters ?? {} })

/**
 * Makes one step of VQ-KD on batches of `B` images. Tracing it fails if the quantizer returns wrong tensors or uses a name that
 * is already in use.
 */
export const step = <B extends number, const N extends Vqkd.Sizes, Q extends Quantizer.Parts>(
  sizes: Readonly<N>,
  batchSize: B,
  options: Options<N, Q>
): TrainStep<State<N, Q>, Batch<B, N, Q>, Metrics<N, Q>> => {
  const { adamw, columns = [], quantizer } = options
  const { codes, heads, teacherWidth } = sizes
  const inputs = {
    images: PatchGrid.images(sizes, batchSize),
    targets: { shape: [batchSize, PatchGrid.patches(sizes), teacherWidth], dtype: "float32", split: "rows" },
    hyper: AdamW.hyperSpec(adamw)
  }
  return {
    name: "tokenizer",
    state: typed<SpecOf<State<N, Q>>>({
      ...AdamW.stateSpec(spec(sizes, quantizer), adamw),
      quantize: { ...quantizer.state, ...quantizer.statistics }
    }),
    batch: typed<SpecOf<Batch<B, N, Q>>>({ ...inputs, ...quantizer.draws }),
    run: ({ quantize: moved, ...state }, batch) => {
      Quantizer.checkNames(quantizer.name, "draws", quantizer.draws, Object.keys(inputs))
      Quantizer.checkNames(quantizer.name, "parameters", quantizer.parameters, Object.keys(moved))
      const { hyper, images, targets } = batch
      const { aux, gradients, loss } = valueAndGradient((params: Params<N, Q>) => {
        const learned: Quantizer.Learned<Q> = { ...params.quantize, ...moved }
        const pass = Vqkd.forward(
          params,
          (vectors) => Quantizer.quantize(quantizer, learned, vectors),
          images,
          targets,
          heads
        )
        const { quantized: { codes, losses, z } } = pass
        const reconstruction = Vqkd.reconstruction(pass.cosine)
        const loss = Tree.leaves<Tensor<[]>>(losses).reduce((sum, [, one]) => add(sum, one), reconstruction)
        return { loss, aux: { reconstruction, losses, z, codes } }
      }, state.parameters)
      const { finite, norm, state: next } = AdamW.update(state, gradients, hyper, adamw, loss)
      const counts = psum(countByCode(aux.codes, codes))
      const after = Quantizer.update(quantizer, moved, { z: aux.z, codes: aux.codes, counts }, batch)
      const before = new Map(Tree.leaves<Tensor<Shape>>(moved))
      const { losses, reconstruction } = pmean({ losses: aux.losses, reconstruction: aux.reconstruction })
      const metrics = { loss, reconstruction, gradientNorm: norm, counts }
      Quantizer.checkNames(quantizer.name, "losses", losses, [...Object.keys(metrics), ...columns])
      return {
        metrics: { ...metrics, ...losses },
        state: {
          ...next,
          quantize: Tree.map<Quantizer.Moved<Q>>(
            after,
            (leaf, path) => select(finite, leaf as Tensor<Shape>, before.get(path)!)
          )
        }
      }
    }
  }
}

/** A trained tokenizer without its quantizer. */
export interface Network<N extends Vqkd.Sizes> {
  readonly parameters: Vqkd.VqkdParams<N>
}

/** A trained tokenizer. */
export interface Weights<N extends Vqkd.Sizes, Q extends Quantizer.Parts> extends Network<N> {
  readonly quantize: Quantizer.Learned<Q>
}

/** An inference of a trained tokenizer on images with values from 0 to 1. */
type Seeing<B extends number, N extends Vqkd.Sizes, W, O> = Inference<
  W,
  { readonly images: PatchGrid.Images<B, N> },
  O
>

const seeing = <B extends number, N extends Vqkd.Sizes>(
  sizes: Readonly<N>,
  batchSize: B
): Pick<Seeing<B, N, Network<N>, object>, "weights" | "batch"> => ({
  weights: { parameters: Vqkd.spec(sizes) },
  batch: { images: PatchGrid.images(sizes, batchSize) }
})

const quantizing = <B extends number, N extends Vqkd.Sizes, Q extends Quantizer.Parts>(
  sizes: Readonly<N>,
  batchSize: B,
  { parameters, state }: QuantizerOf<N, Q>
): Pick<Seeing<B, N, Weights<N, Q>, object>, "weights" | "batch"> => {
  const { batch, weights } = seeing(sizes, batchSize)
  const quantize = typed<SpecOf<Quantizer.Learned<Q>>>({ ...parameters, ...state })
  return { batch, weights: { ...weights, quantize } }
}

/** Makes the inference of codes `[B·N]` and of vectors before quantization `[B·N, E]`, for images with values from 0 to 1. */
export const encode = <B extends number, const N extends Vqkd.Sizes, Q extends Quantizer.Parts>(
  sizes: Readonly<N>,
  batchSize: B,
  quantizer: QuantizerOf<N, Q>
): Seeing<B, N, Weights<N, Q>, {
  readonly codes: Tensor<[Vqkd.Vectors<B, N>], "int32">
  readonly vectors: Tensor<[Vqkd.Vectors<B, N>, N["codeWidth"]]>
}> => ({
  ...quantizing(sizes, batchSize, quantizer),
  name: "encode",
  run: ({ parameters, quantize }, { images }) => {
    const vectors = Vqkd.encode(parameters, images, sizes.heads)
    return { codes: Quantizer.quantize(quantizer, quantize, vectors).codes, vectors }
  }
})

/** A trained tokenizer, and the vectors of its codes in the form that vectors are compared with. */
export interface WithTable<N extends Vqkd.Sizes, Q extends Quantizer.Parts> extends Weights<N, Q> {
  readonly table: Tensor<[N["codes"], N["codeWidth"]]>
}

/** The choice of a code for each patch: all are `[B·N]`. */
export interface Choices<B extends number, N extends Vqkd.Sizes> {
  readonly codes: Tensor<[Vqkd.Vectors<B, N>], "int32">
  /** The squared distance of the vector to its code. For unit vectors it is `2 - 2 cosine`. */
  readonly distances: Tensor<[Vqkd.Vectors<B, N>]>
}

/** The choices with the second-nearest code. */
export interface RankedChoices<B extends number, N extends Vqkd.Sizes> extends Choices<B, N> {
  readonly seconds: Tensor<[Vqkd.Vectors<B, N>], "int32">
  /** The squared distance to the second-nearest code. It is at least that to the code, up to rounding. */
  readonly secondDistances: Tensor<[Vqkd.Vectors<B, N>]>
}

/** Makes the inference of codes and of the distances to them, for images with values from 0 to 1. */
export const choose = <B extends number, const N extends Vqkd.Sizes, Q extends Quantizer.Parts>(
  sizes: Readonly<N>,
  batchSize: B,
  quantizer: QuantizerOf<N, Q>
): Seeing<B, N, Weights<N, Q>, Choices<B, N>> => ({
  ...quantizing(sizes, batchSize, quantizer),
  name: "choose",
  run: ({ parameters, quantize }, { images }) => {
    const { codes, z, z_q } = Quantizer.quantize(quantizer, quantize, Vqkd.encode(parameters, images, sizes.heads))
    return { codes, distances: sumLast(square(sub(z, z_q))) }
  }
})

// Larger than any distance of vectors that are close to codes.
const FAR = 1e30

/**
 * Makes the inference of codes, of the second-nearest codes, and of the distances to both. `table` of its weights has the vectors of the
 * codes. It compares every vector with every code once more than `encode` does.
 */
export const rank = <B extends number, const N extends Vqkd.Sizes, Q extends Quantizer.Parts>(
  sizes: Readonly<N>,
  batchSize: B,
  quantizer: QuantizerOf<N, Q>
): Seeing<B, N, WithTable<N, Q>, RankedChoices<B, N>> => {
  const { batch, weights } = quantizing(sizes, batchSize, quantizer)
  const { codeWidth, codes: size } = sizes
  return {
    batch,
    weights: { ...weights, table: { shape: [size, codeWidth], dtype: "float32" } },
    name: "rank",
    run: ({ parameters, quantize, table }, { images }) => {
      const { codes, z } = Quantizer.quantize(quantizer, quantize, Vqkd.encode(parameters, images, sizes.heads))
      // The square of the vector itself is the same for all codes.
      const bias = scale(sumLast(square(table)), -0.5)
      const nearness = linear(z, { weight: table, bias }, { exact: true })
      const seconds = argMax(sub(nearness, scale(oneHot(codes, size), FAR)))
      const distanceTo = (chosen: typeof codes) => sumLast(square(sub(z, lookup(table, chosen))))
      return { codes, distances: distanceTo(codes), seconds, secondDistances: distanceTo(seconds) }
    }
  }
}

/**
 * Makes the inference of a quantizer's initial values, `quantize.*`, from the vectors `[B·N, E]` of the first batch and the
 * inputs that `fit` draws.
 */
export const fit = <B extends number, const N extends Vqkd.Sizes, Q extends Quantizer.Parts>(
  sizes: Readonly<N>,
  batchSize: B,
  quantizer: QuantizerOf<N, Q>,
  start: HostOf<Q["start"]>
): Inference<
  Readonly<Record<never, never>>,
  Q["start"] & { readonly vectors: Tensor<[Vqkd.Vectors<B, N>, N["codeWidth"]]> },
  object
> => ({
  name: "fit",
  weights: {},
  batch: Tree.map({
    vectors: { shape: [Dim.mul(batchSize, PatchGrid.patches(sizes)), sizes.codeWidth], dtype: "float32" },
    ...start
  }, ({ dtype, shape }) => ({ dtype, shape })),
  run: (_, batch) => Quantizer.fit(quantizer, batch.vectors, batch)
})

/** Makes the inference of codes `[B, N]` and of the cosine similarity of reconstructed and given teacher features, `[B, N]`. */
export const reconstruct = <B extends number, const N extends Vqkd.Sizes, Q extends Quantizer.Parts>(
  sizes: Readonly<N>,
  batchSize: B,
  quantizer: QuantizerOf<N, Q>
): Inference<
  Weights<N, Q>,
  Pick<Batch<B, N, Quantizer.Nothing>, "images" | "targets">,
  Pick<Vqkd.Pass<B, N>, "codes" | "cosine">
> => {
  const { batch, weights } = quantizing(sizes, batchSize, quantizer)
  return {
    name: "reconstruct",
    weights,
    batch: {
      ...batch,
      targets: { shape: [batchSize, PatchGrid.patches(sizes), sizes.teacherWidth], dtype: "float32" }
    },
    run: ({ parameters, quantize }, { images, targets }) => {
      const { codes, cosine } = Vqkd.forward(
        parameters,
        (vectors) => Quantizer.quantize(quantizer, quantize, vectors),
        images,
        targets,
        sizes.heads
      )
      return { codes, cosine }
    }
  }
}

/**
 * Makes the inference of one vector per image, `[B, C]`: the mean patch token or class token of the encoder, with the final
 * norm or without. Images have values from 0 to 1.
 */
export const features = <B extends number, const N extends Vqkd.Sizes>(
  sizes: Readonly<N>,
  batchSize: B,
  options: Pooling.Options
): Seeing<B, N, Network<N>, { readonly features: Tensor<[B, N["width"]]> }> => ({
  ...seeing(sizes, batchSize),
  name: "tokenizer features",
  run: ({ parameters: { encoder } }, { images }) => {
    const trunk: VitParams.VitParams<Vqkd.Encoder<N>> = encoder
    const patches = patchEmbed(Vqkd.preprocess(images), encoder.patch_embed.proj)
    const tokens = Vit.forward(trunk, patches, { heads: sizes.heads })
    const norm = <T extends number>(x: Tensor<[B, T, N["width"]]>) =>
      options.finalNorm ? layerNorm(x, encoder.fc_norm, Block.EPSILON) : x
    return {
      features: options.pooling === "mean"
        ? meanTokens(norm(patchTokens(tokens, patches.shape[1])))
        : squeeze(norm(classToken(tokens)))
    }
  }
})

/** Makes the inference of the pooled tokens of the encoder's last blocks, in both ways, each `[B, C]`. */
export const blockFeatures = <B extends number, const N extends Vqkd.Sizes>(
  sizes: Readonly<N>,
  batchSize: B,
  options: Pooling.BlockOptions
): Seeing<B, N, Network<N>, Pooling.Blocks<B, N["width"]>> => ({
  ...seeing(sizes, batchSize),
  name: "tokenizer block features",
  run: ({ parameters: { encoder } }, { images }) => {
    const trunk: VitParams.VitParams<Vqkd.Encoder<N>> = encoder
    const patches = patchEmbed(Vqkd.preprocess(images), encoder.patch_embed.proj)
    const outputs = Vit.blocks(trunk, Vit.withClassToken(trunk, patches), { heads: sizes.heads })
    const norms = options.finalNorm ? { norm: encoder.fc_norm } : {}
    return Pooling.poolBlocks(outputs, patches.shape[1], options.blocks, norms)
  }
})

/** Makes the inference of the encoder's patch tokens after the norm, `[B, N, C]`, for images with values from 0 to 1. */
export const patchFeatures = <B extends number, const N extends Vqkd.Sizes>(
  sizes: Readonly<N>,
  batchSize: B
): Seeing<B, N, Network<N>, { readonly target: Tensor<[B, PatchGrid.Patches<N>, N["width"]]> }> => ({
  ...seeing(sizes, batchSize),
  name: "tokenizer patch features",
  run: ({ parameters }, { images }) => ({ target: Vqkd.encodeTokens(parameters, images, sizes.heads) })
})

/** Makes the inference of the class token's attention in a block of the encoder, `[B, H, N+1]`, for images with values from 0 to 1. */
export const attention = <B extends number, const N extends Vqkd.Sizes>(
  sizes: Readonly<N>,
  batchSize: B,
  block: number
): Seeing<B, N, Network<N>, ClassAttention.ClassAttention<B, N>> => ({
  ...seeing(sizes, batchSize),
  name: "tokenizer attention",
  run: ({ parameters: { encoder } }, { images }) => {
    const trunk: VitParams.VitParams<Vqkd.Encoder<N>> = encoder
    const patches = patchEmbed(Vqkd.preprocess(images), encoder.patch_embed.proj)
    return { attention: ClassAttention.ofPatches(trunk, patches, block, { heads: sizes.heads }) }
  }
})
