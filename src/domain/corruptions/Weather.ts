/** Weather as in ImageNet-C. */
import type { Picture } from "../pixels/Picture.ts"
import type { Generator } from "../values/KeyedRandom.ts"
import * as CentreZoom from "./CentreZoom.ts"
import * as Hsv from "./Hsv.ts"
import * as MotionFilter from "./MotionFilter.ts"
import * as Plasma from "./Plasma.ts"
import * as Severity from "./Severity.ts"
import * as UnitValues from "./UnitValues.ts"

/** Lets snow fall, and makes the image paler. */
export const snow = (picture: Picture, severity: Severity.Severity, { normal, uniform }: Generator): Picture => {
  const [mean, deviation, flake, least, radius, sigma, clear] = Severity.pick([
    [0.1, 0.3, 3, 0.5, 10, 4, 0.8],
    [0.2, 0.3, 2, 0.5, 12, 4, 0.7],
    [0.55, 0.3, 4, 0.9, 12, 8, 0.7],
    [0.55, 0.3, 4.5, 0.85, 12, 8, 0.65],
    [0.55, 0.3, 2.5, 0.85, 12, 12, 0.55]
  ], severity)
  const dots = Float64Array.from({ length: picture.width * picture.height }, () => mean + deviation * normal())
  const flakes = CentreZoom.zoom(dots, picture, flake).map((value) =>
    value < least ? 0 : Math.trunc(255 * UnitValues.clip(value)) / 255
  )
  const falling = MotionFilter.blur(flakes, picture, { radius, sigma, angle: 90 * uniform() - 135 })
  const values = UnitValues.of(picture)
  for (let pixel = 0; pixel < falling.length; pixel++) {
    const at = 3 * pixel
    const grey = 0.299 * values[at]! + 0.587 * values[at + 1]! + 0.114 * values[at + 2]!
    const snowed = falling[pixel]! + falling[falling.length - 1 - pixel]!
    for (let i = at; i < at + 3; i++) {
      values[i] = clear * values[i]! + (1 - clear) * Math.max(values[i]!, 1.5 * grey + 0.5) + snowed
    }
  }
  return UnitValues.toPicture(picture, values)
}

/** Lays a random part of a picture of frost over the image. The pictures are larger than the image. */
export const frost = (
  picture: Picture,
  severity: Severity.Severity,
  { integer }: Generator,
  pictures: ReadonlyArray<Picture>
): Picture => {
  const [image, ice] = Severity.pick([[1, 0.4], [0.8, 0.6], [0.7, 0.7], [0.65, 0.7], [0.6, 0.75]], severity)
  const chosen = pictures[integer(0, pictures.length - 1)]!
  const { data, height, width } = picture
  const top = integer(0, chosen.height - height - 1)
  const left = integer(0, chosen.width - width - 1)
  const out = data.map((value, i) => {
    const pixel = Math.floor(i / 3)
    const from = (top + Math.floor(pixel / width)) * chosen.width + left + pixel % width
    return Math.min(255, image * value + ice * chosen.data[3 * from + i % 3]!)
  })
  return { width, height, data: out }
}

/** The amount of fog, and the decay of its cloud. */
const FOG: Severity.Settings<readonly [amount: number, decay: number]> = [
  [1.5, 2],
  [2, 2],
  [2.5, 1.7],
  [2.5, 1.5],
  [3, 1.4]
]

/** Covers the image with a given cloud: a value from 0 to 1 for each pixel. */
export const cover = (picture: Picture, severity: Severity.Severity, cloud: ArrayLike<number>): Picture => {
  const [amount] = Severity.pick(FOG, severity)
  const brightest = picture.data.reduce((a, b) => Math.max(a, b), 0) / 255
  return UnitValues.map(
    picture,
    (value, i) => (value + amount * cloud[Math.floor(i / 3)]!) * brightest / (brightest + amount)
  )
}

/** Covers the image with fog. */
export const fog = (picture: Picture, severity: Severity.Severity, draws: Generator): Picture => {
  const [, decay] = Severity.pick(FOG, severity)
  const { height, width } = picture
  const side = 2 ** Math.ceil(Math.log2(Math.max(2, height, width)))
  const plasma = Plasma.make(side, decay, draws)
  const cloud = Float64Array.from(
    { length: height * width },
    (_, i) => plasma[Math.floor(i / width) * side + i % width]!
  )
  return cover(picture, severity, cloud)
}

/** Makes the image brighter. */
export const brightness = (picture: Picture, severity: Severity.Severity): Picture => {
  const added = Severity.pick([0.1, 0.2, 0.3, 0.4, 0.5], severity)
  return Hsv.map(picture, ([hue, saturation, value]) => [hue, saturation, UnitValues.clip(value + added)])
}
