/** The files of an atlas while it is made: a scan can stop at any moment, and continues after its last saved image. */
import { Effect, Option, Record, Schema, Struct } from "effect"
import * as ComputedOn from "../../domain/values/ComputedOn.ts"
import type { Grid } from "../../domain/values/Grid.ts"
import * as Json from "../../domain/values/Json.ts"
import * as Quantity from "../../domain/values/Quantity.ts"
import * as Safetensors from "../../domain/weights/Safetensors.ts"
import * as Files from "../../layers/files/Files.ts"
import * as Lock from "../../layers/files/Lock.ts"
import { readAt } from "../../layers/files/ReadAt.ts"
import { AtlasDamaged, NoAtlas, OtherAtlas } from "./AtlasError.ts"
import * as AtlasIndex from "./AtlasIndex.ts"
import * as CodeScan from "./CodeScan.ts"

const Saved = Json.text(Schema.Struct({
  identity: AtlasIndex.Identity,
  /** Number of images that are scanned. */
  scanned: Quantity.Whole,
  computedOn: ComputedOn.History
}))

/** The progress of a scan. */
export interface Progress {
  readonly scanned: number
  readonly computedOn: ComputedOn.History
}

/** Decodes the text of a description. Fails with `AtlasDamaged`. */
export const parse = (text: string): Effect.Effect<AtlasIndex.AtlasIndex, AtlasDamaged> =>
  Effect.mapError(
    Schema.decodeEffect(AtlasIndex.IndexText)(text),
    () => new AtlasDamaged({ file: AtlasIndex.INDEX, problem: "it is not the description of an atlas of this version" })
  )

/** Fails with `OtherAtlas` if an atlas is another one. */
export const check = (
  stored: AtlasIndex.Identity,
  asked: AtlasIndex.Identity
): Effect.Effect<void, OtherAtlas> => {
  // A description has more members.
  const encode = (one: AtlasIndex.Identity) =>
    Schema.encodeSync(AtlasIndex.Identity)(Struct.pick(one, Record.keys(AtlasIndex.Identity.fields)))
  const differences = Json.differences(encode(stored), encode(asked))
  return differences.length === 0 ? Effect.void : Effect.fail(new OtherAtlas({ differences }))
}

/** Reads the header of a saved scan, if there is one. Fails with `AtlasDamaged`. */
export const peek = Effect.fnUntraced(function*(files: Files.Files, folder: string) {
  const file = files.path.join(folder, AtlasIndex.SCAN)
  const damaged = (problem: string) => new AtlasDamaged({ file: AtlasIndex.SCAN, problem })
  const header = yield* files.readHeader(file).pipe(
    Effect.asSome,
    Effect.catchIf((error) => error._tag === "FileError" && error.kind === "missing", () => Effect.succeedNone),
    Effect.mapError((error) => error._tag === "FileError" ? error : damaged(error.finding))
  )
  if (Option.isNone(header)) return Option.none()
  const saved = yield* Effect.mapError(
    Schema.decodeEffect(Saved)(header.value.metadata.atlas ?? ""),
    ({ message }) => damaged(message)
  )
  return Option.some(saved)
})

const { ARRAYS, IMAGES, NAMES, PICTURES, THUMBNAILS } = AtlasIndex
const MADE: ReadonlySet<string> = new Set([ARRAYS, IMAGES, NAMES, THUMBNAILS, ...PICTURES])

/** Tells how far an atlas without a description is. Fails with `AtlasDamaged` if its scan is damaged. */
export const unfinished = Effect.fnUntraced(function*(files: Files.Files, folder: string) {
  const saved = yield* peek(files, folder)
  const names = yield* Files.ifThere(Files.onFailure(folder)(files.fs.readDirectory(folder)))
  const owner = Option.getOrUndefined(yield* Lock.owner(files, folder))
  const isHeld = owner !== undefined && owner.alive !== false
  const isBegun = isHeld || Option.exists(names, (found) => found.some((name) => MADE.has(name)))
  return new NoAtlas({ scanned: Option.isSome(saved) ? saved.value.scanned : isBegun ? 0 : null, isHeld })
})

