/** A decoded image on the host, before any crop or normalisation. */

/** `height * width` pixels, row-major, RGB interleaved, 8 bits a channel: `data.length === 3 * width * height`. */
export interface Picture {
  readonly width: number
  readonly height: number
  readonly data: Uint8Array
}
