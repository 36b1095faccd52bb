import * as BlockMask from "../../src/domain/method/BlockMask.ts"
import type * as KeyedRandom from "../../src/domain/values/KeyedRandom.ts"
import * as Laws from "../../src/laws/index.ts"
import { refuses } from "./kit.ts"

const { fromKey } = BlockMask

const shared = (): Laws.Draw => {
  const kept = new Map<number, Uint8Array>()
  return (options, key) => {
    const mask = fromKey(options, key)
    const { buffer } = kept.get(mask.length) ?? mask
    const given = new Uint8Array(buffer as ArrayBuffer)
    given.set(mask)
    kept.set(mask.length, given)
    return given
  }
}

const keyed = (change: (key: KeyedRandom.Key) => Partial<KeyedRandom.Key>): Laws.Draw => (options, key) =>
  fromKey(options, { ...key, ...change(key) })

const corners: Laws.Draw = ({ height, width }, { seed }) =>
  new Uint8Array(height * width).fill(1, seed % 2 === 0 ? 0 : 1)

const forgetful = (): Laws.Draw => {
  let drawn = 0
  return (options, key) => fromKey(options, { ...key, index: drawn++ })
}

refuses("BlockMask", Laws.mask, fromKey, {
  "masks exactly the requested number of patches": [
    {
      mutant: (options, key) => fromKey({ ...options, count: Math.min(options.count, 3) }, key),
      said:
        /the number of masked patches is 3 but must be 4\nexample: \{"options":\{"height":\d+,"width":\d+,"count":4,/
    },
    {
      mutant: (options, key) => fromKey(Object.assign(options, { minBlock: 30 }), key),
      said: /the object of options after a draw is .*"minBlock":30.* but must be /
    },
    {
      mutant: (options, key) => fromKey(options, Object.assign(key, { epoch: -1 })),
      said: /the key after a draw is .*"epoch":-1.* but must be /
    }
  ],
  "gives equal keys equal masks, in any order": [
    { mutant: forgetful(), said: /the list of masks in reverse order is \[Uint8Array/ },
    { mutant: shared(), said: /the first mask, after other masks were drawn, is Uint8Array/ }
  ],
  "gives different keys different masks": [
    {
      mutant: keyed(({ index }) => ({ index: index % 60 })),
      said: /100 keys that differ in index have 60 masks, but those that .* have 100\n/
    },
    { mutant: keyed(() => ({ seed: 0 })), said: /100 keys that differ in seed have 1 mask, .* have 100\n/ },
    {
      mutant: keyed(({ seed }) => ({ seed: seed & 0xffff })),
      said: /keys that differ in seed have \d+ masks?, .* have \d+\n/
    },
    { mutant: keyed(() => ({ epoch: 0 })), said: /100 keys that differ in epoch have 1 mask, .* have 100\n/ },
    { mutant: keyed(() => ({ purpose: "mask" })), said: /100 keys that differ in purpose have 1 mask, .* have 100\n/ },
    {
      mutant: keyed(({ epoch, index }) => ({ index: epoch + index, epoch: 0 })),
      said: /100 keys that differ in seed, epoch and index have 40 masks, .* have 100\n/
    },
    {
      mutant: ({ count, height, width }) => new Uint8Array(height * width).fill(1, 0, count),
      said:
        /on 14x14 patches, 75 of them masked, 100 keys that differ in all .* the same mask\nexample: \{"options":\{"height":14,"width":14,/
    }
  ],
  "gives different keys different masks on a grid of any size": [
    { mutant: keyed(() => ({ seed: 0 })), said: /100 keys that differ in seed have 1 mask, .* have \d+\n/ },
    { mutant: corners, said: /100 keys that differ in epoch have 1 mask, .* have 2\n/ }
  ],
  "draws rectangles of allowed area and aspect inside the grid, and masks them": {
    mutant: (options, key, trace) => fromKey({ ...options, minAspect: options.minAspect ** 3 }, key, trace),
    said: /the rectangle of \d+x\d+ patches at \d+, \d+ has an aspect that is not between/
  }
})
