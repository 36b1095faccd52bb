/** Values over a preset as a command line gives them: `--set pretrain.optimizer.lr=0.001`. */
import { Effect, Schema } from "effect"
import * as Config from "../../domain/config/Config.ts"
import type * as Json from "../../domain/values/Json.ts"
import * as ConfigFile from "../../layers/files/ConfigFile.ts"

const treeOf = Effect.fnUntraced(function*([path, text]: readonly [path: string, text: string]) {
  const source = `--set ${path}`
  const value = yield* Config.decode(Schema.Json, source)(yield* ConfigFile.parse(source, text))
  return path.split(".").reduceRight<Json.Json>((inner, key) => ({ [key]: inner }), value)
})

/** The trees of values that paths and texts describe, in their order. Texts are YAML, as in a configuration file. */
export const trees = (overrides: Readonly<Record<string, string>>) => Effect.forEach(Object.entries(overrides), treeOf)
