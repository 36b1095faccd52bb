/** Values over a preset as a command line gives them: `--set pretrain.optimizer.lr=0.001`. */
import { Result, Schema } from "effect"
import * as Json from "../../domain/values/Json.ts"

const value = (text: string): Json.Json =>
  Result.getOrElse(Schema.decodeUnknownResult(Json.text(Schema.Json))(text), () => text)

/** The trees of values that paths and texts describe, in their order. Values are JSON, or text where they are none. */
export const trees = (overrides: Readonly<Record<string, string>>): ReadonlyArray<Json.Json> =>
  Object.entries(overrides).map(([path, text]) =>
    path.split(".").reduceRight<Json.Json>((inner, key) => ({ [key]: inner }), value(text))
  )
