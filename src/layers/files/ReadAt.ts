/** Reads a part of a file. */
import { Effect, type FileSystem } from "effect"

/** Reads bytes from a position. Returns fewer if the file ends before. */
export const readAt = Effect.fnUntraced(function*(file: FileSystem.File, position: number, length: number) {
  const bytes = new Uint8Array(length)
  let filled = 0
  while (filled < length) {
    const count = yield* file.read(bytes.subarray(filled), { position: BigInt(position + filled) })
    if (count === 0) break
    filled += count
  }
  return bytes.subarray(0, filled)
})
