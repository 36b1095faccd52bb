/**
 * Random textured grounds, for made-up scenes: one colour, a gradient, stripes, checks, clouds or grain, in two colours.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Ground, KeyedRandom } from "patchword/domain"
 *
 * const draws = KeyedRandom.generator({ seed: 0, purpose: "scene/train", epoch: 0, index: 7 })
 * assert.strictEqual(Ground.random(32, draws).length, 32 * 32 * 3)
 * ```
 */
import type { Generator } from "../values/KeyedRandom.ts"

/** Gives the share of the second colour at a pixel. */
type Mix = (x: number, y: number) => number

const between = ({ uniform }: Generator, least: number, most: number): number => least + (most - least) * uniform()

const clip = (value: number, least: number, most: number): number => Math.min(most, Math.max(least, value))

/** Makes smooth noise: random values at the corners of `cells` × `cells` squares, and a blend of them inside. */
const valueNoise = (size: number, cells: number, { uniform }: Generator): Mix => {
  const side = cells + 1
  const corners = Float64Array.from({ length: side * side }, uniform)
  const place = (at: number): readonly [whole: number, part: number] => {
    const exact = at * cells / size
    const whole = Math.floor(exact)
    const part = exact - whole
    return [whole, part * part * (3 - 2 * part)]
  }
  return (x, y) => {
    const [[column, across], [row, down]] = [place(x), place(y)]
    const at = row * side + column
    const upper = corners[at]! * (1 - across) + corners[at + 1]! * across
    const lower = corners[at + side]! * (1 - across) + corners[at + side + 1]! * across
    return upper * (1 - down) + lower * down
  }
}

/** Turns the axes of a ground by a random angle, and draws the length of its pattern in pixels. */
const turned = (draws: Generator) => {
  const angle = between(draws, 0, Math.PI)
  const [cosine, sine] = [Math.cos(angle), Math.sin(angle)]
  const period = between(draws, 6, 20)
  const phase = between(draws, 0, period)
  const along = (x: number, y: number): number => x * cosine + y * sine
  const across = (x: number, y: number): number => y * cosine - x * sine
  const wave = (at: number): number => Math.sin(2 * Math.PI * (at + phase) / period)
  return { along, across, wave }
}

const KINDS: ReadonlyArray<(size: number, draws: Generator) => Mix> = [
  () => () => 0,
  (size, draws) => {
    const { along } = turned(draws)
    const [last, ends] = [size - 1, [0, size - 1]]
    const corners = ends.flatMap((x) => ends.map((y) => along(x, y)))
    const [least, most] = [Math.min(...corners), Math.max(...corners)]
    return last === 0 ? () => 0 : (x, y) => (along(x, y) - least) / (most - least)
  },
  (_, draws) => {
    const { along, wave } = turned(draws)
    return (x, y) => 0.5 + 0.5 * clip(3 * wave(along(x, y)), -1, 1)
  },
  (_, draws) => {
    const { across, along, wave } = turned(draws)
    return (x, y) => 0.5 + 0.5 * clip(6 * wave(along(x, y)) * wave(across(x, y)), -1, 1)
  },
  (size, draws) => {
    const [coarse, middle, fine] = [3, 6, 12].map((cells) => valueNoise(size, cells, draws))
    return (x, y) => 0.5 * coarse!(x, y) + 0.3 * middle!(x, y) + 0.2 * fine!(x, y)
  },
  (size, draws) => {
    const noise = valueNoise(size, 16, draws)
    return (x, y) => 0.6 * noise(x, y) + 0.4 * draws.uniform()
  }
]

/** Makes a ground of `size` × `size` pixels: RGB, interleaved, from 0 to 255. */
export const random = (size: number, draws: Generator): Float64Array => {
  const kind = KINDS[draws.integer(0, KINDS.length - 1)]!
  const first = [0, 1, 2].map(() => between(draws, 40, 215))
  const change = first.map((value) => clip(value + between(draws, -60, 60), 0, 255) - value)
  const mix = kind(size, draws)
  const ground = new Float64Array(size * size * 3)
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const share = mix(x, y)
      const at = (y * size + x) * 3
      for (let channel = 0; channel < 3; channel++) ground[at + channel] = first[channel]! + change[channel]! * share
    }
  }
  return ground
}
