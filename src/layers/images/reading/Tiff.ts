/** Reads the tags of a TIFF file's first image. They show whether a decoder interprets its pixels correctly. */

/** Numbers of the tags that determine the meaning of pixels. */
const TAGS = {
  bits: 258,
  compression: 259,
  photometric: 262,
  samples: 277,
  palette: 320,
  extra: 338,
  format: 339
} as const

/** Values of each tag; empty if the file lacks the tag. */
export type Tags = Readonly<Record<keyof typeof TAGS, ReadonlyArray<number>>>

/** Bytes per value, by the number of the type. The tags have no other types. */
const WIDTHS: Readonly<Record<number, number>> = { 1: 1, 3: 2, 4: 4, 16: 8 }

/** Reads the tags of a TIFF or BigTIFF file. Returns undefined if the bytes are not TIFF or end too early. */
export const tags = (bytes: Uint8Array): Tags | undefined => {
  const [first, second] = bytes
  const little = first === 0x49
  if (bytes.length < 16 || first !== second || (!little && first !== 0x4d)) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const read = (at: number, width: number): number => {
    if (at + width > bytes.length) return NaN
    if (width === 1) return view.getUint8(at)
    if (width === 2) return view.getUint16(at, little)
    return width === 4 ? view.getUint32(at, little) : Number(view.getBigUint64(at, little))
  }
  const version = read(2, 2)
  if (version !== 42 && version !== 43) return undefined
  const big = version === 43
  const [size, entry] = big ? [8, 20] : [4, 12]
  const start = read(big ? 8 : 4, size)
  const count = read(start, big ? 8 : 2)
  const found: Record<keyof Tags, ReadonlyArray<number>> = {
    bits: [],
    compression: [],
    photometric: [],
    samples: [],
    palette: [],
    extra: [],
    format: []
  }
  for (let i = 0; i < count; i++) {
    const at = start + (big ? 8 : 2) + i * entry
    const tag = read(at, 2)
    if (Number.isNaN(tag)) return undefined
    const name = (Object.keys(TAGS) as Array<keyof Tags>).find((one) => TAGS[one] === tag)
    const width = WIDTHS[read(at + 2, 2)]
    if (name === undefined || width === undefined) continue
    const length = read(at + 4, size)
    if (!(length * width <= bytes.length)) return undefined
    const values = at + 4 + size
    const from = length * width <= size ? values : read(values, size)
    found[name] = Array.from({ length }, (_, k) => read(from + k * width, width))
  }
  return found
}

const YCBCR = 6
const JPEG = 7

const INKS = 5

/**
 * Number of colour samples for each photometric interpretation: grey from white or from black, RGB, palette, separated
 * inks, YCbCr, Lab.
 */
const COLOURS = new Map([[0, 1], [1, 1], [2, 3], [3, 1], [INKS, 4], [YCBCR, 3], [8, 3]])

const UNSIGNED = 1
// A file without a sample format has unsigned samples.
const FORMATS = new Set([UNSIGNED, 4])
const DEEPEST = 16

/** Explains why a decoder would misinterpret the colours of a TIFF file. Returns undefined if it would not. */
export const misread = (
  { bits, compression: [compression = 1], format, photometric: [photometric], samples: [samples] }: Tags
): string | undefined => {
  if (photometric === undefined) {
    return "the TIFF file does not define the meaning of its pixels (photometric interpretation)"
  }
  if (photometric === YCBCR && compression !== JPEG) {
    return "the TIFF file holds YCbCr without JPEG compression, which would be taken for RGB; convert it to RGB"
  }
  if (format.some((one) => !FORMATS.has(one)) || bits.some((depth) => depth > DEEPEST)) {
    return "the TIFF file holds signed, floating-point or very large numbers, for which black and white are not " +
      "defined; convert it to 8 bits"
  }
  const colours = COLOURS.get(photometric)
  if (colours === undefined) {
    return `the TIFF file holds pixels of the kind ${photometric} (photometric interpretation); convert it to RGB`
  }
  const most = photometric === INKS ? colours : colours + 1
  return samples === undefined || (samples >= colours && samples <= most)
    ? undefined
    : `the TIFF file holds ${samples} samples a pixel, ${colours} of them colours; convert it to RGB, with or without ` +
      "transparency"
}

const UNSPECIFIED = 0

/** Tests for an extra sample, in addition to the colours, that is not declared as transparency. */
export const hasSpare = ({ extra }: Tags): boolean => extra[0] === UNSPECIFIED

/** Tests for a palette with 8 bits, against the specification. Some readers detect this; others show only black. */
export const isPaletteDim = ({ palette }: Tags): boolean => palette.length > 0 && palette.every((value) => value < 256)

/** Kinds of pixels by photometric interpretation, samples and bits, for example `2 3x8`. */
const PLAIN = new Set([
  "0 1x1",
  "0 1x8",
  "1 1x1",
  "1 1x8",
  "1 1x16",
  "1 2x8",
  "2 3x8",
  "2 3x16",
  "2 4x8",
  "3 1x8",
  "5 4x8",
  "6 3x8"
])

const PREMULTIPLIED = 1

/** Tests whether Pillow and libvips decode this kind of pixels in the same way. */
export const isPlain = ({ bits, extra, format, photometric, samples: [samples = 1] }: Tags): boolean => {
  const [depth = 1] = bits
  return bits.every((one) => one === depth) && format.every((one) => one === UNSIGNED) &&
    !extra.includes(PREMULTIPLIED) && PLAIN.has(`${photometric[0]} ${samples}x${depth}`)
}
