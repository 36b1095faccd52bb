/**
 * Encoded images from any place. They are checked once when a split is loaded, decoded on demand, and kept within a memory
 * limit.
 */
import { Effect, Option } from "effect"
import { createHash } from "node:crypto"
import type { Colour } from "../../../domain/config/AugmentConfig.ts"
import * as Config from "../../../domain/config/Config.ts"
import type { Picture } from "../../../domain/pixels/Picture.ts"
import * as Files from "../../files/Files.ts"
import { Progress } from "../../run/Progress.ts"
import * as Decode from "./Decode.ts"
import { about, ImagesBroken, ImagesError, within } from "./ImagesError.ts"
import { type ImageSet, keeping, outside } from "./ImageSet.ts"
import type { LeftOut } from "./LeftOut.ts"

/** Options for checking, decoding and keeping encoded images. */
export interface Options {
  /**
   * Treatment of images that are broken, too small or too large; default `fail`. `fail` lets `load` fail with all their
   * names. `skip` leaves them out and lists them in `skipped`. Only `check: "contents"` finds all of them before use, so
   * `skip` needs it.
   */
  readonly onBroken?: "fail" | "skip"
  /**
   * Extent of the check by `load`; default `contents`. `contents` decodes every image once: broken ones are found before
   * training, and the digest covers the bytes. `names` trusts names and sizes, for millions of images.
   */
  readonly check?: "contents" | "names"
  /**
   * Colour handling; default `managed`. It is part of a network's configuration (`augment.colour`), and both have to agree.
   * With `official`, images cannot be shrunk.
   */
  readonly colour?: Colour
  /** Least width and height in pixels, for example the patch size; default 1. */
  readonly minimumSide?: number
  /** Greatest number of pixels of a file, against decompression bombs; default 100 million. */
  readonly pixelLimit?: number
  /**
   * Shrinks images on decoding until the shorter side has this number of pixels. Small views of large photographs then take
   * less time.
   */
  readonly shrinkTo?: number
  /** Memory for decoded images that are kept for the next epoch, in bytes; default 512 MiB. */
  readonly memory?: number
}

/** The encoded images of a split, by index. */
export interface Listing {
  readonly split: string
  /** The error of the split if no image is left. */
  readonly empty: ImagesError
  readonly classes: ReadonlyArray<string>
  readonly labels: Int32Array
  readonly labelSource: string
  /** Returns the name of an image, which is part of the digest. */
  readonly describe: (index: number) => string
  /** Returns the name of an image for errors. */
  readonly origin: (index: number) => string
  readonly size: (index: number) => number
  readonly bytes: (index: number) => Effect.Effect<Uint8Array, ImagesError["reason"]>
  /** Returns false if the listing has found that a name leads to no file. */
  readonly isThere?: (index: number) => boolean
  /** Checks further conditions on an image. */
  readonly verify?: (index: number) => Effect.Effect<unknown, ImagesError>
  /** Files that are not images. */
  readonly leftOut?: ReadonlyArray<LeftOut>
  /** Returns the path of an image that is a file of its own. sharp reads a path faster than we read bytes. */
  readonly file?: (index: number) => string
}

/** An image after its check. */
type Checked = { readonly index: number } & ({ readonly identity: string } | { readonly error: ImagesError })

const REPORT_EVERY = 1000

const UNCHECKED = "with --check names, images are opened too late to leave out broken ones"

const CHECK = "write --check contents (in code check: \"contents\"), or leave out --broken skip (onBroken)"

const SHRUNK = "expected the colour managed with shrinkTo; the official code does not shrink images"

const isBroken = (reason: ImagesError["reason"], { file }: Listing): boolean =>
  ["AnnotationUnusable", "ImageBroken", "ImageTooSmall", "ImageTooLarge"].includes(reason._tag) ||
  // One unreadable file must not stop the check of the others.
  (file !== undefined && reason._tag === "FileError")

/** Returns the limits and the colour handling of decoding from the options. */
export const bounds = (options: Options): Decode.Bounds => ({
  colour: options.colour,
  pixelLimit: options.pixelLimit ?? Decode.PIXEL_LIMIT,
  minimumSide: options.minimumSide ?? 1,
  shrinkTo: options.shrinkTo
})

