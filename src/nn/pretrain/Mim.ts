/**
 * Masked image modelling. A mask token replaces masked patches, and the network predicts their codes from the tokenizer. With
 * patch aggregation, a shallow head predicts them again from the last class token and the patch tokens of an earlier block. So
 * the class token learns to aggregate the image (paper, sections 2.3 and 2.4; `modeling_pretrain.py`).
 *
 * ```ts
 * import assert from "node:assert"
 * import { Mim, Vit } from "patchword/nn"
 *
 * const { cls_pt_layers: head, mask_token: token } = Mim.spec({
 *   ...Vit.dims({ image: 224, patch: 16, width: 768, heads: 12 }),
 *   hidden: 3072,
 *   relativeRows: 732,
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
import { linear, type LinearParams } from "../../shapes/Linear.ts"
import { layerNorm, type NormParams } from "../../shapes/Normalization.ts"
import type { Shape } from "../../shapes/Shape.ts"
import type { Tensor } from "../../shapes/Tensor.ts"
import {
  classToken,
  factorsOfRows,
  patchEmbed,
  patchTokens,
  prepend,
  replaceMasked,
  selectRows
} from "../../shapes/Tokens.ts"
import * as Block from "../blocks/Block.ts"
import * as BlockParams from "../blocks/BlockParams.ts"
import type * as DropPath from "../blocks/DropPath.ts"
import * as Parameter from "../blocks/Parameter.ts"
import type * as PatchGrid from "../blocks/PatchGrid.ts"
import * as Vit from "../blocks/Vit.ts"
import * as VitParams from "../blocks/VitParams.ts"

/**
 * Patch aggregation. `earlyLayer` is the block whose patch tokens the head gets, counted from 1. `headDepth` is the depth of
 * the head. `sharedHead` is true if both predictions share the output layer.
 */
export interface Aggregation {
  readonly earlyLayer: number
  readonly headDepth: number
  readonly sharedHead: boolean
}

/** The sizes of a network that predicts one of `codes`, and its variant. */
export interface Sizes extends VitParams.Network {
  get codes(): number
  set codes(_: never)
  /** The standard deviation of the initial weights before truncation. */
  readonly initStd: number
  readonly aggregation: Aggregation | null
}

/** The parameters of the network. Those with `cls_pt` belong to patch aggregation. */
export interface MimParams<in out N extends Sizes> extends VitParams.VitParams<VitParams.Encoder<N>> {
  readonly mask_token: Tensor<[1, 1, N["width"]]>
  readonly norm: NormParams<N["width"]>
  readonly lm_head: LinearParams<N["width"], N["codes"]>
  readonly cls_pt_layers?: ReadonlyArray<BlockParams.BlockParams<VitParams.Encoder<N>>>
  readonly cls_pt_norm?: NormParams<N["width"]>
  readonly cls_pt_lm_head?: LinearParams<N["width"], N["codes"]>
}

/** The inputs of a forward pass besides parameters, images and masks. */
export interface Context<B extends number, N extends Sizes> extends Vit.Context<B, VitParams.Encoder<N>> {
  readonly earlyLayer: number
  /** Drop-path factors, one entry per aggregation block. */
  readonly headDropPath?: ReadonlyArray<DropPath.Factors<B>> | undefined
}

/** Selected patch tokens of the last block and, with aggregation, of the head. They are not normalised yet. */
export interface Hidden<M extends number, N extends Sizes> {
  readonly last: Tensor<[M, N["width"]]>
  readonly aggregated: Tensor<[M, N["width"]]> | undefined
}

// Behind the attention of the last block no token depends on another. Only those that are asked for go through the rest.
const through = <B extends number, N extends VitParams.Trunk>(
  blocks: ReadonlyArray<BlockParams.BlockParams<N>>,
  tokens: BlockParams.Given<B, N>,
  patches: N["patches"],
  contextOf: (place: number) => Block.Context<B, N>
) => {
  const outputs: Array<BlockParams.Sequence<B, N>> = []
  for (const [place, block] of blocks.slice(0, -1).entries()) {
    outputs.push(Block.forward(block, outputs.at(-1) ?? tokens, contextOf(place)))
  }
  const final = blocks.at(-1)
  const input = outputs.at(-1) ?? tokens
  const context = contextOf(blocks.length - 1)
  const attended = final === undefined ? input : Block.attend(final, input, context)
  const factors = context.dropPath?.mlp
  const finish = <D extends number, S extends Shape>(
    x: Tensor<[D, ...S, N["width"]]>,
    dropPath: Tensor<[D]> | undefined
  ): Tensor<[D, ...S, N["width"]]> => final === undefined ? x : Block.transform(final, x, dropPath, context.epsilon)
  return {
    /** The outputs of all blocks but the last. */
    outputs,
    all: () => finish<B, [BlockParams.TokensOf<N>]>(attended, factors),
    classToken: () => finish<B, [1]>(classToken(attended), factors),
    patchTokens: <M extends number>(rows: Tensor<[M], "int32">) =>
      finish<M, []>(
        selectRows(patchTokens(attended, patches), rows),
        factors && factorsOfRows(factors, patches, rows)
      )
  }
}

