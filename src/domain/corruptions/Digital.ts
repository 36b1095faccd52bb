/** Digital faults as in ImageNet-C. */
import type { Picture } from "../pixels/Picture.ts"
import * as Resample from "../pixels/Resample.ts"
import type { Generator } from "../values/KeyedRandom.ts"
import * as Border from "./Border.ts"
import * as GaussianFilter from "./GaussianFilter.ts"
import * as Hsv from "./Hsv.ts"
import * as Severity from "./Severity.ts"
import * as UnitValues from "./UnitValues.ts"

/** The quality of JPEG files of each severity. */
export const JPEG_QUALITY: Severity.Settings<number> = [25, 18, 15, 10, 7]

/** Moves each channel towards its mean. */
export const contrast = (picture: Picture, severity: Severity.Severity): Picture => {
  const kept = Severity.pick([0.4, 0.3, 0.2, 0.1, 0.05], severity)
  const values = UnitValues.of(picture)
  const sums = [0, 0, 0]
  values.forEach((value, i) => sums[i % 3]! += value)
  const means = sums.map((sum) => sum / (values.length / 3))
  return UnitValues.toPicture(picture, values.map((value, i) => (value - means[i % 3]!) * kept + means[i % 3]!))
}

/** Changes the saturation of colours. */
export const saturate = (picture: Picture, severity: Severity.Severity): Picture => {
  const [factor, added] = Severity.pick([[0.3, 0], [0.1, 0], [2, 0], [5, 0.1], [20, 0.2]], severity)
  return Hsv.map(picture, ([hue, saturation, value]) => [hue, UnitValues.clip(saturation * factor + added), value])
}

/** Makes the image of fewer and larger pixels. */
export const pixelate = (picture: Picture, severity: Severity.Severity): Picture => {
  const share = Severity.pick([0.6, 0.5, 0.4, 0.3, 0.25], severity)
  const { height, width } = picture
  const small = (side: number) => Math.max(1, Math.trunc(side * share))
  return Resample.resize(Resample.resize(picture, small(width), small(height), "box"), width, height, "box")
}

type Point = readonly [x: number, y: number]

/** Computes the affine map that takes three points to three others. */
const affine = (from: readonly [Point, Point, Point], to: readonly [Point, Point, Point]) => {
  const [[x0, y0], [x1, y1], [x2, y2]] = from
  const area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
  const along = (axis: 0 | 1) => {
    const [u0, u1, u2] = [to[0][axis], to[1][axis], to[2][axis]]
    const perX = ((u1 - u0) * (y2 - y0) - (u2 - u0) * (y1 - y0)) / area
    const perY = ((u2 - u0) * (x1 - x0) - (u1 - u0) * (x2 - x0)) / area
    return (x: number, y: number) => u0 + perX * (x - x0) + perY * (y - y0)
  }
  const [x, y] = [along(0), along(1)]
  return (column: number, row: number): Point => [x(column, row), y(column, row)]
}

/** Moves pixels: each takes the colour at a point of the image, by linear interpolation. */
const warp = (
  values: Float64Array,
  { height, width }: UnitValues.Size,
  border: Border.Border,
  source: (column: number, row: number) => Point
): Float64Array => {
  const out = new Float64Array(values.length)
  for (let row = 0, to = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const [x, y] = source(column, row)
      const [left, top] = [Math.floor(x), Math.floor(y)]
      const [across, down] = [x - left, y - top]
      const lines = [border(top, height) * width, border(top + 1, height) * width] as const
      const places = [border(left, width), border(left + 1, width)] as const
      for (let channel = 0; channel < 3; channel++, to++) {
        const at = (line: 0 | 1, place: 0 | 1) => values[(lines[line] + places[place]) * 3 + channel]!
        out[to] = (1 - down) * ((1 - across) * at(0, 0) + across * at(0, 1)) +
          down * ((1 - across) * at(1, 0) + across * at(1, 1))
      }
    }
  }
  return out
}

/** The published lengths are multiples of 244, by a slip, for images of 224 pixels. Other sizes have lengths in proportion. */
const UNIT = 244 / 224

/** Stretches the image by a random affine map, then by a smooth random field. */
export const elastic = (picture: Picture, severity: Severity.Severity, { uniform }: Generator): Picture => {
  const { height, width } = picture
  const side = UNIT * Math.min(height, width)
  const [strength, sigma, shift] = Severity.pick([
    [2, 0.7, 0.1],
    [2, 0.08, 0.2],
    [0.05, 0.01, 0.02],
    [0.07, 0.01, 0.02],
    [0.12, 0.01, 0.02]
  ], severity).map((share) => share * side) as [number, number, number]
  const signed = () => 2 * uniform() - 1
  const [x, y] = [Math.floor(width / 2), Math.floor(height / 2)]
  const reach = Math.floor(Math.min(height, width) / 3)
  const corners: readonly [Point, Point, Point] = [
    [x + reach, y + reach],
    [x + reach, y - reach],
    [x - reach, y - reach]
  ]
  const moved = (point: Point): Point => [point[0] + shift * signed(), point[1] + shift * signed()]
  const stretched = warp(
    UnitValues.of(picture),
    picture,
    Border.mirror,
    affine([moved(corners[0]), moved(corners[1]), moved(corners[2])], corners)
  )
  const field = () =>
    GaussianFilter.blur(Float64Array.from({ length: height * width }, signed), picture, sigma, {
      border: Border.reflect,
      truncate: 3
    })
  const [right, down] = [field(), field()]
  const source = (column: number, row: number): Point => {
    const at = row * width + column
    return [column + strength * right[at]!, row + strength * down[at]!]
  }
  return UnitValues.toPicture(picture, warp(stretched, picture, Border.reflect, source))
}
