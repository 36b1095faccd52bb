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

const ODD_KEY = "expected a text as key, got a list or a map"

/** The words of YAML's parser for usual mistakes, and ours. */
const WORDS: ReadonlyArray<readonly [RegExp, string]> = [
  [/^Source contains multiple documents.*/, "expected one document, got several, separated by ---"],
  [/^Flow sequence in block collection.*/, "a [ is not closed before this place"],
  [/^Flow map in block collection.*/, "a { is not closed before this place"],
  [
    /^Block collections are not allowed within flow.*|^Implicit keys .*/,
    "a [ or { is not closed, or a comma is missing"
  ],
  [/^Missing closing (["']).*/, "a $1 is not closed"],
  [/^Nested mappings are not allowed.*/, "two keys are in one line"],
  [/^Implicit map keys need .*/, "a key has no colon and no value"],
  [/^Map keys must be unique/, "a key is given twice"]
]

/** The problem of a text, with its place if that is known. */
const sentence = (cause: unknown): string => {
  const text = cause instanceof Error ? cause.message : String(cause)
  if (text.includes("call stack")) return TOO_DEEP
  const [, said = "", line, column] = /^(.*?)(?: at line (\d+), column (\d+))?:?$/.exec(text.split("\n")[0]!) ?? []
  const [pattern, words] = WORDS.find(([pattern]) => pattern.test(said)) ?? [said, said]
  const told = said.replace(pattern, words)
  return line === undefined ? told : `line ${line}, column ${column}: ${told}`
}

/**
 * Parses YAML, which JSON is part of. `source` names the text in errors. Fails with `ConfigError` if it is not valid YAML, refers to
 * an undefined anchor, or expands without bound.
 */
export const parse = Effect.fnUntraced(function*(source: string, text: string) {
  const { isAlias, isCollection, parseDocument, visit } = yield* Effect.promise(() => import("yaml"))
  const value = yield* Effect.try({
    try: (): unknown => {
      const document = parseDocument(text)
      // Warnings of YAML, such as an unknown tag, mean that the value differs from the text.
      const [problem] = [...document.errors, ...document.warnings]
      if (problem !== undefined) throw problem
      visit(document, {
        Pair: (_, { key }) => {
          if (isCollection(isAlias(key) ? key.resolve(document) : key)) throw new Error(ODD_KEY)
        }
      })
      return document.toJS()
    },
    catch: (cause) => Config.refusal(source, sentence(cause))
  })
  return Json.isDeeper(value) ? yield* Config.refusal(source, TOO_DEEP) : value
})

/**
 * Reads the value that a file describes. An empty file is `{}`.
 *
 * Fails with `FileError` if the file cannot be read, with `ConfigError` if it does not fit the schema, and as {@link parse} does.
 */
export const read: <A, I>(
  schema: Schema.Codec<A, I>,
  file: string
) => Effect.Effect<A, Config.ConfigError | Files.FileError, FileSystem.FileSystem | Path.Path> = Effect.fnUntraced(
  function*(schema, file) {
    const { readText } = yield* Files.make
    return yield* Config.decode(schema, file)((yield* parse(file, yield* readText(file))) ?? {})
  }
)
