import { assert, describe, it } from "@effect/vitest"
import * as BlockMask from "../../src/domain/method/BlockMask.ts"
import * as Mask from "../../src/domain/method/Mask.ts"
import * as Laws from "../../src/laws/index.ts"
import { holds } from "../laws/kit.ts"

holds("BlockMask", Laws.mask(BlockMask.fromKey))
holds("the random mask", Laws.mask(Mask.random.draw))

describe("the random mask", () => {
  it("hides every patch equally often", () => {
    const options = { height: 3, width: 4, count: 5, minBlock: 1 }
    const sums = new Float64Array(12)
    for (let index = 0; index < 4000; index++) {
      Mask.random.draw(options, { seed: 0, purpose: "mask", epoch: 0, index }).forEach((x, at) => (sums[at]! += x))
    }
    sums.forEach((sum) => assert.closeTo(sum / 4000, 5 / 12, 0.04))
  })
})

describe.each([Mask.blockwise, Mask.random])("the $name mask", ({ draw, name }) => {
  const options = { height: 3, width: 4, count: 5, minBlock: 1 }
  const key = { seed: 0, purpose: "mask", epoch: 0, index: 0 }

  it.each([-1, 1.5, NaN, 13])("refuses to mask %d patches", (count) => {
    const expected =
      `${name} mask: count: expected a whole number from 0 to the 12 patches of the 3x4 grid, got ${count}`
    assert.throws(() => draw({ ...options, count }, key), RangeError, expected)
  })

  it.each([0, -3, 2.5, NaN])("refuses a grid of %d rows", (height) => {
    const expected = `${name} mask: height: expected a whole number of at least 1, got ${height}`
    assert.throws(() => draw({ ...options, height }, key), RangeError, expected)
  })
})

describe("the blockwise mask", () => {
  it.each([
    ["minBlock", 0, "a whole number of at least 1"],
    ["maxBlock", NaN, "a whole number of at least 1"],
    ["minAspect", 0, "a number above 0 and at most 1"]
  ])("refuses a %s of %d", (member, value, expected) => {
    const options = { height: 3, width: 4, count: 5, minBlock: 1, [member]: value }
    assert.throws(
      () => BlockMask.fromKey(options, { seed: 0, purpose: "mask", epoch: 0, index: 0 }),
      RangeError,
      `blockwise mask: ${member}: expected ${expected}, got ${value}`
    )
  })
})
