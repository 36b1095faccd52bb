/**
 * The files that a page needs to tokenize pictures in the browser, besides its scripts: onnxruntime-web, and the exported tokenizer. A
 * server offers them under their names, and nothing else.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Effect, Option } from "effect"
 * import { Files } from "patchword/layers"
 * import { TokenizeFiles } from "patchword/pipelines"
 *
 * const folder = await Effect.runPromise(Effect.provide(TokenizeFiles.runtime, Files.layerNode))
 * assert.strictEqual(typeof Option.getOrElse(folder, () => TokenizeFiles.INSTALL), "string")
 * ```
 */
import { Effect, type FileSystem, Option, Path } from "effect"
import { createRequire } from "node:module"
import * as Version from "../../domain/values/Version.ts"
import * as Files from "../../layers/files/Files.ts"
import { memoize } from "../../layers/files/Memoize.ts"
import type * as Weights from "../../layers/weights/Weights.ts"
import type * as Export from "../artifacts/Export.ts"
import type * as Tokenizer from "../trained/Tokenizer.ts"
import * as TokenizeNames from "./TokenizeNames.ts"

/** The version of onnxruntime-web that is tested. */
const VERSION = "1.30.0"

/** The command that installs onnxruntime-web. The package does not depend on it, because it takes 143 MB. */
export const INSTALL = `npm install onnxruntime-web@${VERSION}`

/** A file that a server offers. */
export interface Served<E, R> {
  /** Its media type. */
  readonly type: string
  readonly bytes: Effect.Effect<Uint8Array, E, R>
  /** A text that changes with the content. */
  readonly version: Effect.Effect<string, Files.FileError>
}

/** The module that the page begins with, by its place in the source without ending. */
export const MODULE = "pipelines/tokenize/TokenizeScript"

/** Finds the folder of onnxruntime-web's scripts: that of patchword's own, or of the project in the working directory. */
export const runtime: Effect.Effect<Option.Option<string>, never, Path.Path> = Effect.gen(function*() {
  const path = yield* Path.Path
  const found = yield* Effect.option(Effect.firstSuccessOf(
    [import.meta.url, path.resolve("package.json")].map((from) =>
      Effect.try(() => path.dirname(createRequire(from).resolve("onnxruntime-web/wasm")))
    )
  ))
  return found
})

/** The errors of the files. */
export type ServedError = Files.FileError | Export.ExportError | Weights.WeightsError

/**
 * Returns onnxruntime-web and the exported tokenizer by name, or none if onnxruntime-web is not installed; {@link INSTALL} installs it. A file is
 * read when it is asked for. The tokenizer is opened and exported once. `version` is a text that changes with the tokenizer.
 * `BrowserModules.read` has the scripts ({@link MODULE}).
 */
export const files: <E, R>(
  tokenizer: Effect.Effect<Tokenizer.Tokenizer, E, R>,
  version: string
) => Effect.Effect<
  Option.Option<ReadonlyMap<string, Served<ServedError | E, R>>>,
  never,
  FileSystem.FileSystem | Path.Path
> = Effect.fnUntraced(function*<E, R>(tokenizer: Effect.Effect<Tokenizer.Tokenizer, E, R>, version: string) {
  const { fs, path } = yield* Files.make
  const folder = yield* runtime
  if (Option.isNone(folder)) return Option.none()
  const model = yield* memoize(Effect.fnUntraced(function*() {
    const opened = yield* tokenizer
    const { onnx } = yield* Effect.promise(() => import("../artifacts/Export.ts"))
    return yield* onnx({ _tag: "Tokenizer", ...opened }, "codes", { images: 1 })
  }))
  const installed = (name: string, type: string) => {
    const file = path.join(folder.value, name)
    return [name, { type, bytes: Files.onFailure(file)(fs.readFile(file)), version: Files.version(file) }] as const
  }
  return Option.some(
    new Map<string, Served<ServedError | E, R>>([
      installed(TokenizeNames.RUNTIME, "text/javascript; charset=utf-8"),
      installed(TokenizeNames.WASM, "application/wasm"),
      [TokenizeNames.MODEL, {
        type: "application/octet-stream",
        bytes: model(TokenizeNames.MODEL),
        // Another version may write another program.
        version: Effect.succeed(`${version} ${Version.version}`)
      }]
    ])
  )
})
