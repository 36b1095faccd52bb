/**
 * The views of an image and its label map that train a segmenter (mmsegmentation's pipeline for ADE20K). Both are resized by the
 * same random factor, cropped and mirrored; the colours of the image are distorted.
 *
 * ```ts
 * import assert from "node:assert"
 * import { KeyedRandom, SegmentationView } from "patchword/domain"
 *
 * const picture = { width: 60, height: 40, data: new Uint8Array(60 * 40 * 3).fill(128) }
 * const labels = { width: 60, height: 40, data: new Uint8Array(60 * 40) }
 * const recipe = { size: 32, resize: [80, 40], scale: [0.5, 2], maxClassShare: 0.75, flip: 0.5, distortion: null } as const
 * const draws = KeyedRandom.generator({ seed: 0, purpose: "segment/view", epoch: 0, index: 7 })
 * const view = SegmentationView.random({ picture, labels }, recipe, draws)
 * assert.ok(view.picture.width <= 32 && view.labels.width === view.picture.width)
 * ```
 */
import type { Generator } from "../values/KeyedRandom.ts"
import * as ColorJitter from "./ColorJitter.ts"
import * as Crop from "./Crop.ts"
import * as LabelMap from "./LabelMap.ts"
import * as OpenCvResize from "./OpenCvResize.ts"
import * as PhotometricDistortion from "./PhotometricDistortion.ts"
import type { Picture } from "./Picture.ts"
import * as Resample from "./Resample.ts"

/** An image and the classes of its pixels, of the same size. */
export interface Annotated {
  readonly picture: Picture
  readonly labels: LabelMap.LabelMap
}

/** The settings of the views. */
export interface Recipe {
  /** Greatest side of the crops, in pixels. Smaller images are not cropped. */
  readonly size: number
  /** The long and the short side that images are resized to fit; null for images that keep their size. */
  readonly resize: readonly [long: number, short: number] | null
  /** The smallest and the largest random factor of these sides. */
  readonly scale: readonly [number, number]
  /** The largest share of one class in a crop (`cat_max_ratio`). Other crops are drawn again, ten times at most. */
  readonly maxClassShare: number
  /** Probability of mirroring. */
  readonly flip: number
  /** Random changes of the colours: those of mmsegmentation, or a jitter; null for none. */
  readonly distortion: "mmsegmentation" | ColorJitter.Amounts | null
}

const TRIES = 10

/**
 * Computes the largest size that fits into a long and a short side, with the ratio of an image's sides. Sides are rounded as in
 * the official code (`rescale_size`).
 */
export const fit = (
  picture: Pick<Picture, "width" | "height">,
  sides: readonly [number, number]
): Pick<Picture, "width" | "height"> => {
  const { height, width } = picture
  const [a, b] = sides
  const factor = Math.min(Math.max(a, b) / Math.max(height, width), Math.min(a, b) / Math.min(height, width))
  const rounded = (side: number): number => Math.max(1, Math.trunc(side * factor + 0.5))
  return { width: rounded(width), height: rounded(height) }
}

/** Resizes an image and its labels. */
export const resize = (annotated: Annotated, size: Pick<Picture, "width" | "height">): Annotated => ({
  picture: OpenCvResize.bilinear(annotated.picture, size.width, size.height),
  labels: LabelMap.resize(annotated.labels, size.width, size.height)
})

/** Computes the share of the most frequent class among the pixels that count; 1 if there are fewer than two classes. */
const largestShare = ({ data }: LabelMap.LabelMap): number => {
  const counts = new Float64Array(256)
  for (const label of data) counts[label]!++
  counts[LabelMap.IGNORED] = 0
  const present = counts.filter((count) => count > 0)
  return present.length < 2 ? 1 : Math.max(...present) / present.reduce((sum, count) => sum + count, 0)
}

/** Draws the box of a crop. */
const boxOf = ({ labels }: Annotated, recipe: Recipe, { integer }: Generator): Resample.Box => {
  const width = Math.min(labels.width, recipe.size)
  const height = Math.min(labels.height, recipe.size)
  const draw = (): Resample.Box => {
    const top = integer(0, labels.height - height)
    return { top, left: integer(0, labels.width - width), width, height }
  }
  let box = draw()
  if (recipe.maxClassShare >= 1) return box
  for (let tried = 0; tried < TRIES; tried++) {
    if (largestShare(LabelMap.cut(labels, box)) < recipe.maxClassShare) return box
    box = draw()
  }
  // The last box is taken as it is.
  return box
}

/** Crops an image and its labels at random. */
export const crop = (annotated: Annotated, recipe: Recipe, draws: Generator): Annotated => {
  const box = boxOf(annotated, recipe, draws)
  return { picture: Resample.cut(annotated.picture, box), labels: LabelMap.cut(annotated.labels, box) }
}

/** Resizes an image and its labels by a random factor. */
const resizeRandomly = (annotated: Annotated, recipe: Recipe, { uniform }: Generator): Annotated => {
  if (recipe.resize === null) return annotated
  const [least, most] = recipe.scale
  const factor = uniform() * (most - least) + least
  const [long, short] = recipe.resize.map((side) => Math.trunc(side * factor)) as [number, number]
  return resize(annotated, fit(annotated.picture, [long, short]))
}

/** Changes the colours of an image at random. */
const distorted = (picture: Picture, { distortion }: Recipe, draws: Generator): Picture => {
  if (distortion === null) return picture
  return distortion === "mmsegmentation"
    ? PhotometricDistortion.random(picture, draws)
    : ColorJitter.random(picture, distortion, draws)
}

/** Makes a view of at most `size` × `size` pixels. The image is not standardised yet, and a smaller view is not padded yet. */
export const random = (annotated: Annotated, recipe: Recipe, draws: Generator): Annotated => {
  const cropped = crop(resizeRandomly(annotated, recipe, draws), recipe, draws)
  const turned = draws.uniform() < recipe.flip
    ? { picture: Crop.flip(cropped.picture), labels: LabelMap.flip(cropped.labels) }
    : cropped
  return { ...turned, picture: distorted(turned.picture, recipe, draws) }
}