/** Reads a saved scan into an empty one. Fails with `AtlasDamaged`. */
export const restore = Effect.fnUntraced(function*(files: Files.Files, folder: string, scan: CodeScan.CodeScan) {
  const damaged = (problem: string) => new AtlasDamaged({ file: AtlasIndex.SCAN, problem })
  const { tensors } = yield* Effect.mapError(
    files.readTensors(files.path.join(folder, AtlasIndex.SCAN)),
    (error) => error._tag === "FileError" ? error : damaged(error.finding)
  )
  const wrong = CodeScan.restore(scan, tensors)
  if (wrong !== undefined) return yield* damaged(`the array ${wrong} is missing or has another shape`)
})

/** Saves a scan, atomically. */
export const save = (
  files: Files.Files,
  folder: string,
  saved: { readonly identity: AtlasIndex.Identity; readonly scan: CodeScan.CodeScan; readonly progress: Progress }
): Effect.Effect<void, Files.FileError> => {
  const { identity, progress, scan } = saved
  const atlas = Schema.encodeSync(Saved)({ identity, ...progress })
  return files.write(
    files.path.join(folder, AtlasIndex.SCAN),
    Safetensors.encodeParts(CodeScan.toTensors(scan), { atlas })
  )
}

/** Returns the array type in which the codes of images are kept: 16 bits while they suffice. */
export const arrayOf = (codes: number): typeof Uint16Array | typeof Uint32Array =>
  codes <= 2 ** 16 ? Uint16Array : Uint32Array

/**
 * Writes codes from the position of an image on, and cuts off what comes after them. So a repeated write leaves the same file.
 * Fails with `AtlasDamaged` if the file ends before this position.
 */
export const writeCodes = Effect.fnUntraced(
  function*(files: Files.Files, folder: string, at: number, codes: Uint16Array | Uint32Array) {
    const { fs, path } = files
    const file = path.join(folder, AtlasIndex.IMAGES)
    const begin = at * codes.BYTES_PER_ELEMENT
    const handle = yield* fs.open(file, { flag: begin === 0 ? "w" : "r+" })
    const { size } = yield* handle.stat
    if (size < begin) {
      return yield* new AtlasDamaged({
        file: AtlasIndex.IMAGES,
        problem: `it has ${size} bytes, but the scan has written ${begin}`
      })
    }
    yield* handle.truncate(begin)
    yield* handle.seek(BigInt(begin), "start")
    yield* handle.writeAll(new Uint8Array(codes.buffer, codes.byteOffset, codes.byteLength))
    yield* handle.sync
  },
  Effect.scoped,
  (self, files, folder) => Files.onFailure(files.path.join(folder, AtlasIndex.IMAGES))(self)
)

/** The number of all codes, and the patches of an image. */
export interface CodeSizes {
  readonly codes: number
  readonly grid: Grid
}

/** Reads the codes of images from one on, `[images, patches]`. Fails with `AtlasDamaged`. */
export const readCodes = Effect.fnUntraced(
  function*(files: Files.Files, folder: string, sizes: CodeSizes, from: number, images: number) {
    const { codes: size, grid: { height, width } } = sizes
    const array = arrayOf(size)
    const patches = height * width
    const length = patches * array.BYTES_PER_ELEMENT
    const handle = yield* files.fs.open(files.path.join(folder, AtlasIndex.IMAGES))
    const bytes = yield* readAt(handle, from * length, images * length)
    const codes = new array(bytes.slice().buffer, 0, Math.floor(bytes.length / array.BYTES_PER_ELEMENT))
    const wrong = codes.findIndex((one) => one >= size)
    if (bytes.length < images * length || wrong >= 0) {
      const problem = wrong < 0
        ? "it ends too early"
        : `image ${from + Math.floor(wrong / patches)} has a code that does not exist`
      return yield* new AtlasDamaged({ file: AtlasIndex.IMAGES, problem })
    }
    return codes
  },
  Effect.scoped,
  (self, files, folder) => Files.onFailure(files.path.join(folder, AtlasIndex.IMAGES))(self)
)
