/**
 * Small pictures of all images as the tokenizer sees them, in one file: the position of each picture in 64 bits, and of the end; then the pictures as
 * WebP. So the images themselves are not needed any more.
 */
import { Effect } from "effect"
import type { Picture } from "../../domain/pixels/Picture.ts"
import * as Files from "../../layers/files/Files.ts"
import { readAt } from "../../layers/files/ReadAt.ts"
import * as Batches from "../training/Batches.ts"
import { AtlasDamaged } from "./AtlasError.ts"
import * as AtlasIndex from "./AtlasIndex.ts"

/** The side of a picture by default, in pixels. */
export const SIDE = 112

const QUALITY = 75

/** Adds pictures to the file. */
export interface Thumbnails {
  /** Adds the views of the next images. */
  readonly add: (views: ReadonlyArray<Picture>) => Effect.Effect<void, Files.FileError>
  /** Flushes what was added to the disk. */
  readonly sync: Effect.Effect<void, Files.FileError>
}

const encode = (side: number) => ({ data, height, width }: Picture): Effect.Effect<Uint8Array> =>
  Effect.promise(async () => {
    const { default: sharp } = await import("sharp")
    const image = sharp(data, { raw: { width, height, channels: 3 } })
    return (side < width ? image.resize(side, side) : image).webp({ quality: QUALITY }).toBuffer()
  })

/** The positions of pictures, relative to the first. */
const positions = (bytes: Uint8Array): BigUint64Array =>
  new BigUint64Array(bytes.slice().buffer, 0, Math.floor(bytes.length / 8))

/**
 * Opens the file behind its first `scanned` pictures, and cuts off what comes after them; so a repeated write leaves the same file. `images` is the
 * number of all images. Fails with `AtlasDamaged` if the file ends before.
 */
export const open = Effect.fnUntraced(
  function*(
    files: Files.Files,
    folder: string,
    sizes: { readonly images: number; readonly scanned: number; readonly side: number }
  ) {
    const { fs, path } = files
    const { images, scanned, side } = sizes
    const file = path.join(folder, AtlasIndex.THUMBNAILS)
    const guarded = Files.onFailure(file)
    const begin = 8 * (images + 1)
    const handle = yield* guarded(fs.open(file, { flag: scanned === 0 ? "w+" : "r+" }))
    const last = scanned === 0 ? [0n] : Array.from(positions(yield* guarded(readAt(handle, 8 * scanned, 8))))
    const { size } = yield* guarded(handle.stat)
    const end = last[0] === undefined ? Infinity : begin + Number(last[0])
    if (scanned > 0 && size < end) {
      return yield* new AtlasDamaged({ file: AtlasIndex.THUMBNAILS, problem: "it ends before the scan" })
    }
    yield* guarded(handle.truncate(end))
    let [index, at] = [scanned, end]
    const put = Effect.fnUntraced(function*(position: number, bytes: Uint8Array) {
      yield* handle.seek(BigInt(position), "start")
      yield* handle.writeAll(bytes)
    })
    const thumbnails: Thumbnails = {
      add: Effect.fnUntraced(function*(views) {
        const pictures = yield* Effect.forEach(views, encode(side), { concurrency: Batches.DECODERS })
        const ends = new BigUint64Array(pictures.length)
        let next = at
        for (const [i, picture] of pictures.entries()) ends[i] = BigInt((next += picture.length) - begin)
        yield* put(at, Buffer.concat(pictures))
        yield* put(8 * (index + 1), new Uint8Array(ends.buffer))
        index += pictures.length
        at = next
      }, guarded),
      sync: guarded(handle.sync)
    }
    return thumbnails
  }
)

/** Reads the picture of an image. Fails with `AtlasDamaged` if the file does not hold it. */
export const read = Effect.fnUntraced(
  function*(files: Files.Files, folder: string, images: number, image: number) {
    const { fs, path } = files
    const file = path.join(folder, AtlasIndex.THUMBNAILS)
    return yield* Files.onFailure(file)(Effect.gen(function*() {
      const handle = yield* fs.open(file)
      const [from, to] = positions(yield* readAt(handle, 8 * image, 16))
      const begin = 8 * (images + 1)
      const size = Number((yield* handle.stat).size)
      if (from === undefined || to === undefined || from >= to || begin + Number(to) > size) {
        return yield* new AtlasDamaged({
          file: AtlasIndex.THUMBNAILS,
          problem: `the picture of image ${image} lies outside of it`
        })
      }
      return yield* readAt(handle, begin + Number(from), Number(to - from))
    })).pipe(Effect.scoped)
  }
)
