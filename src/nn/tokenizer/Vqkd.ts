/**
 * The tokenizer: vector-quantized knowledge distillation (VQ-KD). The tokens of an encoder are quantized. A small decoder
 * reconstructs a teacher's patch features from the codes alone (paper, section 2.2; `modeling_vqkd.py`).
 *
 * ```ts
 * import assert from "node:assert"
 * import { Vit, Vqkd } from "patchword/nn"
 *
 * const { decoder, encode_task_layer: task } = Vqkd.spec({
 *   ...Vit.dims({ image: 224, patch: 16, width: 768, heads: 12 }),
 *   hidden: 3072,
 *   depth: 12,
 *   decoderDepth: 3,
 *   codes: 8192,
 *   codeWidth: 32,
 *   teacherWidth: 512,
 *   qkvBias: true
 * })
 * assert.deepStrictEqual(task[2].weight.shape, [32, 768])
 * assert.deepStrictEqual(decoder.patch_embed.proj.weight.shape, [768, 32, 1, 1])
 * ```
 */
import { tanh } from "../../shapes/Activation.ts"
import { asGrid } from "../../shapes/Codes.ts"
import type * as Dim from "../../shapes/Dim.ts"
import { scale, shift } from "../../shapes/Elementwise.ts"
import { linear, type LinearParams, type Options } from "../../shapes/Linear.ts"
import { cosine, layerNorm, type NormParams } from "../../shapes/Normalization.ts"
import { mean } from "../../shapes/Reduction.ts"
import type { Shape } from "../../shapes/Shape.ts"
import type { Tensor } from "../../shapes/Tensor.ts"
import { asLinear, batched, patchEmbed, patchTokens, rows } from "../../shapes/Tokens.ts"
import * as Block from "../blocks/Block.ts"
import * as BlockParams from "../blocks/BlockParams.ts"
import * as Parameter from "../blocks/Parameter.ts"
import * as PatchGrid from "../blocks/PatchGrid.ts"
import * as Vit from "../blocks/Vit.ts"
import * as VitParams from "../blocks/VitParams.ts"
import type * as Quantizer from "./Quantizer.ts"

/** The sizes of a tokenizer, of its codebook and of its teacher. */
export interface Sizes extends VitParams.AbsoluteSizes {
  get codes(): number
  set codes(_: never)
  get codeWidth(): number
  set codeWidth(_: never)
  get teacherWidth(): number
  set teacherWidth(_: never)
  readonly depth: number
  readonly decoderDepth: number
  readonly qkvBias: boolean
}

/** The trunk sizes of the encoder, whose input is images. */
export interface Encoder<N extends Sizes> extends VitParams.ImageTrunk<N> {
  readonly relativeRows: 1
}

/** The trunk sizes of the decoder, whose input is one code for each patch. */
export interface Decoder<N extends Sizes> {
  readonly channels: N["codeWidth"]
  readonly patch: 1
  readonly patches: PatchGrid.Patches<N>
  readonly width: N["width"]
  readonly hidden: N["hidden"]
  readonly heads: N["heads"]
  readonly relativeRows: 1
}

/** The number of vectors of `B` images, one for each patch. */
export type Vectors<B extends number, N extends Sizes> = Dim.Mul<B, PatchGrid.Patches<N>>

/** The parameters of a trunk and its final norm. */
export interface TrunkParams<in out N extends VitParams.Trunk> extends VitParams.VitParams<N> {
  readonly fc_norm: NormParams<N["width"]>
}

/** The parameters of two linear layers with a tanh between them, under the official names `0` and `2`. */
export interface TaskLayer<in out C extends number, in out O extends number> {
  readonly 0: LinearParams<C, C>
  readonly 2: LinearParams<C, O>
}

/** The parameters of a tokenizer's encoder. */
export interface EncoderParams<in out N extends Sizes> {
  readonly encoder: TrunkParams<Encoder<N>>
}

/** The parameters of a tokenizer under the official names. */
export interface VqkdParams<in out N extends Sizes> extends EncoderParams<N> {
  readonly decoder: TrunkParams<Decoder<N>>
  readonly encode_task_layer: TaskLayer<N["width"], N["codeWidth"]>
  readonly decode_task_layer: TaskLayer<N["width"], N["teacherWidth"]>
}

const task = <L extends Shape, C extends number, O extends number>(
  layer: TaskLayer<C, O>,
  x: Tensor<[...L, C]>,
  options?: Options
): Tensor<[...L, O]> => linear(tanh(linear(x, layer[0], options)), layer[2], options)

/** Scales images from the range 0 to 1 to the encoder's range -1 to 1. */
export const preprocess = <S extends Shape>(images: Tensor<S>): Tensor<S> => shift(scale(images, 2), -1)

/** Runs patches `[B, N, C]` through a trunk and its final norm. */
export const through = <B extends number, N extends VitParams.Trunk>(
  params: TrunkParams<N>,
  patches: Tensor<[B, NoInfer<N["patches"]>, NoInfer<N["width"]>]>,
  heads: N["heads"]
): Tensor<[B, N["patches"], N["width"]]> => {
  const trunk: VitParams.VitParams<N> = params
  const tokens = patchTokens(Vit.forward(trunk, patches, { heads }), patches.shape[1])
  return layerNorm(tokens, params.fc_norm, Block.EPSILON)
}

