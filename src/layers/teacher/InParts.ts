/** Images shown to a program of a fixed batch size. */
import { Effect } from "effect"

/** The results, one after another, of images shown `size` at a time. The last part is filled up with zeros. */
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
