/**
 * A decoded image on the host, before any crop or normalisation.
 *
 * ```ts
 * import assert from "node:assert"
 * import type { Picture } from "patchword/domain"
 *
 * const red: Picture.Picture = { width: 1, height: 1, data: Uint8Array.of(255, 0, 0) }
 * assert.strictEqual(red.data.length, 3 * red.width * red.height)
 * ```
 */

/** `height * width` pixels, row-major, RGB interleaved, 8 bits a channel: `data.length === 3 * width * height`. */
export interface Picture {
  readonly width: number
  readonly height: number
  readonly data: Uint8Array
}
