import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import { createHash } from "node:crypto"
import { KEY, KeyIndex } from "../../src/layers/teacher/KeyIndex.ts"

const digest = (text: string) => createHash("sha256").update(text).digest()

const crowded = fc.tuple(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 40 }))
  .map(([start, end]) => {
    const key = new Uint8Array(KEY)
    key[0] = start
    key[KEY - 1] = end
    return key
  })

describe("KeyIndex", () => {
  it("finds what a map finds, also where keys begin the same", () => {
    const key = fc.oneof(crowded, fc.string().map(digest))
    fc.assert(fc.property(fc.array(key, { maxLength: 300 }), fc.array(key, { maxLength: 20 }), (added, others) => {
      const index = new KeyIndex()
      const map = new Map<string, number>()
      added.forEach((one, number) => {
        index.add(one)
        map.set(Buffer.from(one).toString("hex"), number)
      })
      assert.strictEqual(index.length, added.length)
      for (const one of [...added, ...others]) {
        assert.strictEqual(index.find(one), map.get(Buffer.from(one).toString("hex")) ?? -1)
      }
    }))
  })

  it("holds hundreds of thousands", () => {
    const index = new KeyIndex()
    for (let i = 0; i < 200_000; i++) index.add(digest(String(i)))
    for (let i = 0; i < 200_000; i += 997) assert.strictEqual(index.find(digest(String(i))), i)
    assert.strictEqual(index.find(digest("x")), -1)
  })
})
