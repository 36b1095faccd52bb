/**
 * Masked image modelling: masked patches become a mask token, and the network predicts the codes that the tokenizer gave
 * them. With patch aggregation a shallow head predicts them once more from the last class token and an earlier block's
 * patch tokens, so that the class token learns to gather (paper, sections 2.3 and 2.4; `modeling_pretrain.py`).
 *
 * ```ts
 * import assert from "node:assert"
 * import { Mim } from "patchword/nn"
 *
 * const { cls_pt_layers: head, mask_token: token } = Mim.spec({
 *   patch: 16,
 *   width: 768,
 *   hidden: 3072,
 *   heads: 12,
 *   relativeRows: 732,
 *   tokens: 197,
 *   depth: 12,
 *   codes: 8192,
 *   absolutePositions: false,
 *   relativePositions: "shared",
 *   qkvBias: true,
 *   layerScale: 0.1,
 *   initStd: 0.02,
 *   aggregation: { earlyLayer: 9, headDepth: 2, sharedHead: true }
 * })
 * assert.strictEqual(head?.length, 2)
 * assert.deepStrictEqual(token.shape, [1, 1, 768])
 * ```
 */
import type * as Dim from "../shapes/Dim.ts"
import * as Linear from "../shapes/Linear.ts"
import * as Normalization from "../shapes/Normalization.ts"
import type { Shape } from "../shapes/Shape.ts"
import type { Tensor } from "../shapes/Tensor.ts"
import * as Tokens from "../shapes/Tokens.ts"
import * as Block from "./Block.ts"
import * as Parameter from "./Parameter.ts"
import * as Vit from "./Vit.ts"

/** A network that predicts one of `K` codes. The parameters with `cls_pt` are those of patch aggregation. */
export interface MimParams<
  in out P extends number,
  in out C extends number,
  in out F extends number,
  in out H extends number,
  in out R extends number,
  in out T extends number,
  in out K extends number
> extends Vit.VitParams<3, P, C, F, H, R, T> {
  readonly mask_token: Tensor<[1, 1, C]>
  readonly norm: Normalization.NormParams<C>
  readonly lm_head: Linear.LinearParams<C, K>
  readonly cls_pt_layers?: ReadonlyArray<Block.BlockParams<C, F, H, R>>
  readonly cls_pt_norm?: Normalization.NormParams<C>
  readonly cls_pt_lm_head?: Linear.LinearParams<C, K>
}

/** Patch aggregation: which block's patches the head sees (counted from 1), its depth, and whether it shares the output. */
export interface Aggregation {
  readonly earlyLayer: number
  readonly headDepth: number
  readonly sharedHead: boolean
}

/** The sizes and the kind of a network. */
export interface MimOptions<
  P extends number,
  C extends number,
  F extends number,
  H extends number,
  R extends number,
  T extends number,
  K extends number
> extends Omit<Vit.VitOptions<3, P, C, F, H, R, T>, "regime" | "channels"> {
  readonly codes: K
  /** Deviation of the first weights, before they are cut. */
  readonly initStd: number
  readonly aggregation: Aggregation | null
}

const head = <C extends number, K extends number>(
  width: C,
  codes: K,
  regime: Parameter.Regime
): Parameter.ParametersOf<Linear.LinearParams<C, K>> => ({
  weight: Parameter.normal([codes, width], regime),
  bias: Parameter.zeros([codes])
})

/** The parameters of a network. */
export const spec = <
  P extends number,
  C extends number,
  F extends number,
  H extends number,
  R extends number,
  T extends number,
  K extends number
>(options: MimOptions<P, C, F, H, R, T, K>): Parameter.ParametersOf<MimParams<P, C, F, H, R, T, K>> => {
  const { aggregation, codes, initStd, width } = options
  const regime = Parameter.pretraining(initStd)
  const ownTable = Vit.ownTable(options.relativePositions)
  return {
    ...Vit.spec({ ...options, channels: 3, regime }),
    mask_token: Parameter.normal([1, 1, width], regime),
    norm: Block.norm(width),
    lm_head: head(width, codes, regime),
    ...(aggregation === null ? {} : {
      cls_pt_layers: Array.from(
        { length: aggregation.headDepth },
        (_, k) => Block.spec({ ...options, ownTable, regime: Parameter.aggregation, place: aggregation.earlyLayer + k })
      ),
      ...(aggregation.sharedHead ? {} : { cls_pt_norm: Block.norm(width), cls_pt_lm_head: head(width, codes, regime) })
    })
  }
}

/** What a forward pass needs beside parameters, images and masks. */
export interface Context<B extends number, T extends number, H extends number> extends Vit.Context<B, T, H> {
  readonly earlyLayer: number
  /** One entry per aggregation block. */
  readonly headDropPath?: ReadonlyArray<Block.DropPath<B>> | undefined
}

