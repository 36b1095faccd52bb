import * as BlockMask from "../../src/domain/method/BlockMask.ts"
import * as Laws from "../../src/laws/index.ts"
import { refuses } from "./kit.ts"

const { fromKey } = BlockMask

const forgetful = (): Laws.Draw => {
  let drawn = 0
  return (options, key) => fromKey(options, { ...key, index: drawn++ })
}

refuses("BlockMask", Laws.mask, fromKey, {
  "masks exactly as many patches as asked": {
    mutant: (options, key) => fromKey({ ...options, count: Math.min(options.count, 3) }, key),
    said: /the number of masked patches is 3 but must be 4\nexample: \{"options":\{"height":\d+,"width":\d+,"count":4,/
  },
  "gives equal keys equal masks, in any order": {
    mutant: forgetful(),
    said: /what is drawn in the reverse order is \[Uint8Array/
  },
  "gives other keys other masks": {
    mutant: (options, key) => fromKey(options, { ...key, index: key.index % 60 }),
    said: /the number of different masks of 100 indices is 60 but must be 100/
  },
  "draws rectangles of allowed area and aspect inside the grid, and masks them": {
    mutant: (options, key, trace) => fromKey({ ...options, minAspect: options.minAspect ** 3 }, key, trace),
    said: /the rectangle of \d+x\d+ patches at \d+, \d+ has an aspect that is not between/
  },
  "refuses to mask more patches than there are": {
    mutant: ({ height, width }) => new Uint8Array(height * width).fill(1),
    said: /2 patches of 1 were masked/
  }
})
