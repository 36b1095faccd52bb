/**
 * Made-up scenes whose classes of pixels are known: drawings on a textured ground. A scene depends on its draws alone.
 *
 * ```ts
 * import assert from "node:assert"
 * import { KeyedRandom, Scene } from "patchword/domain"
 *
 * const disc = { side: 2, data: new Uint8Array(16).fill(255) }
 * const recipe = { size: 32, count: [1, 1], side: [8, 8], overlap: 0.2 } as const
 * const draws = KeyedRandom.generator({ seed: 0, purpose: "scene/train", epoch: 0, index: 7 })
 * const { labels } = Scene.random([[[disc]]], recipe, draws)
 * assert.strictEqual(labels.data.filter((label) => label === 1).length, 64)
 * ```
 */
import type { Generator } from "../values/KeyedRandom.ts"
import * as Ground from "./Ground.ts"
import type { Annotated } from "./SegmentationView.ts"

/** A square drawing: `side * side` pixels of RGBA, 8 bits a channel, colours multiplied by alpha. */
export interface Drawing {
  readonly side: number
  readonly data: Uint8Array
}

/** The drawings by class and by concept. A class may have none. */
export type Stock = ReadonlyArray<ReadonlyArray<ReadonlyArray<Drawing>>>

/** The settings of scenes. Ranges include both ends. */
export interface Recipe {
  /** Side of the scenes, in pixels. */
  readonly size: number
  /** The number of drawings that are wanted. */
  readonly count: readonly [number, number]
  /** The sides of drawings, in pixels. */
  readonly side: readonly [number, number]
  /** The largest share of a drawing's pixels that may cover other drawings. */
  readonly overlap: number
}

const TRIES = 40
const CHANNELS = 4
const OPAQUE = 127.5

/** For each pixel of a line that is resized by areas: the first pixel that it covers, and the share of each. */
const covering = (length: number, out: number) => {
  const step = length / out
  return Array.from({ length: out }, (_, at) => {
    const [start, end] = [at * step, (at + 1) * step]
    const first = Math.min(Math.floor(start), length - 1)
    const shares = Array.from(
      { length: Math.min(Math.ceil(end), length) - first },
      (_, i) => (Math.min(end, first + i + 1) - Math.max(start, first + i)) / step
    )
    return { first, shares }
  })
}

/** Resizes a drawing to `side` by the areas that its pixels cover. */
const resized = ({ data, side }: Drawing, to: number): Float64Array => {
  if (side === to) return Float64Array.from(data)
  const places = covering(side, to)
  const across = new Float64Array(side * to * CHANNELS)
  const found = new Float64Array(to * to * CHANNELS)
  for (let row = 0; row < side; row++) {
    places.forEach(({ first, shares }, at) =>
      shares.forEach((share, i) => {
        for (let channel = 0; channel < CHANNELS; channel++) {
          across[(row * to + at) * CHANNELS + channel]! += share * data[(row * side + first + i) * CHANNELS + channel]!
        }
      })
    )
  }
  const line = to * CHANNELS
  places.forEach(({ first, shares }, row) =>
    shares.forEach((share, i) => {
      for (let at = 0; at < line; at++) found[row * line + at]! += share * across[(first + i) * line + at]!
    })
  )
  return found
}

/** A drawing at its place. */
interface Placed {
  readonly pixels: Float64Array
  readonly side: number
  readonly left: number
  readonly top: number
  readonly mirrored: boolean
}

const draw = (concepts: Stock[number], recipe: Recipe, { integer, uniform }: Generator): Placed => {
  const drawings = concepts[integer(0, concepts.length - 1)]!
  const drawing = drawings[integer(0, drawings.length - 1)]!
  const side = integer(...recipe.side)
  const mirrored = uniform() < 0.5
  const top = integer(0, recipe.size - side)
  const left = integer(0, recipe.size - side)
  return { pixels: resized(drawing, side), side, left, top, mirrored }
}

/** Calls `use` with the place of each pixel in the drawing and in the scene. */
const each = ({ left, mirrored, side, top }: Placed, size: number, use: (from: number, to: number) => void): void => {
  for (let row = 0; row < side; row++) {
    for (let at = 0; at < side; at++) {
      use((row * side + (mirrored ? side - 1 - at : at)) * CHANNELS, (top + row) * size + left + at)
    }
  }
}

/**
 * Makes a scene. Its labels are 0 for the ground, and from 1 on for the classes of the stock: that of the uppermost drawing whose
 * alpha is at least one half. A class, a concept of it and a drawing of that are drawn, each with equal probability.
 */
export const random = (stock: Stock, recipe: Recipe, draws: Generator): Annotated => {
  const { overlap, size } = recipe
  const colours = Ground.random(size, draws)
  const labels = new Uint8Array(size * size)
  const wanted = draws.integer(...recipe.count)
  let placed = 0
  for (let tried = 0; tried < TRIES && placed < wanted; tried++) {
    const kind = draws.integer(0, stock.length - 1)
    if (stock[kind]!.length === 0) continue
    const drawn = draw(stock[kind]!, recipe, draws)
    const { pixels } = drawn
    let [visible, taken] = [0, 0]
    each(drawn, size, (from, to) => {
      if (pixels[from + 3]! < OPAQUE) return
      visible++
      if (labels[to] !== 0) taken++
    })
    if (visible === 0 || taken > overlap * visible) continue
    each(drawn, size, (from, to) => {
      const alpha = pixels[from + 3]!
      for (let channel = 0; channel < 3; channel++) {
        const at = to * 3 + channel
        colours[at] = colours[at]! * (1 - alpha / 255) + pixels[from + channel]!
      }
      if (alpha >= OPAQUE) labels[to] = kind + 1
    })
    placed++
  }
  const data = Uint8Array.from(colours, (value) => Math.min(255, Math.max(0, Math.round(value))))
  return { picture: { width: size, height: size, data }, labels: { width: size, height: size, data: labels } }
}
