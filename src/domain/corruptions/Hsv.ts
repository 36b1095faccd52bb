/** Colours by hue, saturation and value, each from 0 to 1. */
import type { Picture } from "../pixels/Picture.ts"
import * as UnitValues from "./UnitValues.ts"

/** A colour. */
export type Hsv = readonly [hue: number, saturation: number, value: number]

const from = (red: number, green: number, blue: number): Hsv => {
  const value = Math.max(red, green, blue)
  const range = value - Math.min(red, green, blue)
  if (range === 0) return [0, 0, value]
  const sixths = blue === value
    ? 4 + (red - green) / range
    : green === value
    ? 2 + (blue - red) / range
    : (green - blue) / range
  const hue = sixths / 6
  return [hue - Math.floor(hue), range / value, value]
}

const to = ([hue, saturation, value]: Hsv): readonly [red: number, green: number, blue: number] => {
  const sector = Math.floor(hue * 6)
  const rest = hue * 6 - sector
  const low = value * (1 - saturation)
  const falling = value * (1 - rest * saturation)
  const rising = value * (1 - (1 - rest) * saturation)
  switch (sector % 6) {
    case 0:
      return [value, rising, low]
    case 1:
      return [falling, value, low]
    case 2:
      return [low, value, rising]
    case 3:
      return [low, falling, value]
    case 4:
      return [rising, low, value]
    default:
      return [value, low, falling]
  }
}

/** Changes each colour of an image. */
export const map = (picture: Picture, change: (colour: Hsv) => Hsv): Picture => {
  const values = UnitValues.of(picture)
  for (let i = 0; i < values.length; i += 3) {
    values.set(to(change(from(values[i]!, values[i + 1]!, values[i + 2]!))), i)
  }
  return UnitValues.toPicture(picture, values)
}
