/**
 * A finished atlas, opened for reading: what is known of each code, and the codes of each image.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Effect } from "effect"
 * import { Files } from "patchword/layers"
 * import { Atlas } from "patchword/pipelines"
 *
 * const error = await Effect.runPromise(Effect.flip(Atlas.open("runs/none")).pipe(Effect.provide(Files.layerNode)))
 * assert.match(error.message, /there is no atlas in it; make one by patchword atlas/)
 * ```
 */
import { Effect, type FileSystem, Option, Path } from "effect"
import type * as CodePairs from "../../domain/method/CodePairs.ts"
import type { Grid } from "../../domain/values/Grid.ts"
import type * as Safetensors from "../../domain/weights/Safetensors.ts"
import * as Files from "../../layers/files/Files.ts"
import { readAt } from "../../layers/files/ReadAt.ts"
import * as AtlasCheck from "./AtlasCheck.ts"
import { AtlasDamaged, AtlasError, within } from "./AtlasError.ts"
import * as AtlasIndex from "./AtlasIndex.ts"
import * as AtlasState from "./AtlasState.ts"
import type * as CodeScan from "./CodeScan.ts"
import * as Thumbnails from "./Thumbnails.ts"

export { AtlasDamaged, AtlasError, NoAtlas, OtherAtlas, TooManyPatches } from "./AtlasError.ts"
export { type AtlasIndex, type Figures, FOLDER, picture, type PictureKind, PICTURES } from "./AtlasIndex.ts"

/** Tests whether a run has no atlas, also none that was begun. */
export const isNone = (error: { readonly _tag: string }): boolean =>
  error instanceof AtlasError && error.reason._tag === "NoAtlas" && error.reason.scanned === null

/** An opened atlas. Its arrays are in memory, and the codes of images are read when they are asked for. */
export interface Atlas {
  /** The folder of the atlas. */
  readonly folder: string
  readonly index: AtlasIndex.AtlasIndex
  readonly tensors: Readonly<Record<string, Safetensors.Tensor>>
  /** The files that must be there and cannot be read, by their names in the folder, with their problems. */
  readonly lost: ReadonlyMap<string, string>
}

/**
 * Returns a text that changes whenever the atlas of a run is made, made again, or removed, and when one of its files comes or goes. A reader who keeps
 * an opened atlas compares it.
 */
export const version = Effect.fnUntraced(function*(
  directory: string
): Effect.fn.Return<string, Files.FileError, Path.Path> {
  const path = yield* Path.Path
  const parts = yield* Effect.forEach(
    ["", AtlasIndex.INDEX, AtlasIndex.ARRAYS, ...AtlasIndex.PICTURES],
    (name) => Files.ifThere(Files.version(path.join(directory, AtlasIndex.FOLDER, name)))
  )
  return parts.map((part) => Option.getOrElse(part, () => "-")).join(", ")
})

/** Opens the atlas of a run. Fails with `NoAtlas` if there is none or it is not finished, and with `AtlasDamaged`. */
export const open: (
  directory: string
) => Effect.Effect<Atlas, AtlasError, FileSystem.FileSystem | Path.Path> = Effect.fn("patchword.Atlas.open")(
  function*(directory: string) {
    const files = yield* Files.make
    const folder = files.path.join(directory, AtlasIndex.FOLDER)
    const read = Effect.gen(function*() {
      const text = yield* Files.ifThere(files.readText(files.path.join(folder, AtlasIndex.INDEX)))
      if (Option.isNone(text)) return yield* yield* AtlasState.unfinished(files, folder)
      const index = yield* AtlasState.parse(text.value)
      const tensors = yield* AtlasCheck.arrays(files, folder, index)
      const atlas: Atlas = { folder, index, tensors, lost: yield* AtlasCheck.lost(files, folder, index, tensors) }
      return atlas
    })
    return yield* within(folder)(read)
  }
)

/** A patch of an image. */
export interface Place {
  /** The index of the image in its set, and the patch, row-major. */
  readonly image: number
  readonly patch: number
  /** The squared distance to the code; of a near miss, how much farther this code was than the one that it got. */
  readonly value: number
}

