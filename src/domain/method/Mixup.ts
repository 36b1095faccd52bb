/**
 * Mixup and CutMix, as in the batch mode of timm's `Mixup`. A batch is mixed with its own reverse: image `i` with image `B - 1
 * - i`. Mixup averages all pixels by a share. CutMix pastes a rectangle. Targets are mixed by the same share.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Mixup } from "patchword/domain"
 *
 * const images = { data: Float32Array.of(0, 1), shape: [2, 1, 1, 1] } as const
 * const mix: Mixup.Mix = { share: 0.75, box: null }
 * assert.deepStrictEqual(Mixup.images(images, mix), Float32Array.of(0.25, 0.75))
 * const options = { classes: 2, smoothing: 0 }
 * assert.deepStrictEqual(Mixup.targets(Int32Array.of(0, 1), mix, options), Float32Array.of(0.75, 0.25, 0.25, 0.75))
 * ```
 */
import type { Generator } from "../values/KeyedRandom.ts"
import { finish, type Pausable } from "../values/Pausable.ts"

/** The alphas of the symmetric beta distributions of the shares. 0 turns that one off. */
export interface Options {
  readonly mixup: number
  readonly cutmix: number
}

/** A rectangle: rows from `top` to `bottom - 1`, columns from `left` to `right - 1`. */
export interface Box {
  readonly top: number
  readonly bottom: number
  readonly left: number
  readonly right: number
}

/** The mixing of one batch. */
export interface Mix {
  /** The share of each image itself. The rest is its partner's. With a box, the share of the pixels outside of the box. */
  readonly share: number
  /** The rectangle that the partner covers; null if all pixels are mixed. */
  readonly box: Box | null
}

/** Images `[B, C, H, W]`. */
export interface Images {
  readonly data: Float32Array
  readonly shape: readonly [batch: number, channels: number, height: number, width: number]
}

// Marsaglia and Tsang's method, for shapes of at least 1.
const gamma = (shape: number, draws: Generator): number => {
  const d = shape - 1 / 3
  for (;;) {
    const x = draws.normal()
    const v = (1 + x / Math.sqrt(9 * d)) ** 3
    if (v > 0 && Math.log(1 - draws.uniform()) < x * x / 2 + d - d * v + d * Math.log(v)) return d * v
  }
}

/** The smallest normal number. Smaller ones have lost digits. */
const LEAST = 2 ** -1022

/** Draws a number from 0 to 1 from the symmetric beta distribution with parameter `alpha`, above 0. */
export const beta = (alpha: number, draws: Generator): number => {
  // Below 1 by way of the distribution one above: a draw of that, times a power that may be too small for a number.
  const draw = () =>
    alpha < 1
      ? { above: gamma(alpha + 1, draws), uniform: 1 - draws.uniform() }
      : { above: gamma(alpha, draws), uniform: 1 }
  const [one, other] = [draw(), draw()]
  const [a, b] = [one, other].map(({ above, uniform }) => above * uniform ** (1 / alpha)) as [number, number]
  if (Math.min(a, b) >= LEAST) return a / (a + b)
  const apart = Math.log(other.above / one.above) + Math.log(other.uniform / one.uniform) / alpha
  return 1 / (1 + Math.exp(apart))
}

/**
 * Computes the rectangle around a centre that leaves about `share` of an image free. It is cut off at the edges. The result has
 * the exact free share.
 */
export const cut = (
  share: number,
  size: { readonly height: number; readonly width: number },
  centre: { readonly row: number; readonly column: number }
): Mix => {
  const { height, width } = size
  const ratio = Math.sqrt(1 - share)
  const along = (at: number, side: number): readonly [number, number] => {
    const half = Math.floor(Math.trunc(side * ratio) / 2)
    return [Math.max(0, at - half), Math.min(side, at + half)]
  }
  const [top, bottom] = along(centre.row, height)
  const [left, right] = along(centre.column, width)
  return { share: 1 - (bottom - top) * (right - left) / (height * width), box: { top, bottom, left, right } }
}

/** Draws the mixing of a batch. Mixup and CutMix are equally likely if both have an alpha. */
export const draw = (
  options: Options,
  size: { readonly height: number; readonly width: number },
  draws: Generator
): Mix => {
  const { cutmix, mixup } = options
  const cutting = mixup > 0 && cutmix > 0 ? draws.uniform() < 0.5 : cutmix > 0
  const alpha = cutting ? cutmix : mixup
  if (!(alpha > 0)) return { share: 1, box: null }
  const share = beta(alpha, draws)
  if (!cutting) return { share, box: null }
  return cut(share, size, { row: draws.integer(0, size.height - 1), column: draws.integer(0, size.width - 1) })
}

/** Mixes the images of a batch. */
export const images = (batch: Images, mix: Mix): Float32Array => finish(mixing(batch, mix))

/** Mixes the images of a batch, with a pause between two of them. */
export function* mixing(batch: Images, mix: Mix): Pausable<Float32Array> {
  const { data, shape } = batch
  const { box, share } = mix
  const [count, channels, height, width] = shape
  const size = channels * height * width
  const mixed = data.slice()
  for (let image = 0; image < count; image++) {
    if (image > 0) yield
    const own = image * size
    const other = (count - 1 - image) * size
    if (box === null) {
      for (let i = 0; i < size; i++) mixed[own + i] = data[own + i]! * share + data[other + i]! * (1 - share)
      continue
    }
    for (let line = 0; line < channels * height; line++) {
      const row = line % height
      if (row < box.top || row >= box.bottom) continue
      const [from, to] = [line * width + box.left, line * width + box.right]
      mixed.set(data.subarray(other + from, other + to), own + from)
    }
  }
  return mixed
}

/**
 * Computes the targets `[B, K]` of a mixed batch. Each label's row has `smoothing / K` everywhere, plus `1 - smoothing` at the
 * label. Rows are mixed as the images are. A label outside of the classes is a defect.
 */
export const targets = (
  labels: Int32Array,
  mix: Mix,
  options: { readonly classes: number; readonly smoothing: number }
): Float32Array => {
  const { share } = mix
  const { classes, smoothing } = options
  const wrong = labels.find((label) => label < 0 || label >= classes)
  if (wrong !== undefined) throw new RangeError(`mixup: label ${wrong} is not in 0..${classes - 1}`)
  const rows = new Float32Array(labels.length * classes).fill(smoothing / classes)
  const give = (row: number, label: number, part: number) => {
    rows[row * classes + label]! += part * (1 - smoothing)
  }
  labels.forEach((label, row) => {
    give(row, label, share)
    give(row, labels[labels.length - 1 - row]!, 1 - share)
  })
  return rows
}

/** Returns the label of the larger share of each image. */
export const majority = (labels: Int32Array, mix: Mix): Int32Array => mix.share >= 0.5 ? labels : labels.toReversed()