/** Chosen patch tokens of the last block and, with aggregation, of the head; not normed yet, `[M, C]`. */
export interface Hidden<M extends number, C extends number> {
  readonly last: Tensor<[M, C]>
  readonly aggregated: Tensor<[M, C]> | undefined
}

// Behind the attention of the last block no token depends on another. Only those that are asked for go through the rest.
const through = <
  B extends number,
  N extends number,
  C extends number,
  F extends number,
  H extends number,
  R extends number
>(
  blocks: ReadonlyArray<Block.BlockParams<C, F, H, R>>,
  tokens: Tensor<[B, Dim.Plus<N, 1>, C]>,
  patches: N,
  contextOf: (place: number) => Block.Context<B, Dim.Plus<N, 1>, H>
) => {
  const outputs: Array<Tensor<[B, Dim.Plus<N, 1>, C]>> = []
  for (const [place, block] of blocks.slice(0, -1).entries()) {
    outputs.push(Block.forward(block, outputs.at(-1) ?? tokens, contextOf(place)))
  }
  const final = blocks.at(-1)
  const input = outputs.at(-1) ?? tokens
  const context = contextOf(blocks.length - 1)
  const attended = final === undefined ? input : Block.attend(final, input, context)
  const factors = context.dropPath?.mlp
  const finish = <D extends number, S extends Shape>(
    x: Tensor<[D, ...S, C]>,
    dropPath: Tensor<[D]> | undefined
  ): Tensor<
    [D, ...S, C]
  > => (final === undefined ? x : Block.transform<D, S, C, F, H, R>(final, x, dropPath, context.epsilon))
  return {
    /** Outputs of all blocks but the last. */
    outputs,
    all: () => finish<B, [Dim.Plus<N, 1>]>(attended, factors),
    classToken: () => finish<B, [1]>(Tokens.classToken(attended), factors),
    patchTokens: <M extends number>(rows: Tensor<[M], "int32">) =>
      finish<M, []>(
        Tokens.selectRows(Tokens.patchTokens(attended, patches), rows),
        factors === undefined ? undefined : Tokens.factorsOfRows(factors, patches, rows)
      )
  }
}

/**
 * Runs the network over images `[B, 3, Y, X]` whose patches are masked where `mask` `[B, N]` says so, and gives the patch
 * tokens at some rows of `[B·N]`.
 */
export const hidden = <
  B extends number,
  Y extends number,
  X extends number,
  P extends number,
  C extends number,
  F extends number,
  H extends number,
  R extends number,
  K extends number,
  M extends number
>(
  params: MimParams<P, C, F, H, R, Dim.Plus<Dim.Patches<Y, X, P>, 1>, K>,
  images: Tensor<[B, 3, Y, X]>,
  mask: Tensor<[B, Dim.Patches<Y, X, P>], "bool">,
  rows: Tensor<[M], "int32">,
  { dropPath, earlyLayer, epsilon, headDropPath, heads, index }: Context<B, Dim.Plus<Dim.Patches<Y, X, P>, 1>, H>
): Hidden<M, C> => {
  const patches = Tokens.patchEmbed(images, params.patch_embed.proj)
  const count = patches.shape[1]
  const tokens = Vit.withClassToken(params, Tokens.replaceMasked(patches, mask, params.mask_token))
  const bias = Vit.sharedBias(params, index)
  const trunk = through(
    params.blocks,
    tokens,
    count,
    (place) => ({ heads, bias, index, epsilon, dropPath: dropPath?.[place] })
  )
  const last = trunk.patchTokens(rows)
  if (params.cls_pt_layers === undefined) return { last, aggregated: undefined }

  const early = Tokens.patchTokens(trunk.outputs[earlyLayer - 1] ?? trunk.all(), count)
  const head = through(
    params.cls_pt_layers,
    Tokens.prepend(trunk.classToken(), early),
    count,
    (place) => ({ heads, bias, index, epsilon, dropPath: headDropPath?.[place] })
  )
  return { last, aggregated: head.patchTokens(rows) }
}

/** Logits over the codes, `[M, K]`, from the last block and from the aggregation head. */
export const logits = <
  P extends number,
  C extends number,
  F extends number,
  H extends number,
  R extends number,
  T extends number,
  K extends number,
  M extends number
>(
  params: MimParams<P, C, F, H, R, T, K>,
  { aggregated, last }: Hidden<M, C>,
  epsilon = Block.EPSILON
): { readonly last: Tensor<[M, K]>; readonly aggregated: Tensor<[M, K]> | undefined } => {
  const out = (
    tokens: Tensor<[M, C]>,
    norm: Normalization.NormParams<C>,
    output: Linear.LinearParams<C, K>
  ): Tensor<[M, K]> => Linear.linear(Normalization.layerNorm(tokens, norm, epsilon), output)
  return {
    last: out(last, params.norm, params.lm_head),
    aggregated: aggregated === undefined
      ? undefined
      : out(aggregated, params.cls_pt_norm ?? params.norm, params.cls_pt_lm_head ?? params.lm_head)
  }
}
