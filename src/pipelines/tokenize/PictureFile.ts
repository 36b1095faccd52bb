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

const ORIENTATION = 0x0112

/** Reads the orientation in EXIF data (TIFF): 1 for upright, or if it says none. */
const orientationOf = (bytes: Uint8Array): number => {
  const start = text(bytes, 0, 4) === "Exif" ? 6 : 0
  const view = new DataView(bytes.buffer, bytes.byteOffset + start, Math.max(0, bytes.length - start))
  if (view.byteLength < 8) return 1
  const isLittle = view.getUint16(0) === 0x4949
  const first = view.getUint32(4, isLittle)
  if (first + 2 > view.byteLength) return 1
  const entries = view.getUint16(first, isLittle)
  for (let at = first + 2; at + 12 <= view.byteLength && at < first + 2 + 12 * entries; at += 12) {
    if (view.getUint16(at, isLittle) === ORIENTATION) return view.getUint16(at + 8, isLittle)
  }
  return 1
}

/** Tells why a file is refused; `undefined` for all others. Browsers do not agree on whether they turn a WebP upright. */
export const refused = (bytes: Uint8Array): string | undefined => {
  if (text(bytes, 8, 12) !== "WEBP") return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  for (let at = 12; at + 8 <= bytes.length;) {
    const size = view.getUint32(at + 4, true)
    if (text(bytes, at, at + 4) === "EXIF" && orientationOf(bytes.subarray(at + 8, at + 8 + size)) !== 1) {
      return "its EXIF data say that it is to be turned, which a browser does not do with WebP. Save it upright, or as PNG or JPEG"
    }
    at += 8 + size + size % 2
  }
  return undefined
}

/** Names the kind of a file whose codes can differ much from those of `patchword encode`; `undefined` for all others. */
export const differing = (bytes: Uint8Array): string | undefined => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  if (bytes[0] === 0xff && bytes[1] === 0xd8) return ofJpeg(bytes, view)
  if (text(bytes, 1, 4) === "PNG") return ofPng(bytes, view)
  return ["ftypavif", "ftypavis"].includes(text(bytes, 4, 12)) ? "an AVIF file" : undefined
}
