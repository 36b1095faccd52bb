/** Blurs as in ImageNet-C. */
import type { Picture } from "../pixels/Picture.ts"
import type { Generator } from "../values/KeyedRandom.ts"
import * as Border from "./Border.ts"
import * as CentreZoom from "./CentreZoom.ts"
import * as GaussianFilter from "./GaussianFilter.ts"
import * as MotionFilter from "./MotionFilter.ts"
import * as Severity from "./Severity.ts"
import * as UnitValues from "./UnitValues.ts"

type Pair = readonly [number, number]

const blurred = (picture: Picture, sigma: number): Picture =>
  UnitValues.toPicture(picture, GaussianFilter.blur(UnitValues.of(picture), picture, sigma))

/** Blurs by a Gaussian. */
export const gaussian = (picture: Picture, severity: Severity.Severity): Picture =>
  blurred(picture, Severity.pick([1, 2, 3, 4, 6], severity))

/** Gives each pixel the colour of a near one, between two blurs. */
export const glass = (picture: Picture, severity: Severity.Severity, { integer }: Generator): Picture => {
  const [sigma, reach, rounds] = Severity.pick([
    [0.7, 1, 2],
    [0.9, 2, 1],
    [1, 2, 3],
    [1.1, 3, 2],
    [1.5, 4, 2]
  ], severity)
  const soft = blurred(picture, sigma)
  const { data, height, width } = soft
  for (let round = 0; round < rounds; round++) {
    for (let row = height - reach; row > reach; row--) {
      for (let column = width - reach; column > reach; column--) {
        const right = integer(-reach, reach - 1)
        const down = integer(-reach, reach - 1)
        // The published code means to exchange the two pixels, and copies one: its exchange reads what it has just written.
        const from = ((row + down) * width + column + right) * 3
        data.copyWithin((row * width + column) * 3, from, from + 3)
      }
    }
  }
  return blurred(soft, sigma)
}

/** A square of weights, row by row. */
export interface Kernel {
  readonly side: number
  readonly weights: Float64Array
}

/** Makes the kernel of a lens: a disk, with its edge blurred by a small Gaussian. */
export const disk = (radius: number, alias: number): Kernel => {
  const [half, reach] = radius <= 8 ? [8, 1] : [radius, 2]
  const side = 2 * half + 1
  const inside = Float64Array.from(
    { length: side * side },
    (_, i) => Math.hypot(i % side - half, Math.floor(i / side) - half) <= radius ? 1 : 0
  )
  const area = inside.reduce((a, b) => a + b, 0)
  const soft = GaussianFilter.blur(inside.map((weight) => weight / area), { width: side, height: side }, alias, {
    border: Border.mirror,
    truncate: reach / alias
  })
  // 32-bit floats add up to a little less than 1, which takes a level from white areas in the published images, too.
  return { side, weights: soft.map(Math.fround) }
}

/** Blurs as a lens out of focus. */
export const defocus = (picture: Picture, severity: Severity.Severity): Picture => {
  const { side, weights } = disk(...Severity.pick<Pair>([[3, 0.1], [4, 0.5], [6, 0.5], [8, 0.5], [10, 0.5]], severity))
  const half = (side - 1) / 2
  const { height, width } = picture
  const values = UnitValues.of(picture)
  const out = new Float64Array(values.length)
  const places = (length: number) =>
    Int32Array.from({ length: length + side - 1 }, (_, i) => Border.mirror(i - half, length))
  const [rows, columns] = [places(height), places(width)]
  for (let tap = 0; tap < weights.length; tap++) {
    const weight = weights[tap]!
    if (weight === 0) continue
    const [right, down] = [tap % side, Math.floor(tap / side)]
    for (let row = 0, to = 0; row < height; row++) {
      const line = rows[row + down]! * width
      for (let column = 0; column < width; column++, to += 3) {
        const from = (line + columns[column + right]!) * 3
        out[to]! += weight * values[from]!
        out[to + 1]! += weight * values[from + 1]!
        out[to + 2]! += weight * values[from + 2]!
      }
    }
  }
  return UnitValues.toPicture(picture, out)
}

/** Blurs along a random direction, within 45 degrees of the horizontal. */
export const motion = (picture: Picture, severity: Severity.Severity, { uniform }: Generator): Picture => {
  const [radius, sigma] = Severity.pick([[10, 3], [15, 5], [15, 8], [15, 12], [20, 15]], severity)
  const values = MotionFilter.blur(UnitValues.of(picture), picture, { radius, sigma, angle: 90 * uniform() - 45 })
  return { ...picture, data: Uint8Array.from(values, (value) => Math.round(255 * value)) }
}

/** The factors of a zoom as NumPy's `arange` makes them: their last one depends on rounding. */
const factors = (end: number, step: number): ReadonlyArray<number> => {
  const delta = 1 + step - 1
  return Array.from({ length: Math.ceil((end - 1) / step) }, (_, i) => 1 + i * delta)
}

/** Blurs towards the centre: the mean of the image and of its enlargements. */
export const zoom = (picture: Picture, severity: Severity.Severity): Picture => {
  const all = factors(
    ...Severity.pick<Pair>([[1.11, 0.01], [1.16, 0.01], [1.21, 0.02], [1.26, 0.02], [1.31, 0.03]], severity)
  )
  const values = UnitValues.of(picture)
  const sum = values.slice()
  for (const factor of all) {
    const larger = CentreZoom.zoom(values, picture, factor)
    for (let i = 0; i < sum.length; i++) sum[i]! += larger[i]!
  }
  return UnitValues.toPicture(picture, sum.map((value) => value / (all.length + 1)))
}
