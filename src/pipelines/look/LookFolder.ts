/**
 * Folders of pictures of what a network sees: `look.json`, and the PNG files that it names. A run may keep small samples in such folders,
 * `look/attention-STAGE` and `look/pca-STAGE`.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Effect } from "effect"
 * import { Files } from "patchword/layers"
 * import { LookFolder } from "patchword/pipelines"
 *
 * const found = LookFolder.ofRun("runs/none").pipe(Effect.provide(Files.layerNode))
 * assert.deepStrictEqual(await Effect.runPromise(found), [[], []])
 * ```
 */
import { Effect, type FileSystem, Option, type Path, Runtime, Schema } from "effect"
import * as Config from "../../domain/config/Config.ts"
import type { Picture } from "../../domain/pixels/Picture.ts"
import * as Explain from "../../domain/values/Explain.ts"
import * as Json from "../../domain/values/Json.ts"
import { TaggedError } from "../../domain/values/TaggedError.ts"
import * as Files from "../../layers/files/Files.ts"
import * as Pictures from "../report/Pictures.ts"

/** The name of a file of the folder itself. */
const Name = Schema.String.check(
  Schema.isPattern(/^[\w-]+\.png$/, { description: "the name of a PNG file in the folder" })
)

/** The part of a look that does not depend on its images. */
export const About = Schema.Struct({
  /** The attention of the class token, or principal components as colours. */
  kind: Schema.Literals(["attention", "pca"]),
  /** The stage or the file of the network. */
  network: Schema.String,
  /** SHA-256 of the weights. */
  weights: Schema.String,
  split: Schema.String,
  /** SHA-256 of the images. */
  images: Schema.String,
  /** The block of an attention, counted from 0, and the share of the mass whose patches are kept. */
  block: Schema.optionalKey(Schema.Int),
  keep: Schema.optionalKey(Schema.Finite),
  /** The choice of the foreground of components. */
  foreground: Schema.optionalKey(Schema.String)
})
export type About = typeof About.Type

/** A look: images, each beside maps of the same size. */
export const Look = Schema.Struct({
  ...About.fields,
  /** The share of the variance along each component. */
  explained: Schema.optionalKey(Schema.Array(Schema.Finite)),
  /** The number of images that the components were computed of: the first ones. */
  fitted: Schema.optionalKey(Schema.Int),
  shown: Schema.Array(Schema.Struct({
    name: Schema.String,
    picture: Name,
    maps: Schema.Array(Schema.Struct({ title: Schema.String, file: Name }))
  }))
})
export type Look = typeof Look.Type

/** An image that is to be kept, with its maps. */
export interface Shown {
  readonly name: string
  /** The view that the network sees. */
  readonly picture: Picture
  readonly maps: ReadonlyArray<{ readonly title: string; readonly picture: Picture }>
}

/** The file is not a look. */
export class NoLook extends TaggedError<NoLook>()("NoLook", { problem: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    return `this is not a look of patchword, or it is damaged (${this.problem})`
  }
  get remedy() {
    return "remove or restore the file"
  }
}

/** A look cannot be read. The exit code is that of the reason. */
export class LookError extends TaggedError<LookError>()("LookError", {
  file: Schema.String,
  reason: Schema.Union([NoLook, Files.FileError])
}) {
  override readonly [Runtime.errorExitCode] = this.reason[Runtime.errorExitCode]
  get finding() {
    return this.reason._tag === "FileError" ? this.reason.finding : `${this.file}: ${this.reason.finding}`
  }
  get remedy() {
    return this.reason.remedy
  }
}

/** The file of a folder that describes it. */
export const FILE = "look.json"

/** Folder of a run for looks. */
export const FOLDER = "look"

const text = Json.text(Look, { space: 2 })
const encode = Schema.encodeEffect(text)
const decode = Schema.decodeEffect(text)

/** Returns the name of an image as a part of a file name: its stem, in plain letters. */
const plain = (name: string): string =>
  (name.split(/[/\\]/).at(-1) ?? "").replace(/\.\w+$/, "").replaceAll(/[^A-Za-z0-9_-]+/g, "-").slice(0, 40)

/** The files that tell a folder of pictures from others. */
interface Marks {
  /** The file that describes the folder. */
  readonly file: string
  /** Tests whether a file of that name belongs to such a folder. Default: all do. */
  readonly isOwn?: (name: string) => boolean
}

/**
 * Fails with `ConfigError` if a folder may not become one of pictures, by default a look: it has files and is none, or is one and may
 * not be replaced. Fails with `FileError` if it cannot be read.
 */
