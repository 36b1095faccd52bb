import { Effect, Schema } from "effect"
import * as RelativePosition from "../../src/domain/method/RelativePosition.ts"
import * as PatchGrid from "../../src/nn/blocks/PatchGrid.ts"
import * as Vit from "../../src/nn/blocks/Vit.ts"
import type * as VitParams from "../../src/nn/blocks/VitParams.ts"
import * as Dim from "../../src/shapes/Dim.ts"
import type { Fixture } from "./fixture.ts"

/** A side in pixels, or height and width. */
export const Sides = Schema.Union([Schema.Int, Schema.Tuple([Schema.Int, Schema.Int])])

/** An official switch that is off where it is not named. */
export const flag = Schema.Boolean.pipe(Schema.withDecodingDefaultKey(Effect.succeed(false)))

export const named = (sides: typeof Sides.Type) => {
  const [height, width] = typeof sides === "number" ? [sides, sides] : sides
  return [Dim.named("imageHeight", height), Dim.named("imageWidth", width)] as const
}

/** The sizes of a transformer from plain numbers. */
export const vit = (
  { heads, image, patch, width }: {
    readonly image: typeof Sides.Type
    readonly patch: number
    readonly width: number
    readonly heads: number
  }
) =>
  Vit.dims({
    image: named(image),
    patch: Dim.named("patch", patch),
    width: Dim.named("width", width),
    heads: Dim.named("heads", heads)
  })

/** Which tables two official switches ask for. */
export const relativePositions = (
  { use_rel_pos_bias: own, use_shared_rel_pos_bias: shared }: {
    readonly use_rel_pos_bias: boolean
    readonly use_shared_rel_pos_bias: boolean
  }
): VitParams.RelativePositions => (own ? (shared ? "both" : "perBlock") : shared ? "shared" : "none")

/** The width inside the perceptrons, of which official configurations give the ratio to the outer one, or leave it at 4. */
export const hidden = ({ embed_dim: width, mlp_ratio: ratio = 4 }: {
  readonly embed_dim: number
  readonly mlp_ratio?: number
}) => Dim.named("hidden", Math.trunc(ratio * width))

/** Tensors by official name, of which only the shapes are looked at. */
export type Shapes = Readonly<Record<string, { readonly shape: ReadonlyArray<number> }>>

/** How many blocks of a kind there are. */
export const depth = (tensors: Shapes, blocks = "blocks"): number =>
  new Set(Object.keys(tensors).flatMap((name) => new RegExp(`^${blocks}\\.(\\d+)\\.`).exec(name)?.[1] ?? [])).size

/** The sizes of a transformer that its tensors show, for square images where no others are given. */
export const shown = (tensors: Shapes, image?: typeof Sides.Type) => {
  const shape = (name: string) => tensors[name]?.shape
  const [channels, , patch] = shape("patch_embed.proj.weight") as [number, number, number]
  const own = shape("blocks.0.attn.relative_position_bias_table")
  const shared = shape("rel_pos_bias.relative_position_bias_table")
  const table = own ?? shared
  // What has no table of relative positions has no tensor that shows how many heads there are, and none that needs it.
  const [rows = 0, heads = 1] = table ?? []
  const grid = table === undefined ? Math.sqrt((shape("pos_embed")?.[1] ?? 1) - 1) : (Math.sqrt(rows - 3) + 1) / 2
  const dims = vit({ image: image ?? grid * patch, patch, width: channels, heads })
  return {
    ...dims,
    hidden: Dim.named("hidden", shape("blocks.0.mlp.fc1.bias")![0]!),
    relativeRows: Dim.named("relativeRows", RelativePosition.rows(PatchGrid.grid(dims))),
    depth: depth(tensors),
    absolutePositions: "pos_embed" in tensors,
    relativePositions: relativePositions({
      use_rel_pos_bias: own !== undefined,
      use_shared_rel_pos_bias: shared !== undefined
    }),
    qkvBias: "blocks.0.attn.q_bias" in tensors,
    layerScale: "blocks.0.gamma_1" in tensors ? 1 : 0
  }
}

/** The sizes of a classifier that its tensors show. */
export const shownClassifier = (tensors: Shapes, image?: typeof Sides.Type) => ({
  ...shown(tensors, image),
  pooling: "fc_norm.weight" in tensors ? "mean" as const : "cls" as const,
  headScale: 1,
  classes: Dim.named("classes", tensors["head.bias"]!.shape[0]!)
})

/** Official state that is computed, not learned. */
export const buffers = /relative_position_index$/

/** Compares the index buffers of a state with ours. */
export const checkIndices = <N extends PatchGrid.Sizes>(fixture: Fixture, sizes: N, group = "state"): void => {
  const index = Vit.relativeIndex(sizes)
  for (const key of fixture.keys(group)) if (buffers.test(key)) fixture.same(`${group}/${key}`, index)
}
