/**
 * The sizes, variants and parameters of a vision transformer.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Parameter, VitParams } from "patchword/nn"
 *
 * const trunk = { channels: 3, patch: 8, patches: 4, width: 8, hidden: 32, heads: 2, relativeRows: 12 } as const
 * const kind = { depth: 2, absolutePositions: true, relativePositions: "none", qkvBias: true, layerScale: 0 } as const
 * const { blocks, pos_embed } = VitParams.spec(trunk, kind, Parameter.finetuning)
 * assert.strictEqual(blocks.length, 2)
 * assert.deepStrictEqual(pos_embed?.shape, [1, 5, 8])
 * ```
 */
import * as Dim from "../../shapes/Dim.ts"
import type { Tensor } from "../../shapes/Tensor.ts"
import type { PatchParams } from "../../shapes/Tokens.ts"
import * as BlockParams from "./BlockParams.ts"
import * as Parameter from "./Parameter.ts"
import * as PatchGrid from "./PatchGrid.ts"

/** The sizes of the blocks and the patch embedding, whose input has `channels`. */
export interface Trunk extends BlockParams.Sizes {
  get channels(): number
  set channels(_: never)
  get patch(): number
  set patch(_: never)
}

/** The parameters of the patch embedding, the tokens, the positions and the blocks. */
export interface VitParams<in out N extends Trunk> {
  readonly cls_token: Tensor<[1, 1, N["width"]]>
  readonly pos_embed?: Tensor<[1, BlockParams.TokensOf<N>, N["width"]]>
  readonly patch_embed: { readonly proj: PatchParams<N["channels"], N["patch"], N["width"]> }
  readonly rel_pos_bias?: { readonly relative_position_bias_table: Tensor<[N["relativeRows"], N["heads"]]> }
  readonly blocks: ReadonlyArray<BlockParams.BlockParams<N>>
}

/** The tables of the relative position bias: none, one that all blocks share, one for each block, or both kinds added up. */
export type RelativePositions = "none" | "shared" | "perBlock" | "both"

/** Tests whether every block has its own table. */
export const ownTable = (positions: RelativePositions): boolean => positions === "perBlock" || positions === "both"

/** The variant of a transformer. */
export interface Kind {
  readonly depth: number
  readonly absolutePositions: boolean
  readonly relativePositions: RelativePositions
  readonly qkvBias: boolean
  readonly layerScale: number
  /** The epsilon of layer norms. `Block.EPSILON` by default. */
  readonly epsilon?: number | undefined
}

/** Specifies the parameters of a transformer. */
export const spec = <const N extends Trunk>(
  trunk: Readonly<N>,
  kind: Kind,
  regime: Parameter.Regime
): Parameter.ParametersOf<VitParams<N>> => {
  const { absolutePositions, depth, layerScale, qkvBias, relativePositions } = kind
  const { channels, heads, patch, patches, relativeRows, width } = trunk
  const fanIn = channels * patch * patch
  return {
    cls_token: Parameter.normal([1, 1, width], regime),
    ...(absolutePositions ? { pos_embed: Parameter.normal([1, Dim.plus(patches, 1), width], regime) } : {}),
    patch_embed: {
      proj: regime.name === "pretraining"
        ? { weight: Parameter.normal([width, channels, patch, patch], regime), bias: Parameter.zeros([width]) }
        : {
          weight: Parameter.byFanIn([width, channels, patch, patch], fanIn),
          bias: Parameter.byFanIn([width], fanIn)
        }
    },
    ...(relativePositions === "shared" || relativePositions === "both"
      ? { rel_pos_bias: { relative_position_bias_table: Parameter.zeros([relativeRows, heads]) } }
      : {}),
    blocks: Array.from(
      { length: depth },
      (_, place) =>
        BlockParams.spec(trunk, { ownTable: ownTable(relativePositions), qkvBias, layerScale, regime, place })
    )
  }
}

/** The sizes of a transformer for colour images without a relative position table. */
export interface AbsoluteSizes extends PatchGrid.Sizes {
  get width(): number
  set width(_: never)
  get heads(): number
  set heads(_: never)
  get hidden(): number
  set hidden(_: never)
}

/** The sizes of a transformer for colour images. */
export interface Sizes extends AbsoluteSizes {
  get relativeRows(): number
  set relativeRows(_: never)
}

/** A whole network: its sizes and its variant. */
export interface Network extends Sizes, Kind {}

/** The trunk sizes of a transformer for colour images, without relative positions. */
export interface ImageTrunk<N extends AbsoluteSizes> {
  readonly channels: 3
  readonly patch: N["patch"]
  readonly patches: PatchGrid.Patches<N>
  readonly width: N["width"]
  readonly hidden: N["hidden"]
  readonly heads: N["heads"]
}

/** The trunk sizes of a transformer for colour images. */
export interface Encoder<N extends Sizes> extends ImageTrunk<N> {
  readonly relativeRows: N["relativeRows"]
}

/** Returns the trunk sizes of a transformer for colour images. */
export const encoder = <N extends Sizes>(sizes: Readonly<N>): Encoder<N> => {
  const { heads, hidden, patch, relativeRows, width } = sizes
  return { channels: 3, patch, patches: PatchGrid.patches(sizes), width, hidden, heads, relativeRows }
}
