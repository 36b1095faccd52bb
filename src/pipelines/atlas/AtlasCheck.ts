/** Compares the files of a finished atlas with what its description records. */
import { Effect, type FileSystem, Option, Stream } from "effect"
import type * as Safetensors from "../../domain/weights/Safetensors.ts"
import * as Files from "../../layers/files/Files.ts"
import { AtlasDamaged } from "./AtlasError.ts"
import * as AtlasIndex from "./AtlasIndex.ts"

const differs = `it does not have the SHA-256 that ${AtlasIndex.INDEX} records`
const absent = "it is missing"

/** Takes a missing file of the atlas for a damaged one. */
const expected = (file: string) => <A, E, R>(self: Effect.Effect<A, E | Files.FileError, R>) =>
  Effect.mapError(
    self,
    (error) =>
      error instanceof Files.FileError && error.kind === "missing" ? new AtlasDamaged({ file, problem: absent }) : error
  )

/** Reads the arrays of an atlas. Fails with `AtlasDamaged` if they are not those that the description records. */
export const arrays = Effect.fnUntraced(
  function*(files: Files.Files, folder: string, index: AtlasIndex.AtlasIndex) {
    const damaged = (problem: string) => new AtlasDamaged({ file: AtlasIndex.ARRAYS, problem })
    const { sha256, tensors } = yield* files.readTensors(files.path.join(folder, AtlasIndex.ARRAYS)).pipe(
      expected(AtlasIndex.ARRAYS),
      Effect.mapError((error) => error._tag === "SafetensorsError" ? damaged(error.finding) : error)
    )
    if (sha256 !== index.arrays) return yield* damaged(differs)
    return tensors
  }
)

/** Computes the SHA-256 of a file of an atlas, part by part. */
export const digestOf = Effect.fnUntraced(function*(files: Files.Files, folder: string, name: string) {
  const place = files.path.join(folder, name)
  const hash = Files.hasher()
  yield* Files.onFailure(place)(
    Stream.runForEach(files.fs.stream(place, { chunkSize: 2 ** 20 }), (part) => Effect.sync(() => hash.update(part)))
  )
  return hash.digest("hex")
})

// The files that this process has compared, with their versions: a page of an image does not read all codes again.
const compared = new Map<string, string>()
const MOST_COMPARED = 64

/**
 * Fails with `AtlasDamaged` if a file does not have the SHA-256 that the description records. The file is read again only if it has
 * changed. An older description records none.
 */
export const file = Effect.fnUntraced(
  function*(files: Files.Files, folder: string, name: string, recorded: string | undefined) {
    const place = files.path.resolve(folder, name)
    const version = `${yield* expected(name)(Files.version(place))} ${recorded}`
    if (recorded === undefined || compared.get(place) === version) return
    if ((yield* expected(name)(digestOf(files, folder, name))) !== recorded) {
      return yield* new AtlasDamaged({ file: name, problem: differs })
    }
    if (compared.size >= MOST_COMPARED) compared.clear()
    compared.set(place, version)
  }
)

/** Returns the pictures that a code must have. */
export const picturesOf = (
  tensors: Readonly<Record<string, Safetensors.Tensor>>,
  code: number
): ReadonlyArray<string> =>
  AtlasIndex.PICTURES.flatMap((kind) => {
    const images = tensors[`${AtlasIndex.SHOWN[kind]}.images`]
    const most = images?.shape[1] ?? 0
    return most > 0 && Number(images!.data[code * most]) >= 0 ? [AtlasIndex.picture(kind, code)] : []
  })

/**
 * Returns the files that must be there and cannot be read, each with its problem: those of images, then the pictures in the order of their
 * codes. Of files that are no links it reads the names alone.
 */
export const lost = Effect.fnUntraced(
  function*(
    files: Files.Files,
    folder: string,
    index: AtlasIndex.AtlasIndex,
    tensors: Readonly<Record<string, Safetensors.Tensor>>
  ) {
    const there = new Map<string, FileSystem.File.Type>()
    for (const kind of ["", ...AtlasIndex.PICTURES]) {
      const place = files.path.join(folder, kind)
      const entries = yield* Files.ifThere(Files.onFailure(place)(files.fs.readDirectoryEntries(place)))
      for (const { name, type } of Option.getOrElse(entries, () => [])) {
        there.set(kind === "" ? name : `${kind}/${name}`, type)
      }
    }
    const codes = Array.from({ length: index.figures.codes }, (_, code) => code)
    const needed = [
      AtlasIndex.NAMES,
      ...(index.keepsImages ? [AtlasIndex.IMAGES] : []),
      ...(index.thumbnails > 0 ? [AtlasIndex.THUMBNAILS] : []),
      ...codes.flatMap((code) => picturesOf(tensors, code))
    ]
    const lost = new Map<string, string>()
    for (const name of needed) {
      const type = there.get(name)
      if (type === undefined) lost.set(name, absent)
      if (type === undefined || type === "File") continue
      yield* Effect.catch(
        files.regular(files.path.join(folder, name)),
        ({ finding, kind }) => Effect.sync(() => lost.set(name, kind === "missing" ? absent : finding))
      )
    }
    return lost
  }
)

/** Makes the error of the first file that cannot be read; undefined if all can. */
export const lostOf = (lost: ReadonlyMap<string, string>): AtlasDamaged | undefined => {
  const [first] = lost
  if (first === undefined) return undefined
  const [file, problem] = first
  return new AtlasDamaged({
    file,
    problem: lost.size === 1 ? problem : `${problem}; it is the first of ${lost.size} such files`
  })
}

/** Fails with `AtlasDamaged` if a file of a finished atlas is missing or is not the one that was written. */
export const all = Effect.fnUntraced(
  function*(files: Files.Files, folder: string, index: AtlasIndex.AtlasIndex) {
    const tensors = yield* arrays(files, folder, index)
    yield* file(files, folder, AtlasIndex.NAMES, index.namesDigest)
    if (index.keepsImages) yield* file(files, folder, AtlasIndex.IMAGES, index.imagesDigest)
    if (index.thumbnails > 0) yield* file(files, folder, AtlasIndex.THUMBNAILS, index.thumbnailsDigest)
    const damaged = lostOf(yield* lost(files, folder, index, tensors))
    if (damaged !== undefined) return yield* damaged
  }
)