/** Computes the encoder's patch tokens after the norm, for images with values from 0 to 1. */
export const encodeTokens = <B extends number, N extends Sizes>(
  params: EncoderParams<N>,
  images: PatchGrid.GivenImages<B, N>,
  heads: N["heads"]
): Tensor<[B, PatchGrid.Patches<N>, N["width"]]> => {
  const patches = patchEmbed(preprocess(images), params.encoder.patch_embed.proj)
  return through(params.encoder, patches, heads)
}

/**
 * Computes the vectors before quantization, one row per patch. The last layer is computed in float32 in any precision, as in the official
 * code, because codes depend on it.
 */
export const encode = <B extends number, N extends Sizes>(
  params: VqkdParams<N>,
  images: PatchGrid.GivenImages<B, N>,
  heads: N["heads"]
): Tensor<[Vectors<B, N>, N["codeWidth"]]> =>
  rows(task(params.encode_task_layer, encodeTokens(params, images, heads), { exact: true }))

/** Computes the decoder's patch tokens after the norm, from quantized patches. */
export const decodeTokens = <B extends number, N extends Sizes>(
  params: VqkdParams<N>,
  z_q: Tensor<[B, NoInfer<PatchGrid.Patches<N>>, NoInfer<N["codeWidth"]>]>,
  heads: N["heads"]
): Tensor<[B, PatchGrid.Patches<N>, N["width"]]> =>
  through(params.decoder, linear(z_q, asLinear(params.decoder.patch_embed.proj)), heads)

/** Reconstructs the teacher's features from quantized patches. */
export const decode = <B extends number, N extends Sizes>(
  params: VqkdParams<N>,
  z_q: Tensor<[B, NoInfer<PatchGrid.Patches<N>>, NoInfer<N["codeWidth"]>]>,
  heads: N["heads"]
): Tensor<[B, PatchGrid.Patches<N>, N["teacherWidth"]]> =>
  task(params.decode_task_layer, decodeTokens(params, z_q, heads))

/** The results of a pass through the tokenizer. */
export interface Pass<B extends number, N extends Sizes, L = object> {
  readonly quantized: Quantizer.Quantized<Vectors<B, N>, N["codeWidth"], L>
  /** The codes of each image's patches, row-major. */
  readonly codes: Tensor<[B, PatchGrid.Patches<N>], "int32">
  /** The cosine similarity of the reconstructed and the teacher's features. */
  readonly cosine: Tensor<[B, PatchGrid.Patches<N>]>
}

/** Runs images with values from 0 to 1 through encoder, `quantize` and decoder, and compares with the teacher's features. */
export const forward = <B extends number, N extends Sizes, L>(
  params: VqkdParams<N>,
  quantize: (
    vectors: Tensor<[Vectors<B, N>, N["codeWidth"]]>
  ) => Quantizer.Quantized<Vectors<B, N>, N["codeWidth"], L>,
  images: PatchGrid.GivenImages<B, N>,
  targets: Tensor<[B, NoInfer<PatchGrid.Patches<N>>, NoInfer<N["teacherWidth"]>]>,
  heads: N["heads"]
): Pass<B, N, L> => {
  const quantized = quantize(encode(params, images, heads))
  const [batch, patches] = targets.shape
  const z_q = batched(quantized.z_q, batch, patches)
  const o = decode(params, z_q, heads)
  return {
    quantized,
    codes: asGrid(quantized.codes, batch, patches),
    cosine: cosine(o, targets)
  }
}

/** Computes the reconstruction loss of a pass: one minus the mean cosine similarity. */
export const reconstruction = <B extends number, P extends number>(cosine: Tensor<[B, P]>): Tensor<[]> =>
  shift(scale(mean(cosine), -1), 1)

const taskLayer = <C extends number, O extends number>(
  width: C,
  out: O
): Parameter.ParametersOf<TaskLayer<C, O>> => ({
  0: { weight: Parameter.normal([width, width], Parameter.finetuning), bias: Parameter.zeros([width]) },
  2: { weight: Parameter.normal([out, width], Parameter.finetuning), bias: Parameter.zeros([out]) }
})

/** Specifies the parameters of a tokenizer. */
export const spec = <const N extends Sizes>(sizes: Readonly<N>): Parameter.ParametersOf<VqkdParams<N>> => {
  const { codeWidth, decoderDepth, depth, heads, hidden, patch, qkvBias, teacherWidth, width } = sizes
  const blocks = { patches: PatchGrid.patches(sizes), width, hidden, heads, relativeRows: 1 } as const
  const encoder: Encoder<N> = { ...blocks, channels: 3, patch }
  const decoder: Decoder<N> = { ...blocks, channels: codeWidth, patch: 1 }
  const kind = { absolutePositions: true, relativePositions: "none", qkvBias, layerScale: 0 } as const
  const norm = { fc_norm: BlockParams.norm(width) }
  return {
    encoder: { ...VitParams.spec(encoder, { ...kind, depth }, Parameter.finetuning), ...norm },
    decoder: { ...VitParams.spec(decoder, { ...kind, depth: decoderDepth }, Parameter.finetuning), ...norm },
    encode_task_layer: taskLayer(width, codeWidth),
    decode_task_layer: taskLayer(width, teacherWidth)
  }
}
