import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import * as RankShare from "../../src/pipelines/training/RankShare.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"

const places = (size: number) => Array.from({ length: size }, (_, rank) => ({ rank, size }))
const shared = fc.record({ size: fc.integer({ min: 1, max: 8 }), half: fc.integer({ min: 1, max: 6 }) })

describe("the shares of ranks", () => {
  it.each([["contiguous", RankShare.contiguous], ["mirrored", RankShare.mirrored]] as const)(
    "have each row once, the same number on each rank: %s",
    (_, share) =>
      fc.assert(fc.property(shared, ({ half, size }) => {
        const all = places(size).map((place) => share(2 * half * size, place))
        assert.deepStrictEqual(
          all.flat().toSorted((a, b) => a - b),
          Array.from({ length: 2 * half * size }, (_, i) => i)
        )
        for (const rows of all) {
          assert.lengthOf(rows, 2 * half)
          assert.deepStrictEqual(rows, rows.toSorted((a, b) => a - b))
        }
      }))
  )

  it("keep a row and its mirror image on one rank, at mirrored places", () =>
    fc.assert(fc.property(shared, ({ half, size }) => {
      const batch = 2 * half * size
      for (const place of places(size)) {
        const rows = RankShare.mirrored(batch, place)
        assert.deepStrictEqual(rows.toReversed(), rows.map((row) => batch - 1 - row))
      }
    })))

  it("are whole where they would be uneven", () => {
    const all = [0, 1, 2, 3, 4, 5, 6]
    assert.deepStrictEqual(RankShare.contiguous(7, { rank: 1, size: 2 }), all)
    assert.deepStrictEqual(RankShare.mirrored(6, { rank: 1, size: 2 }), all.slice(0, 6))
  })

  it("take the rows of each array", () => {
    const whole: object = { a: [{ b: HostTensor.make([3, 2], "float32", Float32Array.of(0, 1, 2, 3, 4, 5)) }] }
    assert.deepStrictEqual(RankShare.pick(whole, [0, 2]), {
      a: [{ b: { shape: [2, 2], dtype: "float32", data: Float32Array.of(0, 1, 4, 5) } }]
    })
  })
})
