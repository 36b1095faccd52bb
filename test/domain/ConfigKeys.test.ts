import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as ConfigKeys from "../../src/domain/config/ConfigKeys.ts"
import { Preset } from "../../src/domain/config/Preset.ts"
import * as Presets from "../../src/domain/config/presets/Presets.ts"
import type * as Json from "../../src/domain/values/Json.ts"

const leaves = (value: Json.Json, path: ReadonlyArray<string> = []): ReadonlyArray<string> =>
  typeof value === "object" && value !== null && !Array.isArray(value)
    ? Object.entries(value).flatMap(([key, member]) => leaves(member as Json.Json, [...path, key]))
    : [path.join(".")]

describe("the keys of a configuration", () => {
  const keys = ConfigKeys.of(Preset)

  it("have a description each, which is one sentence or two", () => {
    assert.isAbove(keys.length, 150)
    for (const { description, path } of keys) {
      const place = path.join(".")
      assert.isDefined(description, place)
      assert.match(description!, /^[A-Za-z][^]*\.$/, place)
      assert.isAtMost(description!.length, 120, place)
    }
  })

  it.each(Object.entries(Presets.all))("are all that %s has", (_, preset) => {
    const known = new Set(keys.map(({ path }) => path.join(".")))
    for (const leaf of leaves(Schema.encodeSync(Preset)(preset))) assert.isTrue(known.has(leaf), leaf)
  })
})