/**
 * Runs the network on images whose patches are masked by `mask`, `[B, N]`, and returns the patch tokens at the given rows of
 * `[B·N]`.
 */
export const hidden = <B extends number, M extends number, N extends Sizes>(
  params: MimParams<N>,
  images: PatchGrid.GivenImages<B, N>,
  mask: Tensor<[B, NoInfer<PatchGrid.Patches<N>>], "bool">,
  rows: Tensor<[M], "int32">,
  context: Context<B, N>
): Hidden<M, N> => {
  const { dropPath, earlyLayer, epsilon, headDropPath, heads, index } = context
  const network: VitParams.VitParams<VitParams.Encoder<N>> = params
  const patches = patchEmbed(images, network.patch_embed.proj)
  const count = patches.shape[1]
  const tokens = Vit.withClassToken(network, replaceMasked(patches, mask, params.mask_token))
  const shared = { heads, bias: Vit.sharedBias(network, index), index, epsilon }
  const trunk = through(network.blocks, tokens, count, (place) => ({ ...shared, dropPath: dropPath?.[place] }))
  const last = trunk.patchTokens(rows)
  if (params.cls_pt_layers === undefined) return { last, aggregated: undefined }

  const early = patchTokens(trunk.outputs[earlyLayer - 1] ?? trunk.all(), count)
  const gathered = prepend(trunk.classToken(), early)
  const head = through(
    params.cls_pt_layers,
    gathered,
    count,
    (place) => ({ ...shared, dropPath: headDropPath?.[place] })
  )
  return { last, aggregated: head.patchTokens(rows) }
}

/** Computes logits over the codes from the last block and from the aggregation head. */
export const logits = <M extends number, N extends Sizes>(
  params: MimParams<N>,
  hidden: Hidden<M, N>,
  epsilon = Block.EPSILON
): { readonly last: Tensor<[M, N["codes"]]>; readonly aggregated: Tensor<[M, N["codes"]]> | undefined } => {
  const { cls_pt_lm_head, cls_pt_norm, lm_head, norm } = params
  return {
    last: linear(layerNorm(hidden.last, norm, epsilon), lm_head),
    aggregated: hidden.aggregated
      && linear(layerNorm(hidden.aggregated, cls_pt_norm ?? norm, epsilon), cls_pt_lm_head ?? lm_head)
  }
}

const head = <C extends number, K extends number>(
  width: C,
  codes: K,
  regime: Parameter.Regime
): Parameter.ParametersOf<LinearParams<C, K>> => ({
  weight: Parameter.normal([codes, width], regime),
  bias: Parameter.zeros([codes])
})

/** Specifies the parameters of a network. */
export const spec = <const N extends Sizes>(sizes: Readonly<N>): Parameter.ParametersOf<MimParams<N>> => {
  const { aggregation, codes, initStd, width } = sizes
  const regime = Parameter.pretraining(initStd)
  const trunk = VitParams.encoder(sizes)
  const kind = { ...sizes, ownTable: VitParams.ownTable(sizes.relativePositions), regime: Parameter.aggregation }
  return {
    ...VitParams.spec(trunk, sizes, regime),
    mask_token: Parameter.normal([1, 1, width], regime),
    norm: BlockParams.norm(width),
    lm_head: head(width, codes, regime),
    ...(aggregation === null ? {} : {
      cls_pt_layers: Array.from(
        { length: aggregation.headDepth },
        (_, k) => BlockParams.spec(trunk, { ...kind, place: aggregation.earlyLayer + k })
      ),
      ...(aggregation.sharedHead
        ? {}
        : { cls_pt_norm: BlockParams.norm(width), cls_pt_lm_head: head(width, codes, regime) })
    })
  }
}
