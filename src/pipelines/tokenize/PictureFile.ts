/** Tells what a browser decodes in another way than patchword in Node.js. This file runs in browsers: it imports nothing. */

/** The files that the page reads, as media types. */
export const ACCEPT = "image/jpeg,image/png,image/webp,image/gif,image/avif"

/** The reason for which a file of another format, or a damaged one, is refused. */
export const UNREADABLE =
  "the page reads whole JPEG, PNG, WebP, GIF and AVIF files. Convert the picture to PNG, or use " +
  "patchword encode, which also reads TIFF and SVG"

/** The value of a PNG's chunk gAMA for sRGB: 100 000 / 2.2. */
const SRGB_GAMMA = 45455

const text = (bytes: Uint8Array, start: number, end: number): string =>
  String.fromCharCode(...bytes.subarray(start, end))

const ofPng = (bytes: Uint8Array, view: DataView): string | undefined => {
  for (let at = 8; at + 12 <= bytes.length; at += 12 + view.getUint32(at)) {
    const name = text(bytes, at + 4, at + 8)
    if (name === "IDAT") return undefined
    if (name === "iCCP") return "a PNG with a colour profile"
    if (name === "gAMA" && view.getUint32(at + 8) !== SRGB_GAMMA) return "a PNG with a gamma other than that of sRGB"
  }
  return undefined
}

const ofJpeg = (bytes: Uint8Array, view: DataView): string | undefined => {
  for (let at = 2; at + 10 <= bytes.length && bytes[at] === 0xff;) {
    const marker = bytes[at + 1]!
    if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) {
      return bytes[at + 9] === 4 ? "a CMYK JPEG" : undefined
    }
    at += 2 + view.getUint16(at + 2)
  }
  return undefined
}

/** Names the kind of a file whose codes can differ much from those of `patchword encode`; `undefined` for all others. */
export const differing = (bytes: Uint8Array): string | undefined => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  if (bytes[0] === 0xff && bytes[1] === 0xd8) return ofJpeg(bytes, view)
  if (text(bytes, 1, 4) === "PNG") return ofPng(bytes, view)
  if (["ftypavif", "ftypavis"].includes(text(bytes, 4, 12))) return "an AVIF file"
  const hasExif = text(bytes, 8, 16) === "WEBPVP8X" && (bytes[20]! & 8) !== 0
  return hasExif ? "a WebP with EXIF data, which the browser does not turn upright" : undefined
}
