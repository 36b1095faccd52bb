/**
 * The classes of an image's pixels, from the logits of windows (mmsegmentation's `slide_inference` and `aug_test`). Where windows
 * overlap, the mean of their logits counts. An image may be looked at in several sizes, plain and mirrored. Then the mean of the
 * probabilities counts.
 *
 * Classes are taken one after another, so that the scores of all 150 classes of a large image need not be in memory at once.
 *
 * ```ts
 * import assert from "node:assert"
 * import { DenseScores } from "patchword/domain"
 *
 * const box = { left: 0, top: 0, width: 2, height: 1 }
 * const logits = { classes: 2, width: 2, height: 1, data: Float32Array.of(1, 0, 0, 3) }
 * const look = { width: 2, height: 1, size: 2, mirrored: false, windows: [{ box, logits }] }
 * const labels = DenseScores.labels([look], { width: 2, height: 1 })
 * assert.deepStrictEqual([...labels.data], [0, 1])
 * ```
 */
import type { LabelMap } from "../pixels/LabelMap.ts"
import * as Plane from "../pixels/Plane.ts"
import type { Box } from "../pixels/Resample.ts"
import * as SlidingWindows from "../pixels/SlidingWindows.ts"

/** Logits `[K, H, W]` of the `K` classes, at any resolution. */
export interface Logits {
  readonly classes: number
  readonly height: number
  readonly width: number
  readonly data: Float32Array
}

/** What a network says of an image in one size. */
export interface Look {
  /** The size of the image that was looked at. */
  readonly width: number
  readonly height: number
  /** The side of the windows that the network sees. Smaller windows are padded to it. */
  readonly size: number
  /** True if the image was mirrored. */
  readonly mirrored: boolean
  /** The windows and their logits. Logits cover the padded window. */
  readonly windows: ReadonlyArray<{ readonly box: Box; readonly logits: Logits }>
}

type Size = Pick<LabelMap, "width" | "height">

/** Counts the windows over each pixel of a look. */
const countsOf = (look: Look): Int32Array => SlidingWindows.counts(look, look.windows.map(({ box }) => box))

/** Computes the mean logits of a class at the size that was looked at. */
const meanOf = ({ height, size, width, windows }: Look, kind: number, counts: Int32Array): Plane.Plane => {
  const sums = new Float64Array(width * height)
  for (const { box, logits } of windows) {
    const length = logits.height * logits.width
    const plane = { ...logits, data: logits.data.subarray(kind * length, (kind + 1) * length) }
    const enlarged = Plane.resize(plane, { width: size, height: size }).data
    for (let row = 0; row < box.height; row++) {
      const to = (box.top + row) * width + box.left
      for (let at = 0; at < box.width; at++) sums[to + at]! += enlarged[row * size + at]!
    }
  }
  return { width, height, data: sums.map((sum, at) => sum / counts[at]!) }
}

/**
 * Computes the mean logits of a class, of the upright image in its original size. `counts` are the windows over each pixel, which are
 * the same for all classes.
 */
export const logits = (look: Look, kind: number, size: Size, counts = countsOf(look)): Plane.Plane => {
  const resized = Plane.resize(meanOf(look, kind, counts), size)
  return look.mirrored ? Plane.flip(resized) : resized
}

const classesOf = ([first]: ReadonlyArray<Look>): number => first?.windows[0]?.logits.classes ?? 0

/** Computes the logarithm of the sum of all exponentials of a look's logits, for each pixel. */
const normaliser = (look: Look, classes: number, size: Size, counts: Int32Array): Float64Array => {
  const greatest = new Float64Array(size.width * size.height).fill(-Infinity)
  const sums = new Float64Array(size.width * size.height)
  for (let kind = 0; kind < classes; kind++) {
    const { data } = logits(look, kind, size, counts)
    for (let at = 0; at < sums.length; at++) {
      const most = Math.max(greatest[at]!, data[at]!)
      sums[at] = sums[at]! * Math.exp(greatest[at]! - most) + Math.exp(data[at]! - most)
      greatest[at] = most
    }
  }
  return sums.map((sum, at) => greatest[at]! + Math.log(sum))
}

/** Yields the mean probabilities of each class over all looks. */
export function* probabilities(looks: ReadonlyArray<Look>, size: Size): Generator<Plane.Plane> {
  const classes = classesOf(looks)
  const counts = looks.map(countsOf)
  const normalisers = looks.map((look, i) => normaliser(look, classes, size, counts[i]!))
  for (let kind = 0; kind < classes; kind++) {
    const sums = new Float64Array(size.width * size.height)
    looks.forEach((look, i) => {
      const { data } = logits(look, kind, size, counts[i])
      for (let at = 0; at < sums.length; at++) sums[at]! += Math.exp(data[at]! - normalisers[i]![at]!) / looks.length
    })
    yield { ...size, data: sums }
  }
}

/** Yields the scores whose greatest decides. Those of one look need no probabilities. */
function* deciding(looks: ReadonlyArray<Look>, size: Size): Generator<Plane.Plane> {
  const [only, second] = looks
  if (only === undefined || second !== undefined) return yield* probabilities(looks, size)
  const counts = countsOf(only)
  for (let kind = 0; kind < classesOf(looks); kind++) yield logits(only, kind, size, counts)
}

/** Finds the class of each pixel of an image of `size`. Of equal scores, the first class is taken. */
export const labels = (looks: ReadonlyArray<Look>, size: Size): LabelMap => {
  const best = new Float64Array(size.width * size.height).fill(-Infinity)
  const data = new Uint8Array(best.length)
  let kind = 0
  for (const { data: scores } of deciding(looks, size)) {
    for (let at = 0; at < best.length; at++) {
      if (scores[at]! > best[at]!) {
        best[at] = scores[at]!
        data[at] = kind
      }
    }
    kind++
  }
  return { ...size, data }
}
