import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "fast-check"
import * as CodePairs from "../../src/domain/method/CodePairs.ts"

const CODES = 5
const grid = { height: 2, width: 3 }
const PATCHES = 6

const images = FastCheck.array(
  FastCheck.array(FastCheck.integer({ min: 0, max: CODES - 1 }), { minLength: PATCHES, maxLength: PATCHES }),
  { minLength: 5, maxLength: 40 }
)

const counted = (all: ReadonlyArray<ReadonlyArray<number>>, from = 0, to = CODES) => {
  const counts = CodePairs.make({ codes: CODES, from, to, grid })
  all.forEach((image) => CodePairs.add(counts, image))
  return counts
}

/** All neighbours of all patches, in both directions. */
const ends = (all: ReadonlyArray<ReadonlyArray<number>>): ReadonlyArray<readonly [number, number]> =>
  all.flatMap((image) =>
    image.flatMap((code, at) =>
      image.flatMap((other, place) => {
        const [dx, dy] = [at % 3 - place % 3, Math.floor(at / 3) - Math.floor(place / 3)]
        return Math.abs(dx) + Math.abs(dy) === 1 ? [[code, other] as const] : []
      })
    )
  )

describe("codes that occur together", () => {
  it("are counted as by hand, in parts, too", () => {
    FastCheck.assert(FastCheck.property(images, FastCheck.integer({ min: 0, max: CODES }), (all, cut) => {
      const whole = counted(all)
      const parts = [counted(all, 0, cut), counted(all, cut, CODES)]
      for (const kind of CodePairs.KINDS) {
        assert.deepStrictEqual(
          parts.flatMap((part) => Array.from(part.counted[kind].pairs)),
          Array.from(whole.counted[kind].pairs)
        )
      }
      const met = ends(all)
      assert.strictEqual(whole.counted.neighbours.total, met.length)
      for (let a = 0; a < CODES; a++) {
        assert.strictEqual(whole.counted.images.single[a], all.filter((image) => image.includes(a)).length)
        assert.strictEqual(whole.counted.neighbours.single[a], met.filter(([one]) => one === a).length)
        for (let b = 0; b < CODES; b++) {
          if (a === b) continue
          const both = all.filter((image) => image.includes(a) && image.includes(b)).length
          assert.strictEqual(whole.counted.images.pairs[a * CODES + b], both)
          const beside = met.filter(([one, other]) => one === a && other === b).length
          assert.strictEqual(whole.counted.neighbours.pairs[a * CODES + b], beside)
        }
      }
    }))
  })

  it("have a measure from 0 to 1 by its formula, the highest first", () => {
    FastCheck.assert(FastCheck.property(images, (all) => {
      const counts = counted(all)
      for (const kind of CodePairs.KINDS) {
        const { pairs, single, total } = counts.counted[kind]
        for (let code = 0; code < CODES; code++) {
          const best = CodePairs.best(counts, kind, code, CODES)
          assert.deepStrictEqual(
            best,
            best.toSorted((a, b) => b.measure - a.measure || b.count - a.count || a.code - b.code)
          )
          for (const { code: other, count, expected, measure } of best) {
            assert.strictEqual(count, pairs[code * CODES + other])
            assert.isAtLeast(count, CodePairs.FEWEST)
            assert.isAbove(count, expected)
            const [p, a, b] = [count / total, single[code]! / total, single[other]! / total]
            assert.closeTo(measure, Math.log(p / (a * b)) / -Math.log(p), 1e-9)
            assert.isAbove(measure, 0)
            assert.isAtMost(measure, 1 + 1e-9)
            assert.closeTo(expected, total * a * b, 1e-9)
          }
        }
      }
    }))
  })
})
