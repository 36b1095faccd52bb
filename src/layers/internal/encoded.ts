/** Encoded images wherever they lie: checked once when a split is loaded, decoded on demand, kept within bounds. */
import { Effect, Option } from "effect"
import { createHash } from "node:crypto"
import type { Picture } from "../../domain/Picture.ts"
import * as Files from "../Files.ts"
import { type ImagesError, type ImageSet, keeping, outside, within } from "../ImageSet.ts"
import { Progress } from "../Progress.ts"
import * as Decode from "./decode.ts"

/** How encoded images are checked, decoded and kept. */
export interface Options {
  /** What a broken or too small image does: fail `load`, or be left out and listed in `skipped`. Default `fail`. */
  readonly onBroken?: "fail" | "skip"
  /**
   * Whether `load` decodes every image once, so that broken ones are found before training and the digest covers the
   * bytes; or trusts names and sizes, for millions of images. Default `contents`.
   */
  readonly check?: "contents" | "names"
  /** Least width and height, as a patch's side. Default 1. */
  readonly minimumSide?: number
  /** Most pixels of a file; a guard against decompression bombs. Default 100 million. */
  readonly pixelLimit?: number
  /** Shrinks pictures on decoding until the shorter side has so many pixels; makes small views of large photographs cheap. */
  readonly shrinkTo?: number
  /** How many bytes of decoded pictures are kept for the next epoch. Default 512 MiB. */
  readonly memory?: number
}

/** The encoded images of a split, by index. */
export interface Listing {
  readonly split: string
  /** Why the split cannot be had when no image is left. */
  readonly empty: ImagesError
  readonly classes: ReadonlyArray<string>
  readonly labels: Int32Array
  /** The name of an image, part of the digest. */
  readonly describe: (index: number) => string
  /** What failures of an image are said of. */
  readonly origin: (index: number) => string
  readonly size: (index: number) => number
  readonly bytes: (index: number) => Effect.Effect<Uint8Array, ImagesError["reason"]>
  /** Where an image is a file of its own: sharp reads it sooner than we do. */
  readonly file?: (index: number) => string
}

const REPORT_EVERY = 1000

/** Makes sets out of listings. All sets that one call makes share the memory for decoded pictures. */
export const make = (options: Options) => {
  const bounds: Decode.Bounds = {
    pixelLimit: options.pixelLimit ?? Decode.PIXEL_LIMIT,
    minimumSide: options.minimumSide ?? 1,
    shrinkTo: options.shrinkTo
  }
  let room = options.memory ?? 512 * 2 ** 20

  return Effect.fnUntraced(function*(listing: Listing) {
    const { classes, split } = listing
    const total = listing.labels.length
    const progress = yield* Progress
    const kept = new Map<number, Picture>()
    const held = new WeakSet<Picture>()

    const keep = (index: number, picture: Picture): void => {
      if (picture.data.length > room || kept.has(index)) return
      room -= picture.data.length
      kept.set(index, picture)
      held.add(picture)
    }

    const read = Effect.fnUntraced(function*(index: number) {
      const bytes = yield* listing.bytes(index)
      const picture = yield* Decode.decode(bytes, bounds)
      keep(index, picture)
      return { bytes, picture }
    }, (self, index) => within(listing.origin(index))(self))

    const decode = Effect.fnUntraced(function*(index: number) {
      const { file } = listing
      const early = file === undefined ? Option.none() : yield* Effect.option(Decode.decode(file(index), bounds))
      if (Option.isNone(early)) return (yield* read(index)).picture
      keep(index, early.value)
      return early.value
    })

    const skippable = ({ reason }: ImagesError) =>
      options.onBroken === "skip" && (reason._tag === "ImageBroken" || reason._tag === "ImageTooSmall")

    const skipped: Array<string> = []
    let done = 0
    const reported = Effect.suspend(() =>
      ++done % REPORT_EVERY === 0
        ? progress.report({ stage: `check ${split}`, step: done, total, metrics: { skipped: skipped.length } })
        : Effect.void
    )
    const check = (index: number) =>
      Effect.map(read(index), ({ bytes }) => Option.some({ index, identity: Files.sha256(bytes) })).pipe(
        Effect.catchIf(skippable, ({ message }) => {
          skipped.push(message)
          return Effect.succeedNone
        }),
        Effect.tap(reported)
      )
    const everything = Array.from(listing.labels.keys())
    const images = options.check === "names"
      ? everything.map((index) => ({ index, identity: String(listing.size(index)) }))
      : (yield* Effect.forEach(everything, check, { concurrency: 8 })).flatMap(Option.toArray)
    if (images.length === 0) return yield* listing.empty

    const chosen = Int32Array.from(images, ({ index }) => index)
    const hash = createHash("sha256").update(JSON.stringify([classes, bounds.shrinkTo ?? null]))
    for (const { identity, index } of images) {
      hash.update(`\n${listing.describe(index)}\n${listing.labels[index]!} ${identity}`)
    }
    const set: ImageSet = {
      name: split,
      length: chosen.length,
      classes,
      labels: chosen.map((index) => listing.labels[index]!),
      digest: hash.digest("hex"),
      skipped: skipped.toSorted(),
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
