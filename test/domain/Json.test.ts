import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import fc from "fast-check"
import * as Json from "../../src/domain/values/Json.ts"

const json = fc.jsonValue() as fc.Arbitrary<Json.Json>

const shuffled = (value: Json.Json): Json.Json => {
  if (Array.isArray(value)) return value.map(shuffled)
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(Object.entries(value).toReversed().map(([key, member]) => [key, shuffled(member)]))
}

const nested = (depth: number, open: string, close: string): string => open.repeat(depth) + "1" + close.repeat(depth)

describe("Json", () => {
  it("reads what it writes", () => {
    fc.assert(fc.property(json, (value) => {
      assert.deepEqual(Result.getOrThrow(Json.parse(Json.canonical(value))), JSON.parse(JSON.stringify(value)))
    }))
  })

  it.each([["[", "]"], [`{"a":`, "}"], [`[{"a":`, "}]"]])("refuses thousands of levels of %s", (open, close) => {
    const levels = Json.DEEPEST / (open.length > 2 && open.startsWith("[") ? 2 : 1)
    assert.isTrue(Result.isSuccess(Json.parse(nested(levels, open, close))))
    for (const depth of [levels + 1, 100_000]) {
      const error = Result.getOrThrow(Result.flip(Json.parse(nested(depth, open, close))))
      assert.strictEqual(error.finding, "expected JSON of at most 64 levels, got more brackets within each other")
      const decoded = Schema.decodeUnknownResult(Json.text(Schema.Json))(nested(depth, open, close))
      assert.include(Result.getOrThrow(Result.flip(decoded)).message, "at most 64 levels")
    }
  })

  it("gives integers that a number cannot hold as bigints when asked to", () => {
    const read = (text: string) => Result.getOrThrow(Json.parse(text, { integers: "exact" }))
    assert.deepStrictEqual(read(`{"a":[9007199254740993,-9007199254740993,7,0.5,1e300,"9007199254740993"]}`), {
      a: [9007199254740993n, -9007199254740993n, 7, 0.5, 1e300, "9007199254740993"]
    })
    assert.strictEqual(Result.getOrThrow(Json.parse("9007199254740993")), 9007199254740992)
    assert.isTrue(Result.isFailure(Json.parse("[".repeat(100_000), { integers: "exact" })))
  })

  it("says where a text is no JSON", () => {
    fc.assert(fc.property(fc.string(), (text) => {
      const read = Json.parse(`{${text}`)
      if (Result.isFailure(read)) assert.match(read.failure.message, /^expected JSON \(/)
    }))
    const error = Result.getOrThrow(Result.flip(Json.parse(`{"a": 1,}`)))
    assert.match(error.message, /^expected JSON \(.*position 8/)
    for (const text of ["root:x:0:0", `{"a": secret}`, "secret", `${"[1] ".repeat(9)}secret`]) {
      assert.notMatch(Result.getOrThrow(Result.flip(Json.parse(text))).message, /root|secret|x:0|'r'/)
    }
  })

  it("spells equal values alike and loses nothing", () => {
    fc.assert(fc.property(json, (value) => {
      assert.strictEqual(Json.canonical(shuffled(value)), Json.canonical(value))
      assert.deepEqual(JSON.parse(Json.canonical(value)), JSON.parse(JSON.stringify(value)))
    }))
  })

  it("finds a difference exactly where the spelling differs", () => {
    fc.assert(fc.property(json, json, (a, b) => {
      assert.lengthOf(Json.differences(a, shuffled(a)), 0)
      assert.strictEqual(Json.differences(a, b).length === 0, Json.canonical(a) === Json.canonical(b))
    }))
  })

  it("names every key with both values", () => {
    const found = Json.differences(
      { a: { b: [1, 2], c: null, same: "s" }, gone: 1 },
      { a: { b: [1, 3, 4], c: {}, same: "s" }, added: "x".repeat(100) }
    )
    assert.deepStrictEqual(found, [
      { key: "a.b.1", stored: "2", asked: "3" },
      { key: "a.b.2", stored: "absent", asked: "4" },
      { key: "a.c", stored: "null", asked: "{}" },
      { key: "gone", stored: "1", asked: "absent" },
      { key: "added", stored: "absent", asked: `"${"x".repeat(59)}…` }
    ])
    assert.include(
      Json.showDifferences(found),
      "a.b.1: the folder has 2, you ask for 3; a.b.2: the folder has none, you ask for 4"
    )
  })

  it("tells values of different kinds apart", () => {
    assert.strictEqual(
      Json.showDifferences(Json.differences([1], { 0: 1 })),
      `all: the folder has [1], you ask for {"0":1}`
    )
  })

  it("replaces an object by one of another kind, and merges one of the same", () => {
    const scalars = { quantizer: { kind: "finiteScalar", levels: [8, 5] } }
    const gradient = { kind: "gradient", commitment: 1 }
    assert.deepStrictEqual(Json.merge(scalars, { quantizer: gradient }), { quantizer: gradient })
    assert.deepStrictEqual(
      [{ kind: "gradient" }, { commitment: 1 }].reduce<Json.Json>(
        (all, quantizer) => Json.merge(all, { quantizer }),
        scalars
      ),
      { quantizer: gradient }
    )
    assert.deepStrictEqual(
      Json.merge(scalars, { quantizer: { kind: "finiteScalar", levels: [3] } }),
      { quantizer: { kind: "finiteScalar", levels: [3] } }
    )
  })
})
