/** The pictures of an atlas: for every code a strip of patches alone, and strips of patches in their surroundings. */
import { Effect, type FileSystem, type Path } from "effect"
import type { AugmentConfig } from "../../domain/config/AugmentConfig.ts"
import * as Canvas from "../../domain/pixels/Canvas.ts"
import type { Picture } from "../../domain/pixels/Picture.ts"
import * as Files from "../../layers/files/Files.ts"
import * as ImageSet from "../../layers/images/reading/ImageSet.ts"
import * as Augment from "../../layers/images/views/Augment.ts"
import * as Pauses from "../../layers/machine/Pauses.ts"
import * as Batches from "../training/Batches.ts"
import * as AtlasIndex from "./AtlasIndex.ts"
import * as CodeScan from "./CodeScan.ts"
import * as Patches from "./Patches.ts"

// Bytes of the patches that are held at once.
const BUDGET = 2 ** 26

const QUALITY = 82

const encode = Effect.fnUntraced(function*({ data, height, width }: Canvas.Canvas, isSmall: boolean) {
  const { default: sharp } = yield* Effect.promise(() => import("sharp"))
  const image = sharp(data, { raw: { width, height, channels: 4 } })
  // Patches are shown enlarged, so each of their pixels is seen.
  return yield* Effect.promise(() => image.webp(isSmall ? { lossless: true } : { quality: QUALITY }).toBuffer())
})

/** The inputs of the pictures. */
export interface Options {
  readonly scan: CodeScan.CodeScan
  readonly set: ImageSet.ImageSet
  readonly imageSize: number
  readonly patchSize: number
  readonly augment: AugmentConfig
  /** Receives the number of codes whose pictures are written. */
  readonly told: (codes: number) => Effect.Effect<void>
}

interface Wanted {
  readonly code: number
  readonly kind: AtlasIndex.PictureKind
  readonly rank: number
  readonly patch: number
}

/** Writes the pictures of a few codes, kind by kind. Each image is decoded once. */
const writeSome = Effect.fnUntraced(function*(folder: string, codes: ReadonlyArray<number>, options: Options) {
  const { augment, imageSize, patchSize, scan, set } = options
  const files = yield* Files.make
  const byImage = new Map<number, Array<Wanted>>()
  const strips = new Map<string, Array<Picture>>()
  for (const code of codes) {
    yield* Pauses.pause
    for (const kind of AtlasIndex.PICTURES) {
      for (const [rank, { image, patch }] of CodeScan.places(scan, AtlasIndex.SHOWN[kind], code).entries()) {
        const wanted = byImage.get(image) ?? []
        byImage.set(image, wanted)
        wanted.push({ code, kind, rank, patch })
      }
    }
  }
  yield* Effect.forEach(
    byImage,
    ([image, wanted]) =>
      ImageSet.lend(set, image, (picture) =>
        Effect.andThen(
          Pauses.pause,
          Effect.sync(() => {
            const view = Augment.evaluationView(picture, imageSize, augment)
            for (const { code, kind, patch, rank } of wanted) {
              const name = AtlasIndex.picture(kind, code)
              const strip = strips.get(name) ?? []
              strips.set(name, strip)
              strip[rank] = kind === "patches"
                ? Patches.cut(view, patchSize, patch)
                : Patches.framed(view, patchSize, patch)
            }
          })
        )),
    { concurrency: Batches.DECODERS, discard: true }
  )
  yield* Effect.forEach(strips, ([name, pictures]) =>
    Effect.flatMap(
      Effect.andThen(Pauses.pause, Effect.suspend(() => encode(Canvas.strip(pictures), name.startsWith("patches/")))),
      (bytes) => files.write(files.path.join(folder, name), [bytes])
    ), { discard: true })
})

/**
 * Writes the pictures of all codes. Codes whose pictures are there already are left out. `patches/` holds the drawn sample, and the other
 * folders hold framed patches. Memory does not grow with the number of codes.
 */
export const write = Effect.fnUntraced(function*(
  folder: string,
  options: Options
) {
  const { imageSize, patchSize, scan, told } = options
  const { fs, path, sweep } = yield* Files.make
  const there = new Set<string>()
  for (const kind of AtlasIndex.PICTURES) {
    const place = path.join(folder, kind)
    yield* Files.ifThere(sweep(place))
    const names = yield* Files.ifThere(Files.onFailure(place)(fs.readDirectory(place)))
    if (names._tag === "Some") names.value.forEach((name) => there.add(`${kind}/${name}`))
  }
  const isDone = (code: number) =>
    AtlasIndex.PICTURES.every((kind) =>
      scan.heaps[AtlasIndex.SHOWN[kind]].filled[code] === 0 || there.has(AtlasIndex.picture(kind, code))
    )
  const all = Array.from(scan.counts.keys())
  const left = all.filter((code) => !isDone(code))
  const { farthest, misses, nearest } = scan.lists
  const bytes = 3 * Patches.windowOf(imageSize, patchSize) ** 2 * (nearest + farthest + misses)
  const some = Math.max(1, Math.floor(BUDGET / Math.max(1, bytes)))
  for (let at = 0; at < left.length; at += some) {
    yield* writeSome(folder, left.slice(at, at + some), options)
    yield* told(all.length - left.length + Math.min(left.length, at + some))
  }
})

/** Returns the mean colour of each code's sample, `[codes, 3]` from 0 to 255. Codes that do not occur are grey. */
export const colours: (
  folder: string,
  scan: CodeScan.CodeScan
) => Effect.Effect<Float32Array, Files.FileError, FileSystem.FileSystem | Path.Path> = Effect.fnUntraced(
  function*(folder, scan) {
    const { fs, path } = yield* Files.make
    const { default: sharp } = yield* Effect.promise(() => import("sharp"))
    const found = new Float32Array(3 * scan.counts.length).fill(128)
    for (const code of scan.counts.keys()) {
      if (scan.heaps.sample.filled[code] === 0) continue
      const place = path.join(folder, AtlasIndex.picture("patches", code))
      const bytes = yield* Files.onFailure(place)(fs.readFile(place))
      const { data } = yield* Effect.tryPromise({
        try: () => sharp(bytes).ensureAlpha().raw().toBuffer({ resolveWithObject: true }),
        catch: (cause) => new Files.FileError({ path: place, kind: "other", cause })
      })
      const sums = [0, 0, 0, 0]
      for (let at = 0; at < data.length; at += 4) {
        if (data[at + 3] === 0) continue
        for (let channel = 0; channel < 3; channel++) sums[channel]! += data[at + channel]!
        sums[3]!++
      }
      for (let channel = 0; channel < 3; channel++) found[3 * code + channel] = sums[channel]! / Math.max(1, sums[3]!)
    }
    return found
  }
)
