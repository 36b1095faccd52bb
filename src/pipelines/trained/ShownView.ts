/** The views of images that a network sees, as pictures. */
import type { Picture } from "../../domain/pixels/Picture.ts"
import type { HostTensor } from "../../shapes/HostTensor.ts"

/** Returns an image of a batch with values from 0 to 1 as a picture. */
export const pictureOf = (unit: HostTensor<[number, 3, number, number], "float32">, place: number): Picture => {
  const [, channels, height, width] = unit.shape
  const pixels = height * width
  const start = place * channels * pixels
  const data = new Uint8Array(channels * pixels)
  for (let pixel = 0; pixel < pixels; pixel++) {
    for (let channel = 0; channel < channels; channel++) {
      data[pixel * channels + channel] = Math.round(255 * unit.data[start + channel * pixels + pixel]!)
    }
  }
  return { width, height, data }
}
