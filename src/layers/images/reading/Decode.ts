/** Decodes image files of any format to 8-bit RGB. */
import { Effect } from "effect"
import sharp, { type Sharp } from "sharp"
import type { Colour } from "../../../domain/config/AugmentConfig.ts"
import type { Picture } from "../../../domain/pixels/Picture.ts"
import { ImageBroken, ImageTooLarge, ImageTooSmall } from "./ImagesError.ts"
import * as Pillow from "./Pillow.ts"
import * as Tiff from "./Tiff.ts"

/** File extensions of images. */
export const EXTENSIONS = ["jpg", "jpeg", "jpe", "jfif", "png", "webp", "gif", "avif", "tif", "tiff", "svg"]

/** Background of transparent parts: mid-grey, because white objects would vanish on white. */
export const GROUND = 128

/** Default limit of the pixels of a file. */
export const PIXEL_LIMIT = 100_000_000

/** Colour handling and limits of decoding. */
export interface Bounds {
  readonly colour?: Colour | undefined
  readonly pixelLimit: number
  readonly minimumSide: number
  readonly shrinkTo?: number | undefined
}

const DAMAGED = "its data are damaged, end too early, or have an unknown format"

/**
 * Turns an error of sharp into `ImageBroken`. Messages that begin with "Input" are sharp's own and concern this image, up
 * to a colon. All others come from libvips's decoders. libvips collects them for all images that are decoded at the same
 * time, so they may concern another image.
 */
export const broken = (cause: unknown): ImageBroken => {
  const message = cause instanceof Error ? cause.message : String(cause)
  const [own = ""] = message.split(":")
  const problem = own.includes("unsupported image format")
    ? "its format is unknown"
    : own.includes("corrupt header")
    ? "its header is damaged"
    : own.startsWith("Input ")
    ? own
    : DAMAGED
  return new ImageBroken({ problem })
}

/** The header of an image file: the size of the pixels as they are stored, and the EXIF orientation. */
export interface Header {
  readonly format: string
  readonly width: number
  readonly height: number
  readonly orientation: number
}

export const header = (image: Uint8Array): Effect.Effect<Header, ImageBroken> =>
  Effect.map(
    Effect.tryPromise({ try: () => sharp(image, { limitInputPixels: false }).metadata(), catch: broken }),
    ({ format, height, orientation = 1, width }) => ({ format, width, height, orientation })
  )

/**
 * Returns the orientation that decoding applies to an image: that of TIFF files always, that of others only in managed
 * colours.
 */
export const orientationOf = ({ format, orientation }: Header, { colour }: Pick<Bounds, "colour">): number =>
  colour === "official" && format !== "tiff" ? 1 : orientation

/** Determines why an image cannot be decoded. libvips does not report the number of pixels of an image with too many. */
export const whyBroken = Effect.fnUntraced(function*(image: Uint8Array | string, limit: number, why: ImageBroken) {
  if (!why.problem.includes("pixel limit")) return yield* why
  const { height, width } = yield* Effect.tryPromise({
    try: () => sharp(image, { limitInputPixels: false }).metadata(),
    catch: () => why
  })
  return yield* new ImageTooLarge({ width, height, limit })
})

const shrunk = (image: Sharp, side: number | undefined): Sharp =>
  side === undefined ? image : image.resize({ width: side, height: side, fit: "outside", withoutEnlargement: true })

const pixelsOf = (image: Sharp): Promise<Pillow.Pixels> =>
  image.toColourspace("srgb").raw({ depth: "uchar" }).toBuffer({ resolveWithObject: true })

const managed = (image: Uint8Array | string, { pixelLimit, shrinkTo }: Bounds, hasSpare: boolean) =>
  Effect.tryPromise({
    try: async (): Promise<Pillow.Pixels> => {
      // As in Pillow, a file that ends too early is refused, but a file with lesser faults is read.
      const upright = sharp(image, { failOn: "error", limitInputPixels: pixelLimit }).autoOrient()
      if (!hasSpare) {
        return pixelsOf(shrunk(upright, shrinkTo).flatten({ background: { r: GROUND, g: GROUND, b: GROUND } }))
      }
      const all = await pixelsOf(upright.removeAlpha())
      // On shrinking, sharp would treat the extra sample as transparency.
      const { channels, height, width } = all.info
      if (shrinkTo === undefined || channels !== 3) return all
      return pixelsOf(shrunk(sharp(all.data, { raw: { width, height, channels } }), shrinkTo))
    },
    catch: broken
  })

/**
 * Decodes an image to 8-bit RGB. In managed colours, it is upright and opaque for every orientation tag, transparency,
 * depth and colour space. In official colours, it is as {@link Pillow} defines. `image` can be a path only if the file is
 * not a TIFF and colours are managed.
 */
export const decode = Effect.fnUntraced(function*(image: Uint8Array | string, bounds: Bounds) {
  const { colour, minimumSide, pixelLimit } = bounds
  const tags = typeof image === "string" ? undefined : Tiff.tags(image)
  const problem = tags === undefined ? undefined : Tiff.misread(tags)
  if (problem !== undefined) return yield* new ImageBroken({ problem })
  const pixels = typeof image === "string" || colour !== "official"
    ? managed(image, bounds, tags !== undefined && Tiff.hasSpare(tags))
    : Pillow.decode(image, pixelLimit, broken)
  const { data, info: { channels, height, width } } = yield* Effect.catch(
    pixels,
    (why) => whyBroken(image, pixelLimit, why)
  )
  if (channels !== 3) return yield* new ImageBroken({ problem: `it has ${channels} channels` })
  if (Math.min(width, height) < minimumSide) return yield* new ImageTooSmall({ width, height, minimum: minimumSide })
  const picture: Picture = { width, height, data: new Uint8Array(data.buffer, data.byteOffset, data.length) }
  return picture
})
