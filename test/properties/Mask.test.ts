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
