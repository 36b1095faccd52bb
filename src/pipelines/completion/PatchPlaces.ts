/**
 * The places of the values of each patch in a picture `[3, S, S]`. The values of a patch have the order channel, row, column.
 *
 * ```ts
 * import assert from "node:assert"
 * import { PatchPlaces } from "patchword/pipelines"
 *
 * const places = PatchPlaces.of({ imageSize: 4, patchSize: 2 })
 * assert.deepStrictEqual([...places[1]!].slice(0, 4), [2, 3, 6, 7])
 * ```
 */

/** The places of the values of each patch, patches row by row. */
export type PatchPlaces = ReadonlyArray<Int32Array>

/** Returns the places of square patches in square pictures. */
export const of = (sides: { readonly imageSize: number; readonly patchSize: number }): PatchPlaces => {
  const { imageSize, patchSize } = sides
  const grid = imageSize / patchSize
  return Array.from({ length: grid ** 2 }, (_, patch) => {
    const [top, left] = [Math.floor(patch / grid) * patchSize, (patch % grid) * patchSize]
    return Int32Array.from({ length: 3 * patchSize ** 2 }, (__, at) => {
      const [channel, pixel] = [Math.floor(at / patchSize ** 2), at % patchSize ** 2]
      return channel * imageSize ** 2 + (top + Math.floor(pixel / patchSize)) * imageSize + left + pixel % patchSize
    })
  })
}

/** Returns the places of the values of masked patches. */
export const masked = (places: PatchPlaces, mask: ArrayLike<number>): Int32Array =>
  Int32Array.from(places.flatMap((own, patch) => mask[patch] === 1 ? Array.from(own) : []))

/** Computes the mean of each channel over the patches that `isIn` selects; grey if it selects none. */
export const meanColour = (
  picture: Float32Array,
  places: PatchPlaces,
  isIn: (patch: number) => boolean = () => true
): readonly [red: number, green: number, blue: number] => {
  const sums: [number, number, number] = [0, 0, 0]
  let count = 0
  places.forEach((own, patch) => {
    if (!isIn(patch)) return
    const pixels = own.length / 3
    own.forEach((place, at) => (sums[Math.floor(at / pixels)]! += picture[place]!))
    count += pixels
  })
  return count === 0 ? [0.5, 0.5, 0.5] : [sums[0] / count, sums[1] / count, sums[2] / count]
}

/** Returns a picture of one colour. */
export const plain = (colour: readonly [number, number, number], length: number): Float32Array => {
  const picture = new Float32Array(length)
  colour.forEach((value, channel) => picture.fill(value, channel * length / 3, (channel + 1) * length / 3))
  return picture
}

/** Returns a picture with the masked patches of another one. */
export const filled = (
  picture: Float32Array,
  other: Float32Array,
  places: PatchPlaces,
  mask: ArrayLike<number>
): Float32Array => {
  const made = picture.slice()
  for (const place of masked(places, mask)) made[place] = other[place]!
  return made
}
