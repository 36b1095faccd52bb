/**
 * The files that a page needs to tokenize pictures in the browser: the scripts, onnxruntime-web, and the exported tokenizer. A server
 * offers them under their names, and nothing else.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Effect } from "effect"
 * import { Files } from "patchword/layers"
 * import { TokenizeFiles } from "patchword/pipelines"
 *
 * const modules = await Effect.runPromise(Effect.provide(TokenizeFiles.modules, Files.layerNode))
 * assert.ok([...modules.keys()].some((name) => name.startsWith("domain/pixels/Resample.")))
 * ```
 */
import { Effect, type FileSystem, Option, Path } from "effect"
import { createRequire, stripTypeScriptTypes } from "node:module"
import * as Files from "../../layers/files/Files.ts"
import type * as Weights from "../../layers/weights/Weights.ts"
import * as Export from "../artifacts/Export.ts"
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
}

const SCRIPT = "text/javascript; charset=utf-8"

const IMPORT = /(?:\bfrom\s+|\bimport\s+)"(\.[^"]+)"/g

/** Reads the modules of the page's script, by their names in the source. They run in a browser as they are. */
export const modules: Effect.Effect<
  ReadonlyMap<string, string>,
  Files.FileError,
  FileSystem.FileSystem | Path.Path
> = Effect.gen(function*() {
  const { path, readText } = yield* Files.make
  const root = yield* Effect.orDie((yield* Path.Path).fromFileUrl(new URL("../..", import.meta.url)))
  const found = new Map<string, string>()
  const waiting = [TokenizeNames.SCRIPT]
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (found.has(name)) continue
    const text = yield* readText(path.join(root, name))
    const script = name.endsWith(".ts") ? stripTypeScriptTypes(text) : text
    found.set(name, script)
    const folder = new URL(name, "file:///")
    for (const [, specifier] of script.matchAll(IMPORT)) waiting.push(new URL(specifier!, folder).pathname.slice(1))
  }
  return found
})

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
 * Returns the files by name, or none if onnxruntime-web is not installed; {@link INSTALL} installs it. A file is read when it is asked for. The
 * tokenizer is exported once.
 */
export const files: (
  tokenizer: Tokenizer.Tokenizer
) => Effect.Effect<
  Option.Option<ReadonlyMap<string, Served<ServedError, FileSystem.FileSystem | Path.Path>>>,
  Files.FileError,
  FileSystem.FileSystem | Path.Path
> = Effect.fn("patchword.TokenizeFiles.files")(function*(tokenizer) {
  const { fs, path } = yield* Files.make
  const folder = yield* runtime
  if (Option.isNone(folder)) return Option.none()
  const scripts = yield* modules
  const model = yield* Effect.cached(Export.onnx({ _tag: "Tokenizer", ...tokenizer }, "codes", { images: 1 }))
  const installed = (name: string, type: string) => {
    const file = path.join(folder.value, name)
    return [name, { type, bytes: Files.onFailure(file)(fs.readFile(file)) }] as const
  }
  return Option.some(
    new Map<string, Served<ServedError, FileSystem.FileSystem | Path.Path>>([
      ...Array.from(
        scripts,
        ([name, text]) => [name, { type: SCRIPT, bytes: Effect.succeed(new TextEncoder().encode(text)) }] as const
      ),
      installed(TokenizeNames.RUNTIME, SCRIPT),
      installed(TokenizeNames.WASM, "application/wasm"),
      [TokenizeNames.MODEL, { type: "application/octet-stream", bytes: model }]
    ])
  )
})
