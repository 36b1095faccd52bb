/** Image files of any format, decoded to 8-bit RGB. */
import { Effect } from "effect"
import sharp from "sharp"
import type { Picture } from "../../domain/Picture.ts"
import { type Annotation, ImageBroken, ImageTooLarge, ImageTooSmall } from "../ImageSet.ts"

/** The endings of the files that are taken for images. */
export const EXTENSIONS = ["jpg", "jpeg", "jpe", "jfif", "png", "webp", "gif", "avif", "tif", "tiff", "svg"]

/** What transparent parts are laid on: mid-grey, since on white, white things vanish. */
export const GROUND = 128

/** Most pixels of a file, unless told otherwise. */
export const PIXEL_LIMIT = 100_000_000

/** Bounds on decoded pictures. */
export interface Bounds {
  readonly pixelLimit: number
  readonly minimumSide: number
  readonly shrinkTo?: number | undefined
}

const broken = (cause: unknown): ImageBroken =>
  new ImageBroken({ problem: (cause instanceof Error ? cause.message : String(cause)).trim().replaceAll("\n", "; ") })

/** Why an image cannot be decoded; of one with too many pixels, libvips does not say how many. */
const whyBroken = Effect.fnUntraced(function*(image: Uint8Array | string, limit: number, why: ImageBroken) {
  if (!why.problem.includes("pixel limit")) return yield* why
  const { height, width } = yield* Effect.tryPromise({
    try: () => sharp(image, { limitInputPixels: false }).metadata(),
    catch: () => why
  })
  return yield* new ImageTooLarge({ width, height, limit })
})

/**
 * The image of a file, by its bytes or its path: upright, opaque, 8-bit RGB, whatever its orientation tag, transparency,
 * depth or colour space.
 */
export const decode = Effect.fnUntraced(function*(
  image: Uint8Array | string,
  { minimumSide, pixelLimit, shrinkTo }: Bounds
) {
  const { data, info: { channels, height, width } } = yield* Effect.tryPromise({
    try: () => {
      // Like Pillow, a file that ends too early is refused, and one that is merely odd is read.
      const upright = sharp(image, { failOn: "error", limitInputPixels: pixelLimit }).autoOrient()
      const sized = shrinkTo === undefined
        ? upright
        : upright.resize({ width: shrinkTo, height: shrinkTo, fit: "outside", withoutEnlargement: true })
      return sized
        .flatten({ background: { r: GROUND, g: GROUND, b: GROUND } })
        .toColourspace("srgb")
        .raw({ depth: "uchar" })
        .toBuffer({ resolveWithObject: true })
    },
    catch: broken
  }).pipe(Effect.catch((why) => whyBroken(image, pixelLimit, why)))
  if (channels !== 3) return yield* new ImageBroken({ problem: `it has ${channels} channels` })
  if (Math.min(width, height) < minimumSide) return yield* new ImageTooSmall({ width, height, minimum: minimumSide })
  const picture: Picture = { width, height, data: new Uint8Array(data.buffer, data.byteOffset, data.length) }
  return picture
})

/** A number for each pixel, out of a file of one 8-bit channel. */
export const annotation = Effect.fnUntraced(function*(bytes: Uint8Array, pixelLimit: number) {
  const image = sharp(bytes, { failOn: "error", limitInputPixels: pixelLimit })
  const { channels, depth } = yield* Effect.tryPromise({ try: () => image.metadata(), catch: broken })
  if (channels !== 1 || depth !== "uchar") {
    const problem = `an annotation has one channel of 8 bits, but this has ${channels} of the type ${depth}`
    return yield* new ImageBroken({ problem })
  }
  const { data, info: { height, width } } = yield* Effect.tryPromise({
    try: () => image.toColourspace("b-w").raw().toBuffer({ resolveWithObject: true }),
    catch: broken
  })
  const numbers: Annotation = { width, height, data: new Uint8Array(data.buffer, data.byteOffset, data.length) }
  return numbers
})
