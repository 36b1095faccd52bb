import { Effect, Schema } from "effect"
import * as Vit from "../../src/nn/Vit.ts"
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
): Vit.RelativePositions => (own ? (shared ? "both" : "perBlock") : shared ? "shared" : "none")

/** Official state that is computed, not learned. */
export const buffers = /relative_position_index$/

/** Compares the index buffers of a state with ours. */
export const checkIndices = (
  fixture: Fixture,
  vit: { readonly image: readonly [number, number]; readonly patch: number; readonly tokens: number },
  group = "state"
): void => {
  const index = Vit.relativeIndex(Vit.grid(vit), vit.tokens)
  for (const key of fixture.keys(group)) if (buffers.test(key)) fixture.same(`${group}/${key}`, index)
}
