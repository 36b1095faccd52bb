/** Pixels as numbers from 0 to 1, in which corruptions compute. */
import type { Picture } from "../pixels/Picture.ts"

/** The sides of an image. */
export type Size = Pick<Picture, "width" | "height">

/** Converts 8-bit values to numbers from 0 to 1, in the same order. */
export const of = ({ data }: Picture): Float64Array => {
  const values = new Float64Array(data.length)
  for (let i = 0; i < data.length; i++) values[i] = data[i]! / 255
  return values
}

/** Limits a number to the range from 0 to 1. */
export const clip = (value: number): number => Math.min(1, Math.max(0, value))

/** Converts numbers to an image: they are limited to the range from 0 to 1, and truncated to 8 bits. */
export const toPicture = ({ height, width }: Size, values: ArrayLike<number>): Picture => {
  const data = new Uint8Array(values.length)
  for (let i = 0; i < data.length; i++) data[i] = Math.trunc(clip(values[i]!) * 255)
  return { width, height, data }
}

/** Changes each value of an image by itself. */
export const map = (picture: Picture, change: (value: number, index: number) => number): Picture =>
  toPicture(picture, of(picture).map(change))
