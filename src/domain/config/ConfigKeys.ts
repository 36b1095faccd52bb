/**
 * The keys of a configuration: their paths and descriptions, read from its schema.
 *
 * ```ts
 * import assert from "node:assert"
 * import { ConfigKeys, KnnConfig } from "patchword/domain"
 *
 * const keys = ConfigKeys.of(KnnConfig.KnnConfig).filter(({ isLeaf }) => isLeaf)
 * assert.deepStrictEqual(keys.at(-1)!.path, ["fewShot", "tries"])
 * ```
 */
import { type Schema, SchemaAST } from "effect"

/** One key of a configuration. */
export interface Key {
  readonly path: ReadonlyArray<string>
  /** One sentence about the key. */
  readonly description: string | undefined
  /** True if the key holds no further keys. */
  readonly isLeaf: boolean
}

const objects = (ast: SchemaAST.AST): ReadonlyArray<SchemaAST.Objects> => {
  switch (ast._tag) {
    case "Objects":
      return [ast]
    case "Declaration":
      return ast.typeParameters.flatMap(objects)
    case "Union":
      return ast.types.flatMap(objects)
  }
  return []
}

/** The description of a schema, or of the member of a union that has one. */
const described = (ast: SchemaAST.AST): string | undefined =>
  SchemaAST.resolveDescription(ast) ??
    (ast._tag === "Union" ? ast.types.map(described).find((found) => found !== undefined) : undefined)

const walk = (ast: SchemaAST.AST, path: ReadonlyArray<string>): ReadonlyArray<Key> =>
  objects(ast).flatMap(({ propertySignatures }) =>
    propertySignatures.flatMap(({ name, type }) => {
      const own = [...path, String(name)]
      const description = type.context?.annotations?.description ?? described(type)
      const below = walk(type, own)
      return [{ path: own, description, isLeaf: below.length === 0 }, ...below]
    })
  )

/**
 * Lists all keys of a schema. A key comes before the keys that it holds. Keys of the members of a union follow each other, each
 * path once.
 */
export const of = (schema: Schema.Constraint): ReadonlyArray<Key> => [
  ...new Map(walk(schema.ast, []).map((key) => [key.path.join("."), key])).values()
]
