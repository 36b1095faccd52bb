/**
 * Draws what a network sees: attention as heat maps, patches in colours. All pictures have the size of the view.
 *
 * ```ts
 * import assert from "node:assert"
 * import { LookPictures } from "patchword/pipelines"
 *
 * const picture = { width: 2, height: 1, data: new Uint8Array(6).fill(200) }
 * const { data } = LookPictures.dimmed(picture, { width: 2, height: 1 }, Uint8Array.of(1, 0))
 * assert.deepStrictEqual([...data], [200, 200, 200, 40, 40, 40])
 * ```
 */
import type { Picture } from "../../domain/pixels/Picture.ts"
import type { Grid } from "../../domain/values/Grid.ts"
import type { Attended, Attention } from "./Attention.ts"
import type { Shown } from "./LookFolder.ts"
import type { Colours } from "./Pca.ts"

type Colour = readonly [red: number, green: number, blue: number]

/** Nine colours of matplotlib's map viridis, evenly spaced. Those between are interpolated. */
const VIRIDIS: ReadonlyArray<Colour> = [
  [68, 1, 84],
  [71, 44, 122],
  [59, 81, 139],
  [44, 113, 142],
  [33, 144, 141],
  [39, 173, 129],
  [92, 200, 99],
  [170, 220, 50],
  [253, 231, 37]
]

const viridis = (share: number): Colour => {
  const at = share * (VIRIDIS.length - 1)
  const below = Math.min(VIRIDIS.length - 2, Math.floor(at))
  const [a, b] = [VIRIDIS[below]!, VIRIDIS[below + 1]!]
  const channel = (i: 0 | 1 | 2) => Math.round(a[i] + (at - below) * (b[i] - a[i]))
  return [channel(0), channel(1), channel(2)]
}

/** Draws a picture of the size of another one, pixel by pixel. `colourOf` gets the patch and the place of the pixel. */
const drawn = (
  { height, width }: Picture,
  grid: Grid,
  colourOf: (patch: number, pixel: number) => Colour
): Picture => {
  const data = new Uint8Array(width * height * 3)
  for (let pixel = 0; pixel < width * height; pixel++) {
    const [row, column] = [Math.floor(pixel / width), pixel % width]
    const patch = Math.floor(row * grid.height / height) * grid.width + Math.floor(column * grid.width / width)
    data.set(colourOf(patch, pixel), 3 * pixel)
  }
  return { width, height, data }
}

/** Draws weights of patches from dark blue, the smallest, to yellow, the largest. Equal weights are all dark. */
export const heat = (picture: Picture, grid: Grid, weights: Float32Array): Picture => {
  const low = weights.reduce((a, b) => Math.min(a, b), Infinity)
  const high = weights.reduce((a, b) => Math.max(a, b), -Infinity)
  return drawn(picture, grid, (patch) => viridis(high > low ? (weights[patch]! - low) / (high - low) : 0))
}

/** Dims the patches of a picture that are not kept. */
export const dimmed = (picture: Picture, grid: Grid, kept: Uint8Array): Picture =>
  drawn(picture, grid, (patch, pixel) => {
    const [red = 0, green = 0, blue = 0] = picture.data.subarray(3 * pixel, 3 * pixel + 3)
    const share = kept[patch] === 1 ? 1 : 0.2
    return [share * red, share * green, share * blue]
  })

/** Draws the attention of an image: the mean of the heads, then each head, and the kept patches of each. */
export const ofAttention = (name: string, attention: Attention): Shown => {
  const { grid, heads, mean, picture } = attention
  const maps = (title: string, { kept, patches }: Attended) => [
    { title, picture: heat(picture, grid, patches) },
    ...(kept === undefined ? [] : [{ title: `${title} kept`, picture: dimmed(picture, grid, kept) }])
  ]
  return {
    name,
    picture,
    maps: [...maps("mean", mean), ...heads.flatMap((head, i) => maps(`head ${i}`, head))]
  }
}

/** Draws the colours of an image's patches. */
export const ofColours = (name: string, colours: Colours): Shown => {
  const { grid, picture, values } = colours
  const channel = (patch: number, at: number) => Math.round(255 * values[3 * patch + at]!)
  return {
    name,
    picture,
    maps: [{
      title: "components",
      picture: drawn(picture, grid, (patch) => [channel(patch, 0), channel(patch, 1), channel(patch, 2)])
    }]
  }
}