/** Makes sets from listings. All sets of one call share the memory for decoded images. */
export const make = (options: Options) => {
  const limits = bounds(options)
  let room = options.memory ?? 512 * 2 ** 20

  return Effect.fnUntraced(function*(listing: Listing) {
    const { classes, split } = listing
    const total = listing.labels.length
    const progress = yield* Progress
    const kept = new Map<number, Picture>()
    const held = new WeakSet<Picture>()

    // Only the bytes show what the pixels of a TIFF mean, and how Pillow would decode a file.
    const isQuick = (file: string) => options.colour !== "official" && !/\.tiff?$/i.test(file)

    const keep = (index: number, picture: Picture): void => {
      if (picture.data.length > room || kept.has(index)) return
      room -= picture.data.length
      kept.set(index, picture)
      held.add(picture)
    }

    const read = Effect.fnUntraced(function*(index: number) {
      const bytes = yield* listing.bytes(index)
      const picture = yield* Decode.decode(bytes, limits)
      keep(index, picture)
      return { bytes, picture }
    }, (self, index) => within(listing.origin(index))(self))

    const decode = Effect.fnUntraced(function*(index: number) {
      const { file, isThere } = listing
      const early = file === undefined || isThere?.(index) === false || !isQuick(file(index))
        ? Option.none()
        : yield* Effect.option(Decode.decode(file(index), limits))
      if (Option.isNone(early)) return (yield* read(index)).picture
      keep(index, early.value)
      return early.value
    })

    if (options.onBroken === "skip" && options.check === "names") {
      return yield* about(split)(Config.refusal("--broken skip", UNCHECKED, CHECK))
    }
    if (options.colour === "official" && options.shrinkTo !== undefined) {
      return yield* about(split)(Config.refusal("shrinkTo", SHRUNK))
    }
    let done = 0
    let broken = 0
    const reported = Effect.suspend(() =>
      ++done % REPORT_EVERY === 0
        ? progress.report({ stage: `check ${split}`, step: done, total, metrics: { broken } })
        : Effect.void
    )
    const check = (index: number) =>
      read(index).pipe(
        Effect.tap(() => listing.verify?.(index) ?? Effect.void),
        Effect.map(({ bytes }): Checked => ({ index, identity: Files.sha256(bytes) })),
        Effect.catchIf(({ reason }) => isBroken(reason, listing), (error) => {
          broken++
          return Effect.succeed<Checked>({ index, error })
        }),
        Effect.tap(reported)
      )
    const named = (index: number) =>
      listing.isThere?.(index) === false
        ? check(index)
        : Effect.succeed<Checked>({ index, identity: String(listing.size(index)) })
    const checked = yield* Effect.forEach(
      Array.from(listing.labels.keys()),
      options.check === "names" ? named : check,
      { concurrency: 8 }
    )
    const images = checked.flatMap((one) => "identity" in one ? [one] : [])
    const errors = checked.flatMap((one) => "error" in one ? [one.error] : [])
    const skipped = errors.map(({ finding }) => finding).toSorted()
    if (errors.length > 0 && (options.onBroken !== "skip" || images.length === 0)) {
      return yield* errors.length === 1 && options.onBroken !== "skip"
        ? errors[0]!
        : about(split)(new ImagesBroken({ findings: skipped, of: total }))
    }
    if (images.length === 0) return yield* listing.empty

    const chosen = Int32Array.from(images, ({ index }) => index)
    const official = options.colour === "official" ? [options.colour] : []
    const identity = [classes, limits.shrinkTo ?? null, ...official]
    const hash = createHash("sha256").update(JSON.stringify(identity))
    for (const { identity: content, index } of images) {
      hash.update(`\n${listing.describe(index)}\n${listing.labels[index]!} ${content}`)
    }
    const set: ImageSet = {
      name: split,
      length: chosen.length,
      classes,
      labels: chosen.map((index) => listing.labels[index]!),
      labelSource: listing.labelSource,
      digest: hash.digest("hex"),
      skipped,
      leftOut: listing.leftOut ?? [],
      colour: options.colour ?? "managed",
      image: keeping((at) => {
        const index = chosen[at]
        if (index === undefined) return outside(split, at, chosen.length)
        const picture = kept.get(index)
        return picture === undefined ? decode(index) : Effect.succeed(picture)
      }, (picture) => held.has(picture)),
      describe: (at) => at in chosen ? listing.describe(chosen[at]!) : ""
    }
    return set
  })
}
