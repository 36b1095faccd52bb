/** Reads the classes of an image's pixels from a PNG with grey values or a palette. They are oriented as the image is. */
import { Effect } from "effect"
import { crc32 } from "node:zlib"
import sharp from "sharp"
import * as LabelMap from "../../../domain/pixels/LabelMap.ts"
import * as Decode from "./Decode.ts"
import { AnnotationUnusable, ImageBroken, LabelUnknown } from "./ImagesError.ts"
import type { Annotation } from "./ImageSet.ts"

/** Offsets in a PNG chunk, after its length: its type and its content. A checksum follows the content. */
const NAME = 4
const CONTENT = 8
const CHECKSUM = 4

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]
const [GREYS, PALETTE] = [0, 3]
const CHANNELS: Readonly<Record<number, number>> = { 2: 3, 4: 2, 6: 4 }

/**
 * Makes a PNG that contains only grey values. For a palette, the grey values are the indices; its colours are dropped.
 * Chunks that change grey values on decoding are dropped too.
 */
const greysOf = Effect.fnUntraced(function*(bytes: Uint8Array) {
  const head = SIGNATURE.length + CONTENT
  if (bytes.length < head + 13 || SIGNATURE.some((byte, i) => bytes[i] !== byte)) {
    return yield* new AnnotationUnusable({ problem: "an annotation has to be a PNG file, but this file is not" })
  }
  const [depth = 0, kind = 0] = bytes.subarray(head + 8)
  if ((kind !== GREYS && kind !== PALETTE) || depth > 8) {
    const problem = "an annotation has one channel of 8 bits, or a palette, but this file has " +
      `${CHANNELS[kind] ?? 1} of ${depth} bits`
    return yield* new AnnotationUnusable({ problem })
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const kept: Array<Uint8Array> = [bytes.subarray(0, SIGNATURE.length)]
  for (let at = SIGNATURE.length; at + CONTENT <= bytes.length;) {
    const end = at + CONTENT + view.getUint32(at) + CHECKSUM
    const name = Buffer.from(bytes.subarray(at + NAME, at + CONTENT)).toString("latin1")
    if (["IHDR", "IDAT", "IEND"].includes(name)) kept.push(Uint8Array.from(bytes.subarray(at, end)))
    at = end
  }
  const header = kept[1]!
  header[CONTENT + 9] = GREYS
  new DataView(header.buffer).setUint32(
    header.length - CHECKSUM,
    crc32(header.subarray(NAME, header.length - CHECKSUM))
  )
  return { depth, png: Buffer.concat(kept) }
})

/** Orients an annotation by an EXIF orientation from 1 (unchanged) to 8. */
export const orient = ({ data, height, width }: Annotation, orientation: number): Annotation => {
  const [right, bottom] = [width - 1, height - 1]
  const from = (x: number, y: number): readonly [number, number] => {
    switch (orientation) {
      case 2:
        return [right - x, y]
      case 3:
        return [right - x, bottom - y]
      case 4:
        return [x, bottom - y]
      case 5:
        return [y, x]
      case 6:
        return [y, bottom - x]
      case 7:
        return [right - y, bottom - x]
      case 8:
        return [right - y, x]
      default:
        return [x, y]
    }
  }
  const turned = orientation >= 5 ? { width: height, height: width } : { width, height }
  const numbers = new Uint8Array(data.length)
  for (let y = 0; y < turned.height; y++) {
    for (let x = 0; x < turned.width; x++) {
      const [column, row] = from(x, y)
      numbers[y * turned.width + x] = data[row * width + column]!
    }
  }
  return { ...turned, data: numbers }
}

const ofAnnotation = <A, E, R>(self: Effect.Effect<A, E | ImageBroken, R>) =>
  Effect.mapError(
    self,
    (error): Exclude<E, ImageBroken> | AnnotationUnusable =>
      error instanceof ImageBroken
        ? new AnnotationUnusable({ problem: error.problem })
        : error as Exclude<E, ImageBroken>
  )

/**
 * Reads the annotation of an image. It is oriented as the image is on decoding, or by its own orientation if it has one. It
 * has to have the size of the image.
 */
export const read = Effect.fnUntraced(function*(bytes: Uint8Array, picture: Uint8Array, bounds: Decode.Bounds) {
  const own = yield* ofAnnotation(Decode.header(bytes))
  const { depth, png } = yield* greysOf(bytes)
  const { data, info: { height, width } } = yield* Effect.tryPromise({
    try: () =>
      sharp(png, { failOn: "error", limitInputPixels: bounds.pixelLimit })
        .toColourspace("b-w").raw().toBuffer({ resolveWithObject: true }),
    catch: Decode.broken
  }).pipe(Effect.catch((why) => Decode.whyBroken(png, bounds.pixelLimit, why)), ofAnnotation)
  const shown = yield* Decode.header(picture)
  const orientation = Decode.orientationOf(own, bounds) === 1 ? Decode.orientationOf(shown, bounds) : own.orientation
  // Decoders scale values of fewer than 8 bits to the range of 8 bits.
  const step = 255 / (2 ** depth - 1)
  const turned = orient({ width, height, data: data.map((grey) => grey / step) }, orientation)
  const upright = Decode.orientationOf(shown, bounds) >= 5 ? [shown.height, shown.width] : [shown.width, shown.height]
  if (turned.width !== upright[0] || turned.height !== upright[1]) {
    const problem =
      `an annotation has the size of its picture, ${shown.width} × ${shown.height} as it is stored, but ` +
      `this file is ${width} × ${height}`
    return yield* new AnnotationUnusable({ problem })
  }
  return turned
})

/** The classes of pixels in a collection. */
export interface PixelClasses {
  readonly names: ReadonlyArray<string>
  /** True if 0 stands for no class, and the first class has the number 1. */
  readonly reduceZero: boolean
}

/** Numbers the labels of an annotation by classes. Fails with `LabelUnknown` at the first pixel whose label is no class. */
export const numbered = (annotation: Annotation, classes: PixelClasses): Effect.Effect<Annotation, LabelUnknown> => {
  const { names, reduceZero } = classes
  const found = reduceZero ? LabelMap.reduceZero(annotation) : annotation
  const { data, width } = found
  const at = data.findIndex((label) => label >= names.length && label !== LabelMap.IGNORED)
  return at === -1 ? Effect.succeed(found) : Effect.fail(
    new LabelUnknown({
      image: `the pixel in column ${at % width + 1} of row ${Math.floor(at / width) + 1}`,
      label: String(annotation.data[at]),
      classes: names.length
    })
  )
}
