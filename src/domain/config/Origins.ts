/**
 * The origins of the values of a configuration.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Origins } from "patchword/domain"
 *
 * const layers = [{ name: "preset tiny", value: { lr: 1, eps: 2 } }, { name: "--set", value: { lr: 3, eps: 2 } }]
 * assert.deepStrictEqual([...Origins.of(layers)], [["lr", "--set"], ["eps", "preset tiny"]])
 * ```
 */
import type { Schema } from "effect"
import * as Json from "../values/Json.ts"

/** A whole configuration after the changes of a source, and the name of the source. */
export interface Layer {
  readonly name: string
  readonly value: Json.Json
  /** The dot-joined paths that the source names, also where it gives the former value again. */
  readonly given?: ReadonlyArray<string>
}

/** Lists the values of an object, at every depth, by their dot-joined paths. An object without members is a value. */
export const leaves = (value: Json.Json, path = ""): ReadonlyArray<readonly [path: string, value: Json.Json]> =>
  Json.isObject(value) && (path === "" || Object.keys(value).length > 0)
    ? Object.entries(value).flatMap(([key, member]) => leaves(member, path === "" ? key : `${path}.${key}`))
    : [[path, value]]

/** Returns the name of the layer that last set the value of each path of the last layer. Layers are in the order of their changes. */
export const of = (layers: ReadonlyArray<Layer>): ReadonlyMap<string, string> => {
  const tables = layers.map(({ given, name, value }) => ({
    name,
    table: new Map(leaves(value)),
    given: new Set(given)
  }))
  const last = tables.at(-1)?.table ?? new Map<string, Schema.Json>()
  return new Map([...last].map(([path, value]) => {
    const setting = tables.findLastIndex(({ given }, index) =>
      given.has(path) || !equal(tables[index - 1]?.table.get(path), value)
    )
    return [path, tables[setting]!.name]
  }))
}

const equal = (a: Json.Json | undefined, b: Json.Json): boolean =>
  a !== undefined && Json.canonical(a) === Json.canonical(b)
