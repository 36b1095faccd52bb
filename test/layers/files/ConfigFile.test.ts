import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"
import { ConfigError } from "../../../src/domain/config/Config.ts"
import * as ConfigFile from "../../../src/layers/files/ConfigFile.ts"
import * as Files from "../../../src/layers/files/Files.ts"

const folder = mkdtempSync(join(tmpdir(), "patchword-config-"))
const file = join(folder, "config.yaml")

const read = (text: string) => {
  writeFileSync(file, text)
  return ConfigFile.read(Schema.Json, file).pipe(Effect.provide(Files.layerNode))
}

const bomb = Array.from({ length: 10 }, (_, i) => {
  const value = i === 0 ? "1" : `*a${i - 1}`
  return `a${i}: &a${i} [${Array.from({ length: 10 }, () => value).join(",")}]`
}).join("\n")

const refused: ReadonlyArray<readonly [string, string, RegExp]> = [
  ["aliases that grow without bound", bomb, /alias count/i],
  ["an alias that nothing defines", "tokenizer: *nope", /unresolved alias.*nope/i],
  ["an alias within itself", "&a [*a]", /at most 64 nested levels/],
  ["thousands of brackets", "[".repeat(20_000), /at most 64 nested levels/],
  ["hundreds of closed brackets", "[".repeat(500) + "]".repeat(500), /at most 64 nested levels/],
  [
    "thousands of levels",
    Array.from({ length: 5000 }, (_, i) => `${" ".repeat(i)}a:`).join("\n"),
    /at most 64 nested levels/
  ],
  ["a tag that it does not know", "seed: !mine 3", /unresolved tag/i],
  ["two documents", "a: 1\n---\na: 2", /expected one document, got several/],
  ["a key twice", "a: 1\na: 2", /config.yaml: line 2, column 1: a key is given twice/],
  ["an open bracket", "a: [1, 2\nb: 3\n", /config.yaml: line 2, column 1: a \[ is not closed before this place;/],
  ["an open brace", "a: {b: 1\n", /config.yaml: line 2, column 1: a \{ is not closed before this place;/],
  [
    "an open bracket in JSON",
    "{\"a\": [1, 2\n \"b\": 3}",
    /line 1, column 11: a \[ or \{ is not closed, or a comma is missing/
  ],
  ["an open brace over lines", "a: {\n  b:\n    c: 3\n", /line 3, column 5: a \[ or \{ is not closed/],
  ["an open quote", "a: \"x\nb: 1", /line 2, column 5: a " is not closed/],
  ["two keys in a line", "a: b: c", /line 1, column 4: two keys are in one line/],
  ["a key without a colon", "a: 1\nb\nc: 2", /line 2, column 1: a key has no colon and no value/],
  ["a number that is none", "a: .nan", /expected .*NaN/i]
]

describe("a configuration file", () => {
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it.effect.each(refused)("with %s is refused", ([, text, said]) =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(read(text))
      assert.instanceOf(error, ConfigError)
      assert.match(error.message, said)
      assert.include(error.message, file)
    }))

  it.effect("is JSON, YAML or empty", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* read("{\"a\": [1, {\"b\": null}]}"), { a: [1, { b: null }] })
      assert.deepStrictEqual(yield* read("a: &x [1]\nb: *x"), { a: [1], b: [1] })
      assert.deepStrictEqual(yield* read(""), {})
    }))
})