export const checkFree = Effect.fnUntraced(function*(folder: string, replace: boolean, marks: Marks = { file: FILE }) {
  const { fs } = yield* Files.make
  const { file, isOwn = () => true } = marks
  const names = yield* Files.ifThere(Files.onFailure(folder)(fs.readDirectory(folder)))
  const found = Option.getOrElse(names, (): ReadonlyArray<string> => [])
  if (found.length === 0) return
  if (!found.includes(file) || !found.every(isOwn)) {
    return yield* Config.refusal(
      `--out ${folder}`,
      `expected a new folder or one with ${file}, got a folder with other files`,
      "name another folder"
    )
  }
  if (!replace) {
    return yield* Config.refusal(
      `--out ${folder}`,
      "expected a new folder, got one with pictures",
      "name another folder, or write over it with --replace"
    )
  }
})

/**
 * Writes a folder, whole or not at all. A folder of the same name is replaced. `fill` passes each image to the function that it receives.
 * `finished` returns what is known at the end.
 */
export const write: <A, E, R>(
  folder: string,
  about: About,
  fill: (put: (shown: Shown) => Effect.Effect<void, Files.FileError>) => Effect.Effect<A, E, R>,
  finished?: (filled: A) => Pick<Look, "explained" | "fitted">
) => Effect.Effect<A, E | Files.FileError, R | FileSystem.FileSystem | Path.Path> = Effect.fnUntraced(
  function*<A, E, R>(
    folder: string,
    about: About,
    fill: (put: (shown: Shown) => Effect.Effect<void, Files.FileError>) => Effect.Effect<A, E, R>,
    finished: (filled: A) => Pick<Look, "explained" | "fitted"> = () => ({})
  ) {
    const files = yield* Files.make
    const context = yield* Effect.context<R>()
    return yield* files.writeFolder(
      folder,
      Effect.fnUntraced(function*(temporary) {
        const shown: Array<Look["shown"][number]> = []
        const put = Effect.fnUntraced(function*({ maps, name, picture }: Shown) {
          const stem = `${String(shown.length).padStart(4, "0")}-${plain(name)}`
          const save = Effect.fnUntraced(function*(ending: string, one: Picture) {
            const file = `${stem}-${ending.replaceAll(" ", "-")}.png`
            yield* files.writeParts(files.path.join(temporary, file), [yield* Pictures.png(one)])
            return file
          })
          shown.push({
            name,
            picture: yield* save("image", picture),
            maps: yield* Effect.forEach(
              maps,
              ({ picture, title }) => Effect.map(save(title, picture), (file) => ({ title, file }))
            )
          })
        })
        const filled = yield* Effect.provideContext(fill(put), context)
        const content = yield* Effect.orDie(encode({ ...about, ...finished(filled), shown }))
        yield* files.writeParts(files.path.join(temporary, FILE), [new TextEncoder().encode(`${content}\n`)])
        return filled
      })
    )
  }
)

/** Reads the description of a folder. Fails with `LookError` if it is missing, damaged or none, or a picture is no file. */
export const read: (folder: string) => Effect.Effect<Look, LookError, FileSystem.FileSystem | Path.Path> = Effect
  .fnUntraced(function*(folder) {
    const { path, readText, regular } = yield* Files.make
    const file = path.join(folder, FILE)
    return yield* regular(file).pipe(
      Effect.andThen(readText(file)),
      Effect.flatMap((content) =>
        Effect.mapError(decode(content), (error) => new NoLook({ problem: Explain.of(error) }))
      ),
      Effect.tap(({ shown }) =>
        Effect.forEach(
          shown.flatMap(({ maps, picture }) => [picture, ...maps.map(({ file }) => file)]),
          (name) => regular(path.join(folder, name)),
          { discard: true }
        )
      ),
      Effect.mapError((reason) => new LookError({ file, reason }))
    )
  })

/**
 * Lists the looks of a run with the names of their folders, in order of these. Returns them, and an error for each that is damaged.
 * Fails with `LookError` if the list cannot be read.
 */
export const ofRun: (
  run: string
) => Effect.Effect<
  readonly [
    whole: ReadonlyArray<{ readonly folder: string; readonly look: Look }>,
    damaged: ReadonlyArray<LookError>
  ],
  LookError,
  FileSystem.FileSystem | Path.Path
> = Effect.fn("patchword.LookFolder.ofRun")(function*(run) {
  const { fs, path } = yield* Files.make
  const folder = path.join(run, FOLDER)
  const names = yield* Files.ifThere(Files.onFailure(folder)(fs.readDirectory(folder))).pipe(
    Effect.mapError((reason) => new LookError({ file: folder, reason }))
  )
  const found = Option.getOrElse(names, (): ReadonlyArray<string> => []).filter((name) => !name.startsWith("."))
  return yield* Effect.partition(
    found.toSorted(),
    (name) => Effect.map(read(path.join(folder, name)), (look) => ({ folder: path.join(folder, name), look }))
  )
})
