import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import * as Codebook from "../../src/domain/method/Codebook.ts"
import * as MutualInformation from "../../src/domain/method/MutualInformation.ts"

const table = fc.tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 5 })).chain(([codes, classes]) =>
  fc.record({
    classes: fc.constant(classes),
    counts: fc.array(fc.nat(40), { minLength: codes * classes, maxLength: codes * classes })
  })
)

const byCode = (counts: ReadonlyArray<number>, classes: number) =>
  Array.from(
    { length: counts.length / classes },
    (_, code) => counts.slice(code * classes, (code + 1) * classes).reduce((a, b) => a + b, 0)
  )

const byClass = (counts: ReadonlyArray<number>, classes: number) =>
  Array.from(
    { length: classes },
    (_, one) => counts.filter((__, at) => at % classes === one).reduce((a, b) => a + b, 0)
  )

const bits = (counts: ReadonlyArray<number>) => Codebook.entropy(counts) / Math.LN2

describe("MutualInformation", () => {
  it("is the sum of both entropies without that of the pairs", () => {
    fc.assert(fc.property(table, ({ classes, counts }) => {
      const found = MutualInformation.of(counts, classes)
      const [codes, labels] = [bits(byCode(counts, classes)), bits(byClass(counts, classes))]
      assert.closeTo(found.bits, codes + labels - bits(counts), 1e-9)
      assert.closeTo(found.codeEntropy, codes, 1e-9)
      assert.closeTo(found.classEntropy, labels, 1e-9)
    }))
  })

  it("lies between nothing and all of the classes", () => {
    fc.assert(fc.property(table, ({ classes, counts }) => {
      const { bits, codeEntropy, normalised } = MutualInformation.of(counts, classes)
      assert.isAtLeast(bits, 0)
      assert.isAtMost(bits, codeEntropy + 1e-9)
      assert.isAtLeast(normalised, 0)
      assert.isAtMost(normalised, 1 + 1e-9)
    }))
  })

  it("is the mean of the codes' own information", () => {
    fc.assert(fc.property(table, ({ classes, counts }) => {
      const total = counts.reduce((a, b) => a + b, 0)
      const each = MutualInformation.preferences(counts, classes, classes)
      const all = byCode(counts, classes)
      const mean = each.reduce((sum, one, code) => sum + one.bits * all[code]! / Math.max(1, total), 0)
      assert.closeTo(mean, MutualInformation.of(counts, classes).bits, 1e-9)
    }))
  })

  it("is nothing where codes and classes are independent", () => {
    assert.closeTo(MutualInformation.of([2, 4, 3, 6], 2).bits, 0, 1e-12)
    assert.strictEqual(MutualInformation.of([5, 7], 1).normalised, 0)
  })

  it("names the classes that a code has more often than others do", () => {
    const [first, second, third] = MutualInformation.preferences([8, 1, 1, 0, 9, 1, 0, 0, 0], 3, 2)
    assert.deepStrictEqual(first!.preferred.map(({ class: one, count }) => [one, count]), [[0, 8]])
    assert.deepStrictEqual(second!.preferred.map(({ class: one }) => one), [1])
    assert.deepStrictEqual(third, { bits: 0, preferred: [] })
  })
})
