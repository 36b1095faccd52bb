/**
 * Reads configurations from JSON or YAML files. This covers every file that a person writes for patchword.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Effect } from "effect"
 * import { KnnConfig } from "patchword/domain"
 * import { ConfigFile, Files } from "patchword/layers"
 *
 * const read = ConfigFile.read(KnnConfig.KnnConfig, "no-such.yaml").pipe(Effect.provide(Files.layerNode))
 * const error = await Effect.runPromise(Effect.flip(read))
 * assert.match(error.message, /no-such.yaml/)
 * ```
 */
import { Effect, type FileSystem, type Path, type Schema } from "effect"
import * as Config from "../../domain/config/Config.ts"
import * as Json from "../../domain/values/Json.ts"
import * as Files from "./Files.ts"

const TOO_DEEP = `expected at most ${Json.DEEPEST} nested levels, got more`

const sentence = (cause: unknown): string => {
  if (cause instanceof Error && "code" in cause && cause.code === "MULTIPLE_DOCS") {
    return "expected one document, got several, separated by ---; put each into its own file"
  }
  const text = cause instanceof Error ? cause.message : String(cause)
  return text.includes("call stack") ? TOO_DEEP : text.split("\n")[0]!.replace(/:$/, "")
}

/**
 * Reads the value that a file describes. An empty file is `{}`.
 *
 * Fails with `FileError` if the file cannot be read. Fails with `ConfigError` if it is not valid YAML, refers to an
 * undefined anchor, expands without bound, or does not fit the schema.
 */
export const read: <A, I>(
  schema: Schema.Codec<A, I>,
  file: string
) => Effect.Effect<A, Config.ConfigError | Files.FileError, FileSystem.FileSystem | Path.Path> = Effect.fnUntraced(
  function*(schema, file) {
    const { readText } = yield* Files.make
    const text = yield* readText(file)
    // Every JSON file is also YAML.
    const { parseDocument } = yield* Effect.promise(() => import("yaml"))
    const value = yield* Effect.try({
      try: (): unknown => {
        const document = parseDocument(text)
        // Warnings of YAML, such as an unknown tag, mean that the value differs from the text.
        const [problem] = [...document.errors, ...document.warnings]
        if (problem !== undefined) throw problem
        return document.toJS() ?? {}
      },
      catch: (cause) => Config.refusal(file, sentence(cause))
    })
    if (Json.isDeeper(value)) return yield* Config.refusal(file, TOO_DEEP)
    return yield* Config.decode(schema, file)(value)
  }
)