/** A class that a code prefers. */
export interface Preferred {
  readonly class: number
  readonly name: string
  /** The number of patches with the code in images of the class. */
  readonly count: number
  /** The share of them among the patches with the code, and that of the class among all patches. */
  readonly share: number
  readonly overall: number
}

/** A code as lists show it. */
export interface Listed {
  readonly code: number
  readonly count: number
  /** Its share of all patches. */
  readonly share: number
  /** Its mean colour, 0 to 255. */
  readonly colour: readonly [red: number, green: number, blue: number]
  /** The number of patches in its picture `patches`. */
  readonly drawn: number
  /** The information that the code gives about the class, in bits; undefined if classes were not counted. */
  readonly classBits?: number
  readonly classes: ReadonlyArray<Preferred>
}

/** All that is known of a code. */
export interface Code extends Listed {
  /** Its rank by frequency, from 1. */
  readonly rank: number
  readonly lists: Readonly<Record<CodeScan.ListName, ReadonlyArray<Place>>>
  /** The codes that occur together with it more often than chance says; empty if they are not known. */
  readonly together: Readonly<Record<CodePairs.Kind, ReadonlyArray<CodePairs.Pair>>>
  /** The nearest codes and their cosine similarities; empty if they are not known. */
  readonly neighbours: ReadonlyArray<{ readonly code: number; readonly cosine: number }>
  /** The number of its patches at each place of the grid, row-major. */
  readonly positions: Int32Array
  readonly grid: Grid
}

const dataOf = ({ tensors }: Atlas, name: string): Int32Array | Float32Array => {
  const data = tensors[name]?.data
  return data instanceof Int32Array || data instanceof Float32Array ? data : new Int32Array(0)
}

/** The row of an array that belongs to a code. */
const rowOf = (atlas: Atlas, name: string, code: number): ReadonlyArray<number> => {
  const width = atlas.tensors[name]?.shape[1] ?? 0
  return Array.from(dataOf(atlas, name).subarray(code * width, (code + 1) * width))
}

/** Returns the number of patches of each code, `[codes]`. */
export const counts = (atlas: Atlas): Int32Array | Float32Array => dataOf(atlas, "counts")

/** Returns the mean colour of a code, 0 to 255. */
export const colourOf = (atlas: Atlas, code: number): Listed["colour"] => {
  const [red = 128, green = 128, blue = 128] = rowOf(atlas, "colours", code)
  return [red, green, blue]
}

/** Returns the map of codes, `[codes, 2]`, in 0 to 1; undefined if the vectors of the codes are not known. */
export const map = (atlas: Atlas): Float32Array | Int32Array | undefined =>
  atlas.index.map === null ? undefined : dataOf(atlas, "map")

const placesOf = (atlas: Atlas, list: CodeScan.ListName, code: number): ReadonlyArray<Place> => {
  const [images, patches, values] = ["images", "patches", "values"].map((part) => rowOf(atlas, `${list}.${part}`, code))
  return images!.flatMap((image, i) => image < 0 ? [] : [{ image, patch: patches![i]!, value: values![i]! }])
}

const classesOf = (atlas: Atlas, code: number, count: number): ReadonlyArray<Preferred> => {
  const totals = Array.from(dataOf(atlas, "classes.totals"))
  const all = totals.reduce((sum, one) => sum + one, 0)
  const found = rowOf(atlas, "classes.counts", code)
  return rowOf(atlas, "classes.classes", code).flatMap((one, i) =>
    one < 0 ? [] : [{
      class: one,
      name: atlas.index.classes[one] ?? String(one),
      count: found[i]!,
      share: found[i]! / count,
      overall: totals[one]! / all
    }]
  )
}

const pairsOf = (atlas: Atlas, kind: CodePairs.Kind, code: number): ReadonlyArray<CodePairs.Pair> => {
  const [counts, expected, measures] = ["counts", "expected", "measures"].map((part) =>
    rowOf(atlas, `together.${kind}.${part}`, code)
  )
  return rowOf(atlas, `together.${kind}.codes`, code).flatMap((one, i) =>
    one < 0 ? [] : [{ code: one, count: counts![i]!, expected: expected![i]!, measure: measures![i]! }]
  )
}

