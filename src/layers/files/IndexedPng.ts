/**
 * A label map as a PNG file with a palette: a pixel holds the number of its class, and viewers show the colour of the class. No
 * encoder of images keeps given numbers, so the few parts of such a file are written here.
 *
 * ```ts
 * import assert from "node:assert"
 * import { IndexedPng } from "patchword/layers"
 *
 * const bytes = IndexedPng.encode({ width: 2, height: 1, data: Uint8Array.of(0, 1) })
 * assert.deepStrictEqual([...bytes.subarray(1, 4)], [...Buffer.from("PNG")])
 * ```
 */
import { crc32, deflateSync } from "node:zlib"
import * as ClassColours from "../../domain/pixels/ClassColours.ts"
import type { LabelMap } from "../../domain/pixels/LabelMap.ts"

const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)

/** Eight bits for each pixel, which are places of the palette. */
const [DEPTH, PALETTE] = [8, 3]

const COLOURS = 256

const chunk = (kind: string, content: Uint8Array): ReadonlyArray<Uint8Array> => {
  const body = Buffer.concat([Buffer.from(kind, "latin1"), content])
  const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)]
  length.writeUInt32BE(content.length)
  check.writeUInt32BE(crc32(body))
  return [length, body, check]
}

/** Encodes a label map. The palette has a colour for each of the 256 numbers. */
export const encode = (map: LabelMap): Uint8Array => {
  const { data, height, width } = map
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header.set([DEPTH, PALETTE], 8)
  const palette = Uint8Array.from(Array.from({ length: COLOURS }, (_, label) => ClassColours.of(label)).flat())
  // Each line begins with the number of its filter: none.
  const lines = new Uint8Array(height * (width + 1))
  for (let row = 0; row < height; row++) {
    lines.set(data.subarray(row * width, (row + 1) * width), row * (width + 1) + 1)
  }
  return Buffer.concat([
    SIGNATURE,
    ...chunk("IHDR", header),
    ...chunk("PLTE", palette),
    ...chunk("IDAT", deflateSync(lines)),
    ...chunk("IEND", new Uint8Array(0))
  ])
}
