/** Runs a program of fixed batch size on any number of images. */
import { Effect } from "effect"

/** Runs the images in parts of `size` and joins the results. The last part is padded with zeros. */
export const inParts = Effect.fnUntraced(function*<E>(
  pixels: Float32Array,
  batch: number,
  size: number,
  run: (pixels: Float32Array) => Effect.Effect<Float32Array, E>
) {
  const image = pixels.length / batch
  const starts = Array.from({ length: Math.ceil(batch / size) }, (_, i) => i * size)
  const parts = yield* Effect.forEach(starts, (start) => {
    const part = new Float32Array(size * image)
    part.set(pixels.subarray(start * image, (start + size) * image))
    return run(part)
  })
  const row = (parts[0]?.length ?? 0) / size
  const all = new Float32Array(batch * row)
  parts.forEach((part, i) => all.set(part.subarray(0, (batch - i * size) * row), i * size * row))
  return all
})