/** Returns a code as lists show it; undefined if the codebook has no such code. */
export const listed = (atlas: Atlas, code: number): Listed | undefined => {
  const count = counts(atlas)[code]
  if (count === undefined) return undefined
  const bits = dataOf(atlas, "classes.bits")[code]
  return {
    code,
    count,
    share: count / Math.max(1, atlas.index.figures.patches),
    colour: colourOf(atlas, code),
    drawn: rowOf(atlas, "sample.images", code).filter((image) => image >= 0).length,
    ...(bits === undefined ? {} : { classBits: bits }),
    classes: classesOf(atlas, code, count)
  }
}

/** Returns what is known of a code; undefined if the codebook has no such code. */
export const code = (atlas: Atlas, code: number): Code | undefined => {
  const found = listed(atlas, code)
  if (found === undefined) return undefined
  const cosines = rowOf(atlas, "neighbours.cosines", code)
  const isBefore = (count: number, other: number) => count > found.count || (count === found.count && other < code)
  return {
    ...found,
    rank: 1 + Array.from(counts(atlas)).filter(isBefore).length,
    lists: {
      nearest: placesOf(atlas, "nearest", code),
      farthest: placesOf(atlas, "farthest", code),
      misses: placesOf(atlas, "misses", code),
      sample: placesOf(atlas, "sample", code)
    },
    together: { images: pairsOf(atlas, "images", code), neighbours: pairsOf(atlas, "neighbours", code) },
    neighbours: rowOf(atlas, "neighbours.codes", code).map((one, i) => ({ code: one, cosine: cosines[i]! })),
    positions: Int32Array.from(rowOf(atlas, "positions", code)),
    grid: atlas.index.grid
  }
}

/** Returns the codes that occur, most frequent first; those of equal frequency by their numbers. */
export const used = (atlas: Atlas): ReadonlyArray<number> => {
  const all = counts(atlas)
  return Array.from(all.keys()).filter((one) => all[one]! > 0).toSorted((a, b) => all[b]! - all[a]! || a - b)
}

/** Tests whether a picture of a code is missing or cannot be read. */
export const isLost = (atlas: Atlas, kind: AtlasIndex.PictureKind, code: number): boolean =>
  atlas.lost.has(AtlasIndex.picture(kind, code))

/** Returns the error of the first picture of a code that cannot be read; undefined if all can. */
export const lostOf = (atlas: Atlas, code: number): AtlasDamaged | undefined => {
  const problems = AtlasCheck.picturesOf(atlas.tensors, code).map((name) => [name, atlas.lost.get(name)] as const)
  const first = problems.find(([, problem]) => problem !== undefined)
  return first && new AtlasDamaged({ file: first[0], problem: String(first[1]) })
}

/** Returns an error that tells of all files that cannot be read; undefined if all can. */
export const lostOfAll = (atlas: Atlas): AtlasError | undefined => {
  const reason = AtlasCheck.lostOf(atlas.lost)
  return reason && new AtlasError({ folder: atlas.folder, reason })
}

/** An image and the codes of its patches, row-major. */
export interface CodedImage {
  readonly image: number
  readonly name: string
  /** The name of its class. */
  readonly label: string
  readonly grid: Grid
  readonly codes: ReadonlyArray<number>
}

const nameOf = Effect.fnUntraced(function*({ fs, path }: Files.Files, { folder, index }: Atlas, image: number) {
  const file = path.join(folder, AtlasIndex.NAMES)
  return yield* Files.onFailure(file)(Effect.gen(function*() {
    const handle = yield* fs.open(file)
    const ends = yield* readAt(handle, 8 * image, 16)
    const damaged = (problem: string) => new AtlasDamaged({ file: AtlasIndex.NAMES, problem })
    if (ends.length < 16) return yield* damaged("it ends too early")
    const view = new DataView(ends.buffer, ends.byteOffset)
    const [begin, end] = [Number(view.getBigUint64(0, true)), Number(view.getBigUint64(8, true))]
    const size = Number((yield* handle.stat).size)
    const texts = 8 * (index.figures.images + 1)
    if (begin > end || texts + end > size) return yield* damaged(`the name of image ${image} lies outside of it`)
    return new TextDecoder().decode(yield* readAt(handle, texts + begin, end - begin))
  })).pipe(Effect.scoped)
})

