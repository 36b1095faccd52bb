import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import * as BoundedHeaps from "../../src/domain/values/BoundedHeaps.ts"

const KEYS = 3

const entry = fc.record({
  key: fc.nat(KEYS - 1),
  value: fc.oneof(fc.integer({ min: -3, max: 3 }), fc.float({ noNaN: true, noDefaultInfinity: true })),
  image: fc.nat(5),
  patch: fc.nat(5)
})

const order = (a: BoundedHeaps.Entry, b: BoundedHeaps.Entry) =>
  a.value - b.value || a.image - b.image || a.patch - b.patch

describe("BoundedHeaps", () => {
  it("keep what a full sort has first, in any order of arrival", () => {
    fc.assert(fc.property(fc.array(entry, { maxLength: 60 }), fc.nat(7), (entries, capacity) => {
      const heaps = BoundedHeaps.make(KEYS, capacity)
      for (const { key, ...one } of entries) BoundedHeaps.offer(heaps, key, one)
      for (let key = 0; key < KEYS; key++) {
        const all = entries.filter((one) => one.key === key)
          .map(({ image, patch, value }) => ({ value: Math.fround(value), image, patch }))
        assert.deepStrictEqual(
          BoundedHeaps.sorted(heaps, key).map((one) => ({ ...one, value: one.value + 0 })),
          all.toSorted(order).slice(0, capacity).map((one) => ({ ...one, value: one.value + 0 }))
        )
      }
    }))
  })

  it("refuse a value that is not a number", () => {
    assert.throws(
      () => BoundedHeaps.offer(BoundedHeaps.make(1, 2), 0, { value: NaN, image: 7, patch: 0 }),
      /image 7 is NaN/
    )
  })
})
