/** Image files of any format, decoded to 8-bit RGB. */
import { Effect } from "effect"
import sharp, { type Sharp } from "sharp"
import type { Colour } from "../../../domain/config/AugmentConfig.ts"
import type { Picture } from "../../../domain/pixels/Picture.ts"
import { ImageBroken, ImageTooLarge, ImageTooSmall } from "./ImagesError.ts"
import * as Pillow from "./Pillow.ts"
import * as Tiff from "./Tiff.ts"

/** The endings of the files that are taken for images. */
export const EXTENSIONS = ["jpg", "jpeg", "jpe", "jfif", "png", "webp", "gif", "avif", "tif", "tiff", "svg"]

/** What transparent parts are laid on: mid-grey, since on white, white things vanish. */
export const GROUND = 128

/** Most pixels of a file, unless told otherwise. */
export const PIXEL_LIMIT = 100_000_000

/** How pictures are decoded, and bounds on them. */
export interface Bounds {
  readonly colour?: Colour | undefined
  readonly pixelLimit: number
  readonly minimumSide: number
  readonly shrinkTo?: number | undefined
}

const DAMAGED = "its data are damaged, end too early, or are of a kind that is not known"

/**
 * A failure of sharp. Sentences that begin with "Input" are sharp's own, about this image, up to a colon. All others are those of
 * libvips's decoders. libvips collects them for all images that are decoded at once, so they may be about another image.
 */
export const broken = (cause: unknown): ImageBroken => {
  const message = cause instanceof Error ? cause.message : String(cause)
  const [own = ""] = message.split(":")
  const problem = own.includes("unsupported image format")
    ? "its format is not known"
    : own.includes("corrupt header")
    ? "its header is damaged"
    : own.startsWith("Input ")
    ? own
    : DAMAGED
  return new ImageBroken({ problem })
}

/** What a file says of its image: the pixels as they are stored, and the orientation of EXIF. */
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

/** The orientation by which an image is turned on decoding: TIFF files always, others in managed colours. */
export const orientationOf = ({ format, orientation }: Header, { colour }: Pick<Bounds, "colour">): number =>
  colour === "official" && format !== "tiff" ? 1 : orientation

/** Why an image cannot be decoded; of one with too many pixels, libvips does not say how many. */
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
      // Like Pillow, a file that ends too early is refused, and one that is merely odd is read.
      const upright = sharp(image, { failOn: "error", limitInputPixels: pixelLimit }).autoOrient()
      if (!hasSpare) {
        return pixelsOf(shrunk(upright, shrinkTo).flatten({ background: { r: GROUND, g: GROUND, b: GROUND } }))
      }
      const all = await pixelsOf(upright.removeAlpha())
      // sharp would shrink by the sample as if it were transparency.
      const { channels, height, width } = all.info
      if (shrinkTo === undefined || channels !== 3) return all
      return pixelsOf(shrunk(sharp(all.data, { raw: { width, height, channels } }), shrinkTo))
    },
    catch: broken
  })

/**
 * The image of a file by its bytes, 8-bit RGB: in managed colours upright and opaque, whatever its orientation tag,
 * transparency, depth or colour space; in official ones as {@link Pillow} says. A path stands for a file that is no TIFF,
 * in managed colours.
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