const hasImage = ({ index }: Atlas, image: number): boolean =>
  Number.isInteger(image) && image >= 0 && image < index.figures.images

const codesOf = (files: Files.Files, { folder, index: { figures, grid } }: Atlas, from: number, images: number) =>
  AtlasState.readCodes(files, folder, { codes: figures.codes, grid }, from, images)

/**
 * Reads the codes of an image. Returns undefined if the set has no such image, or the codes of images were not kept. Fails with
 * `AtlasDamaged`.
 */
export const image: (
  atlas: Atlas,
  image: number
) => Effect.Effect<CodedImage | undefined, AtlasError, FileSystem.FileSystem | Path.Path> = Effect.fnUntraced(
  function*(atlas: Atlas, image: number) {
    const { folder, index } = atlas
    if (!index.keepsImages || !hasImage(atlas, image)) return undefined
    const files = yield* Files.make
    const read = Effect.gen(function*() {
      const codes = Array.from(yield* codesOf(files, atlas, image, 1))
      yield* AtlasCheck.file(files, folder, AtlasIndex.IMAGES, index.imagesDigest)
      yield* AtlasCheck.file(files, folder, AtlasIndex.NAMES, index.namesDigest)
      const found: CodedImage = {
        image,
        name: yield* nameOf(files, atlas, image),
        label: index.classes[dataOf(atlas, "labels")[image] ?? 0] ?? "",
        grid: index.grid,
        codes
      }
      return found
    })
    return yield* within(folder)(read)
  }
)

// Images that are read at once.
const SOME = 4096

/** Images that have a code. */
export interface WithCode {
  /** Each image with the patches that have the code, row-major. */
  readonly images: ReadonlyArray<{ readonly image: number; readonly patches: ReadonlyArray<number> }>
  /** The image from which to look for more; undefined if there are no more. */
  readonly next: number | undefined
}

/**
 * Finds the first `most` images that have a code, from an image on. It reads the codes of images until it has found them. There are none if the codes of
 * images were not kept. Fails with `AtlasDamaged`.
 */
export const withCode: (
  atlas: Atlas,
  code: number,
  from: number,
  most: number
) => Effect.Effect<WithCode, AtlasError, FileSystem.FileSystem | Path.Path> = Effect.fnUntraced(
  function*(atlas: Atlas, code: number, from: number, most: number) {
    const { figures: { images }, grid: { height, width }, keepsImages } = atlas.index
    const files = yield* Files.make
    const found: Array<WithCode["images"][number]> = []
    const read = Effect.gen(function*() {
      for (let begin = keepsImages ? from : images; begin < images; begin += SOME) {
        const codes = yield* codesOf(files, atlas, begin, Math.min(SOME, images - begin))
        for (let at = codes.indexOf(code); at >= 0; at = codes.indexOf(code, at + 1)) {
          const image = begin + Math.floor(at / (height * width))
          const last = found.at(-1)
          const patch = at % (height * width)
          if (last?.image === image) found[found.length - 1] = { image, patches: [...last.patches, patch] }
          else if (found.length === most) return image
          else found.push({ image, patches: [patch] })
        }
      }
      return undefined
    })
    const next = yield* within(atlas.folder)(read)
    const all: WithCode = { images: found, next }
    return all
  }
)

/**
 * Reads the small picture of an image, as WebP. Returns undefined if the set has no such image, or no such pictures were kept. Fails with
 * `AtlasDamaged`.
 */
export const thumbnail: (
  atlas: Atlas,
  image: number
) => Effect.Effect<Uint8Array | undefined, AtlasError, FileSystem.FileSystem | Path.Path> = Effect.fnUntraced(
  function*(atlas: Atlas, image: number) {
    const { folder, index } = atlas
    if (index.thumbnails === 0 || !hasImage(atlas, image)) return undefined
    return yield* within(folder)(Thumbnails.read(yield* Files.make, folder, index.figures.images, image))
  }
)
