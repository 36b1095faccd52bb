import * as Vit from "../../../src/nn/blocks/Vit.ts"
import * as Dim from "../../../src/shapes/Dim.ts"

const wide = Vit.dims({ image: [24, 40], patch: 8, width: 32, heads: 2 })
export const sides: readonly [24, 40] = wide.image
export const patches: 15 = wide.patches
export const tokens: 16 = wide.tokens

const square = Vit.dims({ image: 32, patch: 8, width: 32, heads: 2 })
export const edges: readonly [32, 32] = square.image
export const whole: 17 = square.tokens

const image = Dim.named("image", 32)
const patch = Dim.named("patch", 8)
const symbolic = Vit.dims({ image, patch, width: 32, heads: 2 })
export const count: Dim.Dim<"image/patch*image/patch"> = symbolic.patches
const mixed = Vit.dims({ image: [image, Dim.named("across", 40)], patch, width: 32, heads: 2 })
export const across: Dim.Dim<"image/patch*across/patch"> = mixed.patches
