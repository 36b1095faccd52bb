/** Values over a preset: those of a file, and those of `--set pretrain.optimizer.lr=0.001`. */
import { Effect, Result, Schema } from "effect"
import * as Config from "../domain/config/Config.ts"
import { Preset } from "../domain/config/Preset.ts"
import * as Json from "../domain/values/Json.ts"

type Tree = { [key: string]: Schema.Json }

// A key from outside may have the name of what every object inherits.
const childOf = (tree: Tree, key: string): Schema.Json | undefined => Object.hasOwn(tree, key) ? tree[key] : undefined

const isTree = (value: Schema.Json | undefined): value is Tree =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const parse = (text: string): Schema.Json =>
  Result.getOrElse(Schema.decodeUnknownResult(Json.text(Schema.Json))(text), () => text)

const assign = (tree: Tree, [key, ...rest]: ReadonlyArray<string>, value: Schema.Json): Tree => {
  if (key === undefined) return tree
  const child = childOf(tree, key)
  return { ...tree, [key]: rest.length === 0 ? value : assign(isTree(child) ? child : {}, rest, value) }
}

const merged = (tree: Tree, over: Schema.Json): Schema.Json => {
  if (!isTree(over)) return over
  return Object.entries(over).reduce<Tree>((all, [key, value]) => {
    const child = childOf(all, key)
    return { ...all, [key]: isTree(child) && isTree(value) ? merged(child, value) : value }
  }, tree)
}

const plain = Effect.fnUntraced(function*(preset: Preset) {
  const tree = yield* Effect.orDie(Schema.encodeEffect(Schema.toCodecJson(Preset))(preset))
  return isTree(tree) ? tree : {}
})

/** The preset with the values of a tree over its own; fails with a `ConfigError` (64) that names `source`. */
export const merge = Effect.fn("Overrides.merge")(function*(preset: Preset, over: Schema.Json, source: string) {
  return yield* Config.decode(Preset, source)(merged(yield* plain(preset), over))
})

/**
 * The preset with every override applied. Values are JSON, or text where they are none.
 *
 * Fails with a `ConfigError` (64) that names each path that does not exist or does not fit.
 */
export const apply = Effect.fn("Overrides.apply")(function*(
  preset: Preset,
  overrides: Readonly<Record<string, string>>
) {
  const changed = Object.entries(overrides).reduce<Tree>(
    (tree, [path, text]) => assign(tree, path.split("."), parse(text)),
    yield* plain(preset)
  )
  return yield* Config.decode(Preset, "the command line")(changed)
})
