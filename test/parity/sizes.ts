import { Schema } from "effect"
import * as Vit from "../../src/nn/Vit.ts"
import * as Dim from "../../src/shapes/Dim.ts"

/** A side in pixels, or height and width. */
export const Sides = Schema.Union([Schema.Int, Schema.Tuple([Schema.Int, Schema.Int])])

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
