import { assert, describe, it } from "@effect/vitest"
import * as Codebook from "../../src/domain/method/Codebook.ts"

describe("Codebook", () => {
  it("has the perplexity of its equally frequent codes", () => {
    assert.closeTo(Codebook.entropy([5, 5, 0, 5, 5]), Math.log(4), 1e-12)
    assert.closeTo(Codebook.perplexity([5, 5, 0, 5, 5]), 4, 1e-12)
    assert.closeTo(Codebook.entropy([3, 1]), 0.75 * Math.log(4 / 3) + 0.25 * Math.log(4), 1e-12)
  })

  it("has neither entropy nor perplexity when nothing was counted", () => {
    assert.strictEqual(Codebook.entropy([0, 0]), 0)
    assert.strictEqual(Codebook.perplexity([0, 0]), 0)
    assert.deepStrictEqual(Codebook.dead([0, 0]), [0, 1])
  })

  it("lists the most used codes, ties by number, never unused ones", () => {
    assert.deepStrictEqual(Codebook.mostUsed([2, 7, 0, 7], 9), [
      { code: 1, count: 7 },
      { code: 3, count: 7 },
      { code: 0, count: 2 }
    ])
    assert.strictEqual(Codebook.mostUsed([2, 7, 0, 7], 2).length, 2)
  })

  it("tells what changed between two encodings", () => {
    assert.deepStrictEqual(Codebook.churn(Int32Array.of(1, 12, 3, 1), Int32Array.of(1, 20, 3, 9)), {
      changed: 0.5,
      appeared: [9, 20],
      vanished: [12]
    })
    assert.strictEqual(Codebook.churn(new Int32Array(), new Int32Array()).changed, 0)
    assert.throws(() => Codebook.churn(Int32Array.of(1), new Int32Array()), /1 codes before but 0 after/)
  })

  it("refuses codes that the codebook does not have", () => {
    assert.throws(() => Codebook.count([0, 4], 4), /code 4 is not in 0\.\.3/)
    assert.throws(() => Codebook.count([-1], 4), /code -1/)
  })
})
