/**
 * The tokenizer: vector-quantised knowledge distillation. An encoder's tokens are quantized, and a small decoder rebuilds
 * a teacher's patch features from the codes alone (paper, section 2.2; `modeling_vqkd.py`).
 *
 * ```ts
 * import assert from "node:assert"
 * import { Vqkd } from "patchword/nn"
 *
 * const { decoder, encode_task_layer: task } = Vqkd.spec({
 *   patch: 16,
 *   width: 768,
 *   hidden: 3072,
 *   heads: 12,
 *   patches: 196,
 *   tokens: 197,
 *   depth: 12,
 *   decoderDepth: 3,
 *   codeWidth: 32,
 *   teacherWidth: 512,
 *   qkvBias: true
 * })
 * assert.deepStrictEqual(task[2].weight.shape, [32, 768])
 * assert.deepStrictEqual(decoder.patch_embed.proj.weight.shape, [768, 32, 1, 1])
 * ```
 */
import * as Activation from "../shapes/Activation.ts"
import * as Codes from "../shapes/Codes.ts"
import type * as Dim from "../shapes/Dim.ts"
import * as Elementwise from "../shapes/Elementwise.ts"
import * as Linear from "../shapes/Linear.ts"
import * as Normalization from "../shapes/Normalization.ts"
import * as Reduction from "../shapes/Reduction.ts"
import type { Shape } from "../shapes/Shape.ts"
import type { Tensor } from "../shapes/Tensor.ts"
import * as Tokens from "../shapes/Tokens.ts"
import * as Block from "./Block.ts"
import * as Parameter from "./Parameter.ts"
import * as Quantizer from "./Quantizer.ts"
import * as Vit from "./Vit.ts"

type Norm<C extends number> = { readonly fc_norm: Normalization.NormParams<C> }

/** Two linear layers with a tanh between them, under the official names `0` and `2`. */
export interface TaskLayer<in out C extends number, in out O extends number> {
  readonly 0: Linear.LinearParams<C, C>
  readonly 2: Linear.LinearParams<C, O>
}

/** The encoder `P`-pixel patches, `C` channels, `N` patches; codes of `E` channels; a teacher of `O` channels. */
export interface VqkdParams<
  in out P extends number,
  in out C extends number,
  in out F extends number,
  in out H extends number,
  in out N extends number,
  in out E extends number,
  in out O extends number
> {
  readonly encoder: Vit.VitParams<3, P, C, F, H, 1, Dim.Plus<N, 1>> & Norm<C>
  readonly decoder: Vit.VitParams<E, 1, C, F, H, 1, Dim.Plus<N, 1>> & Norm<C>
  readonly encode_task_layer: TaskLayer<C, E>
  readonly decode_task_layer: TaskLayer<C, O>
}

/** The sizes of a tokenizer. */
export interface VqkdOptions<
  P extends number,
  C extends number,
  F extends number,
  H extends number,
  N extends number,
  T extends number,
  E extends number,
  O extends number
> {
  readonly patch: P
  readonly width: C
  readonly hidden: F
  readonly heads: H
  readonly patches: N
  readonly tokens: T
  readonly depth: number
  readonly decoderDepth: number
  readonly codeWidth: E
  readonly teacherWidth: O
  readonly qkvBias: boolean
}

const taskLayer = <C extends number, O extends number>(
  width: C,
  out: O
): Parameter.ParametersOf<TaskLayer<C, O>> => ({
  0: { weight: Parameter.normal([width, width], Parameter.finetuning), bias: Parameter.zeros([width]) },
  2: { weight: Parameter.normal([out, width], Parameter.finetuning), bias: Parameter.zeros([out]) }
})

/** The parameters of a tokenizer. */
export const spec = <
  P extends number,
  C extends number,
  F extends number,
  H extends number,
  N extends number,
  E extends number,
  O extends number
>(
  options: VqkdOptions<P, C, F, H, N, Dim.Plus<N, 1>, E, O>
): Parameter.ParametersOf<VqkdParams<P, C, F, H, N, E, O>> => {
  const { codeWidth, decoderDepth, depth, patch, teacherWidth, width } = options
  const shared = {
    ...options,
    absolutePositions: true,
    relativePositions: "none",
    relativeRows: 1,
    layerScale: 0,
    regime: Parameter.finetuning
  } as const
  return {
    encoder: { ...Vit.spec({ ...shared, channels: 3, patch, depth }), fc_norm: Block.norm(width) },
    decoder: {
      ...Vit.spec({ ...shared, channels: codeWidth, patch: 1, depth: decoderDepth }),
      fc_norm: Block.norm(width)
    },
    encode_task_layer: taskLayer(width, codeWidth),
    decode_task_layer: taskLayer(width, teacherWidth)
  }
}

const task = <L extends [number, number], C extends number, O extends number>(
  layer: TaskLayer<C, O>,
  x: Tensor<[...L, C]>
): Tensor<[...L, O]> => Linear.linear(Activation.tanh(Linear.linear(x, layer[0])), layer[2])

