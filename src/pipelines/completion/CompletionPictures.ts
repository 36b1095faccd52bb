/** Completed images as PNG files. */
import { Effect } from "effect"
import type { Completed } from "./Complete.ts"
import * as PatchPlaces from "./PatchPlaces.ts"

/** The sides of pictures and of their patches, in pixels. */
interface Sides {
  readonly imageSize: number
  readonly patchSize: number
}

/** The colour of masked patches. */
const HIDDEN = [0.15, 0.16, 0.18] as const

/** Encodes a picture `[3, S, S]` with values from 0 to 1 as PNG. */
export const png = Effect.fnUntraced(function*(picture: Float32Array, side: number): Effect.fn.Return<Buffer> {
  const pixels = side ** 2
  const data = Uint8Array.from(
    { length: 3 * pixels },
    (_, at) => Math.round(255 * Math.min(1, Math.max(0, picture[(at % 3) * pixels + Math.floor(at / 3)]!)))
  )
  const { default: sharp } = yield* Effect.promise(() => import("sharp"))
  return yield* Effect.promise(() =>
    sharp(data, { raw: { width: side, height: side, channels: 3 } }).png({ compressionLevel: 9 }).toBuffer()
  )
})

/** The pictures of a completed image as PNG files. */
export interface CompletionPictures {
  readonly original: Buffer
  /** Drawn from the true codes of all patches. */
  readonly decoded: Buffer
  /** The image without its masked patches. */
  readonly masked: Buffer
  /** The masked patches drawn from predicted codes. */
  readonly completed: Buffer
}

/** Encodes the pictures of a completed image. */
export const of = Effect.fnUntraced(function*(completed: Completed, sides: Sides) {
  const { imageSize: side } = sides
  const { decoded, mask, truth } = completed
  const hidden = PatchPlaces.plain(HIDDEN, truth.length)
  const pictures: CompletionPictures = {
    original: yield* png(truth, side),
    decoded: yield* png(decoded, side),
    masked: yield* png(PatchPlaces.filled(truth, hidden, PatchPlaces.of(sides), mask), side),
    completed: yield* png(completed.completed, side)
  }
  return pictures
})
