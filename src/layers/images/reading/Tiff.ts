/** What a TIFF file says of its first image: enough to know whether its pixels are what a decoder takes them for. */

/** The tags that decide how pixels are read, by their numbers. */
const TAGS = {
  bits: 258,
  compression: 259,
  photometric: 262,
  samples: 277,
  palette: 320,
  extra: 338,
  format: 339
} as const

/** The values of each tag; none where the file has no such tag. */
export type Tags = Readonly<Record<keyof typeof TAGS, ReadonlyArray<number>>>

/** Bytes of a value by the number of its type; other types hold none of these tags. */
const WIDTHS: Readonly<Record<number, number>> = { 1: 1, 3: 2, 4: 4, 16: 8 }

/** The tags of a TIFF or BigTIFF file, or nothing where the bytes are none or end too early. */
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
 * What pixels can mean, and how many samples of each are colours: grey from white or from black, RGB, palette, separated
 * inks, YCbCr, Lab.
 */
const COLOURS = new Map([[0, 1], [1, 1], [2, 3], [3, 1], [INKS, 4], [YCBCR, 3], [8, 3]])

const UNSIGNED = 1
// What is said to be of no format is unsigned.
const FORMATS = new Set([UNSIGNED, 4])
const DEEPEST = 16

/** Why the colours of a TIFF file would be taken for others; nothing where they are understood. */
export const misread = (
  { bits, compression: [compression = 1], format, photometric: [photometric], samples: [samples] }: Tags
): string | undefined => {
  if (photometric === undefined) return "the TIFF file does not say what its pixels mean"
  if (photometric === YCBCR && compression !== JPEG) {
    return "the TIFF file holds YCbCr without JPEG compression, which would be taken for RGB; convert it to RGB"
  }
  if (format.some((one) => !FORMATS.has(one)) || bits.some((depth) => depth > DEEPEST)) {
    return "the TIFF file holds signed, floating or very large numbers, of which nobody says what is black and what is " +
      "white; convert it to 8 bits"
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

/** Whether a sample beside the colours is not said to be transparency. */
export const hasSpare = ({ extra }: Tags): boolean => extra[0] === UNSPECIFIED

/** Whether a palette is of 8 bits, against the rule: some readers see that, and others take all of it for black. */
export const isPaletteDim = ({ palette }: Tags): boolean => palette.length > 0 && palette.every((value) => value < 256)

/** Kinds of pixels by their meaning, samples and bits, as `2 3x8`. */
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

/** Whether the pixels are of a kind that Pillow and libvips decode alike. */
export const isPlain = ({ bits, extra, format, photometric, samples: [samples = 1] }: Tags): boolean => {
  const [depth = 1] = bits
  return bits.every((one) => one === depth) && format.every((one) => one === UNSIGNED) &&
    !extra.includes(PREMULTIPLIED) && PLAIN.has(`${photometric[0]} ${samples}x${depth}`)
}
