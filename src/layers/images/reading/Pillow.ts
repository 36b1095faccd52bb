/**
 * Decodes images as the official code does. The pixels are exactly those of Pillow's `Image.open(file).convert("RGB")`:
 * colour profiles are ignored, transparency is dropped, CMYK is converted by a formula, 16-bit grey is clipped at 255, and
 * only TIFF files are oriented. Files that Pillow decodes differently from libvips are refused.
 */
import { Effect } from "effect"
import sharp, { type Metadata, type OutputInfo, type Sharp } from "sharp"
import { ImageBroken } from "./ImagesError.ts"
import * as Tiff from "./Tiff.ts"

/** Pixels as sharp returns them. */
export interface Pixels {
  readonly data: Uint8Array
  readonly info: { readonly width: number; readonly height: number; readonly channels: number }
}

/** Pillow's product of two fractions of 255. */
const times = (a: number, b: number): number => {
  const product = a * b + 128
  return ((product >> 8) + product) >> 8
}

const fromInks = (inks: Uint8Array): Uint8Array => {
  const rgb = new Uint8Array(inks.length / 4 * 3)
  for (let from = 0, to = 0; from < inks.length; from += 4) {
    const light = 255 - inks[from + 3]!
    for (let ink = 0; ink < 3; ink++) rgb[to++] = light - times(inks[from + ink]!, light)
  }
  return rgb
}

const fromDeepGrey = (bytes: Uint8Array): Uint8Array => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const rgb = new Uint8Array(bytes.length / 2 * 3)
  for (let pixel = 0; pixel < bytes.length / 2; pixel++) {
    rgb.fill(Math.min(255, view.getUint16(2 * pixel, true)), 3 * pixel, 3 * pixel + 3)
  }
  return rgb
}

const word = (bytes: Uint8Array, at: number): number => (bytes[at] ?? 0) | (bytes[at + 1] ?? 0) << 8

/** Tests whether the first frame of a GIF covers the whole image. */
const isWholeGif = (bytes: Uint8Array): boolean => {
  const colours = (flags: number) => (flags & 0x80) === 0 ? 0 : 3 << ((flags & 7) + 1)
  let at = 13 + colours(bytes[10] ?? 0)
  // An extension is a kind and then blocks. Each begins with its length; the last has the length 0.
  while (bytes[at] === 0x21) {
    at += 2
    while ((bytes[at] ?? 0) !== 0) at += 1 + bytes[at]!
    at += 1
  }
  return bytes[at] === 0x2c && word(bytes, at + 1) === 0 && word(bytes, at + 3) === 0 &&
    word(bytes, at + 5) === word(bytes, 6) && word(bytes, at + 7) === word(bytes, 8)
}

/** Tests whether the first frame of a WebP covers the whole image. */
const isWholeWebp = (bytes: Uint8Array): boolean => {
  const nameAt = (at: number) => String.fromCharCode(...bytes.subarray(at, at + 4))
  const triple = (at: number) => word(bytes, at) | (bytes[at + 2] ?? 0) << 16
  let at = 12
  while (at + 8 <= bytes.length && nameAt(at) !== "ANMF") {
    const length = word(bytes, at + 4) + word(bytes, at + 6) * 2 ** 16
    at += 8 + length + length % 2
  }
  if (at + 8 > bytes.length) return true
  // The canvas is in the first chunk of an animation, VP8X.
  return triple(at + 8) === 0 && triple(at + 11) === 0 && triple(at + 14) === triple(24) &&
    triple(at + 17) === triple(27)
}

/** Describes a file that Pillow decodes differently or not at all. Returns undefined if both decoders agree. */
const different = (bytes: Uint8Array, { depth, format, space }: Metadata): string | undefined => {
  switch (format) {
    case "gif":
      return isWholeGif(bytes) ? undefined : "a GIF whose first frame covers a part only"
    case "webp":
      return isWholeWebp(bytes) ? undefined : "a WebP whose first frame covers a part only"
    case "tiff": {
      const tags = Tiff.tags(bytes)
      if (tags !== undefined && Tiff.isPaletteDim(tags)) return "a TIFF with a palette of 8 bits, where 16 are the rule"
      return tags !== undefined && Tiff.isPlain(tags) ? undefined : "a TIFF of this kind of pixels"
    }
    case "jpeg":
      return depth === "uchar" && ["b-w", "srgb", "cmyk"].includes(space) ? undefined : `a JPEG in ${space}`
    case "png":
      return undefined
    default:
      return `a file in the format ${format === "heif" ? "AVIF" : format.toUpperCase()}`
  }
}

const GREY_AND_ALPHA = 4

/**
 * Tests for 16-bit grey: a PNG without alpha channel (a transparent grey is allowed), or such a TIFF. With alpha, Pillow
 * uses 8 bits.
 */
const isDeepGrey = (bytes: Uint8Array, { format, space }: Metadata): boolean =>
  space === "grey16" && (format === "tiff" || bytes[25] !== GREY_AND_ALPHA)

const refusal = (what: string): ImageBroken =>
  new ImageBroken({
    problem:
      `the official colours, those of Pillow, are not available for ${what}; convert the file, or use managed colours ` +
      "(--colour managed)"
  })

/** Decodes the pixels of a file. `fail` makes an error from that of sharp. */
export const decode = Effect.fnUntraced(function*<E>(
  bytes: Uint8Array,
  pixelLimit: number,
  fail: (cause: unknown) => E
) {
  const options = { failOn: "error", limitInputPixels: pixelLimit, ignoreIcc: true } as const
  // It throws for a file without bytes.
  const image = yield* Effect.try({ try: () => sharp(bytes, options), catch: fail })
  const metadata = yield* Effect.tryPromise({ try: () => image.metadata(), catch: fail })
  const problem = different(bytes, metadata)
  if (problem !== undefined) return yield* refusal(problem)
  const raw = (pipeline: Sharp, depth: "uchar" | "ushort" = "uchar") =>
    Effect.tryPromise({ try: () => pipeline.raw({ depth }).toBuffer({ resolveWithObject: true }), catch: fail })
  const of = (rgb: Uint8Array, { height, width }: OutputInfo): Pixels => ({
    data: rgb,
    info: { width, height, channels: 3 }
  })
  // Pillow orients only TIFF files when it reads them.
  const turned = metadata.format === "tiff" ? image.autoOrient() : image
  if (metadata.space === "cmyk") {
    const { data, info } = yield* raw(turned.pipelineColourspace("cmyk").toColourspace("cmyk"))
    return of(fromInks(data), info)
  }
  if (isDeepGrey(bytes, metadata)) {
    const { data, info } = yield* raw(
      turned.removeAlpha().pipelineColourspace("grey16").toColourspace("grey16"),
      "ushort"
    )
    return of(fromDeepGrey(data), info)
  }
  if (metadata.format === "gif" && metadata.hasAlpha) {
    const { data, info } = yield* raw(image.toColourspace("srgb"))
    for (let at = 3; at < data.length; at += 4) {
      if (data[at] !== 255) return yield* refusal("a GIF with transparent pixels")
    }
    return of(data.filter((_, at) => at % 4 !== 3), info)
  }
  return yield* raw(turned.removeAlpha().toColourspace("srgb"))
})
