import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import * as CodeNeighbours from "../../src/domain/method/CodeNeighbours.ts"

const WIDTH = 3

const codebook = fc.array(fc.tuple(...Array.from({ length: WIDTH }, () => fc.integer({ min: -4, max: 4 }))), {
  minLength: 1,
  maxLength: 12
})

const cosine = (a: ReadonlyArray<number>, b: ReadonlyArray<number>) => {
  const dot = (x: ReadonlyArray<number>, y: ReadonlyArray<number>) => x.reduce((sum, one, i) => sum + one * y[i]!, 0)
  const lengths = Math.sqrt(dot(a, a) * dot(b, b))
  return lengths === 0 ? 0 : dot(a, b) / lengths
}

describe("CodeNeighbours", () => {
  it("are those of a full sort by cosine similarity", () => {
    fc.assert(fc.property(codebook, fc.nat(5), (rows, most) => {
      const { codes, cosines, count } = CodeNeighbours.of(Float32Array.from(rows.flat()), WIDTH, most)
      assert.strictEqual(count, Math.min(most, rows.length - 1))
      for (let code = 0; code < rows.length; code++) {
        const all = rows.map((row) => cosine(rows[code]!, row)).filter((_, other) => other !== code)
        const expected = all.toSorted((a, b) => b - a).slice(0, count)
        for (let rank = 0; rank < count; rank++) {
          const [other, found] = [codes[code * count + rank]!, cosines[code * count + rank]!]
          assert.notStrictEqual(other, code)
          assert.closeTo(found, expected[rank]!, 1e-5)
          assert.closeTo(found, cosine(rows[code]!, rows[other]!), 1e-5)
        }
        assert.strictEqual(new Set(codes.subarray(code * count, (code + 1) * count)).size, count)
      }
    }))
  })
})
