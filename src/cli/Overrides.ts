/** Values set on the command line over a preset: `--set pretrain.optimizer.lr=0.001`. */
import { Effect, Result, Schema } from "effect"
import * as Config from "../domain/Config.ts"
import { Preset } from "../domain/Preset.ts"

type Tree = { [key: string]: Schema.Json }

const isTree = (value: Schema.Json | undefined): value is Tree =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const parse = (text: string): Schema.Json =>
  Result.getOrElse(Schema.decodeUnknownResult(Schema.fromJsonString(Schema.Json))(text), () => text)

const assign = (tree: Tree, [key, ...rest]: ReadonlyArray<string>, value: Schema.Json): Tree => {
  if (key === undefined) return tree
  const child = tree[key]
  return { ...tree, [key]: rest.length === 0 ? value : assign(isTree(child) ? child : {}, rest, value) }
}

/**
 * The preset with every override applied. Values are JSON, or text where they are none.
 *
 * Fails with a `ConfigError` (64) that names each path that does not exist or does not fit.
 */
export const apply = Effect.fn("Overrides.apply")(function*(
  preset: Preset,
  overrides: Readonly<Record<string, string>>
) {
  const plain = yield* Effect.orDie(Schema.encodeEffect(Schema.toCodecJson(Preset))(preset))
  const changed = Object.entries(overrides).reduce<Tree>(
    (tree, [path, text]) => assign(tree, path.split("."), parse(text)),
    isTree(plain) ? plain : {}
  )
  return yield* Config.decode(Preset, "the command line")(changed)
})