/** Images as the encoder sees them: values from 0 to 1 become values from -1 to 1. */
export const preprocess = <S extends Shape>(images: Tensor<S>): Tensor<S> =>
  Elementwise.shift(Elementwise.scale(images, 2), -1)

/** The encoder's patch tokens after their norm: images from 0 to 1, `[B, 3, Y, X]`, to `[B, N, C]`. */
export const encodeTokens = <
  B extends number,
  Y extends number,
  X extends number,
  P extends number,
  C extends number,
  F extends number,
  H extends number,
  E extends number,
  O extends number
>(
  { encoder }: VqkdParams<P, C, F, H, Dim.Patches<Y, X, P>, E, O>,
  images: Tensor<[B, 3, Y, X]>,
  heads: H
): Tensor<[B, Dim.Patches<Y, X, P>, C]> => {
  const patches = Tokens.patchEmbed(preprocess(images), encoder.patch_embed.proj)
  const tokens = Vit.withClassToken(encoder, patches)
  const last = Vit.blocks(encoder, tokens, { heads }).at(-1) ?? tokens
  return Normalization.layerNorm(Tokens.patchTokens(last, patches.shape[1]), encoder.fc_norm, Block.EPSILON)
}

/** Vectors before quantization, one row per patch: images `[B, 3, Y, X]` to `[B·N, E]`. */
export const encode = <
  B extends number,
  Y extends number,
  X extends number,
  P extends number,
  C extends number,
  F extends number,
  H extends number,
  E extends number,
  O extends number
>(
  params: VqkdParams<P, C, F, H, Dim.Patches<Y, X, P>, E, O>,
  images: Tensor<[B, 3, Y, X]>,
  heads: H
): Tensor<[Dim.Mul<B, Dim.Patches<Y, X, P>>, E]> =>
  Tokens.rows(task(params.encode_task_layer, encodeTokens(params, images, heads)))

/** The decoder's patch tokens after their norm, from quantized patches: `[B, N, E]` to `[B, N, C]`. */
export const decodeTokens = <
  B extends number,
  P extends number,
  C extends number,
  F extends number,
  H extends number,
  N extends number,
  E extends number,
  O extends number
>(
  { decoder }: VqkdParams<P, C, F, H, N, E, O>,
  quantized: Tensor<[B, N, E]>,
  heads: H
): Tensor<[B, N, C]> => {
  const patches = Linear.linear(quantized, Tokens.pointwise(decoder.patch_embed.proj))
  const tokens = Vit.withClassToken(decoder, patches)
  const last = Vit.blocks(decoder, tokens, { heads }).at(-1) ?? tokens
  return Normalization.layerNorm(Tokens.patchTokens(last, quantized.shape[1]), decoder.fc_norm, Block.EPSILON)
}

/** The teacher's features as rebuilt from quantized patches, `[B, N, E]` to `[B, N, O]`. */
export const decode = <
  B extends number,
  P extends number,
  C extends number,
  F extends number,
  H extends number,
  N extends number,
  E extends number,
  O extends number
>(
  params: VqkdParams<P, C, F, H, N, E, O>,
  quantized: Tensor<[B, N, E]>,
  heads: H
): Tensor<[B, N, O]> => task(params.decode_task_layer, decodeTokens(params, quantized, heads))

/** Everything that a pass through the tokenizer gives. */
export interface Pass<B extends number, N extends number, M extends number, E extends number> {
  readonly quantized: Quantizer.Quantized<M, E>
  /** The codes of each image's patches, row-major. */
  readonly codes: Tensor<[B, N], "int32">
  /** The cosine of the rebuilt and the teacher's features. */
  readonly cosine: Tensor<[B, N]>
}

/** Images `[B, 3, Y, X]` from 0 to 1 through encoder, quantizer and decoder, against the teacher's features `[B, N, O]`. */
export const forward = <
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
  params: VqkdParams<P, C, F, H, Dim.Patches<Y, X, P>, E, O>,
  codebook: Tensor<[K, E]>,
  images: Tensor<[B, 3, Y, X]>,
  targets: Tensor<[B, Dim.Patches<Y, X, P>, O]>,
  heads: H
): Pass<B, Dim.Patches<Y, X, P>, Dim.Mul<B, Dim.Patches<Y, X, P>>, E> => {
  const quantized = Quantizer.quantize(codebook, encode(params, images, heads))
  const [batch, patches] = targets.shape
  const rebuilt = decode(params, Tokens.batched(quantized.quantized, batch, patches), heads)
  return {
    quantized,
    codes: Codes.asGrid(quantized.codes, batch, patches),
    cosine: Normalization.cosine(rebuilt, targets)
  }
}

/** The reconstruction loss of a pass: one minus the mean cosine. */
export const reconstruction = <B extends number, N extends number>(cosine: Tensor<[B, N]>): Tensor<[]> =>
  Elementwise.shift(Elementwise.scale(Reduction.mean(cosine), -1), 1)
