import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import * as Split from "../../src/compiler/trace/Split.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"

const shares = fc.record({
  devices: fc.integer({ min: 1, max: 4 }),
  own: fc.integer({ min: 1, max: 3 }),
  width: fc.nat(3)
})

const each = <A>(devices: number, body: (device: number) => A) => Array.from({ length: devices }, (_, i) => body(i))

describe("the share of a device", () => {
  it("is the next part of the rows", () => {
    fc.assert(fc.property(shares, ({ devices, own, width }) => {
      const data = Float32Array.from({ length: devices * own * width }, (_, i) => i)
      const array = HostTensor.make([devices * own, width], "float32", data)
      const parts = each(devices, (device) => Split.part(array, "rows", devices, device))
      for (const { shape } of parts) assert.deepStrictEqual(shape, [own, width])
      assert.deepStrictEqual(parts.flatMap((part) => Array.from(part.data)), Array.from(data))
      const { x } = Split.specs(
        { x: { shape: [devices * own, width], dtype: "float32", split: "rows" as const } },
        devices
      )
      assert.deepStrictEqual(x.shape, [own, width])
    }))
  })

  it("has the places of its own rows", () => {
    fc.assert(fc.property(shares, ({ devices, own }) => {
      const rows = own + 2
      const split = { placesOf: devices * rows }
      const places = each(devices, (device) => each(own, (i) => device * rows + (3 * i) % rows)).flat()
      const array = HostTensor.make([places.length], "int32", Int32Array.from(places))
      assert.isTrue(Split.fits(array, split, devices))
      for (const device of each(devices, (i) => i)) {
        const { data } = Split.part(array, split, devices, device)
        assert.deepStrictEqual(Array.from(data), each(own, (i) => (3 * i) % rows))
      }
      const turned = HostTensor.make([places.length], "int32", Int32Array.from(places).toReversed())
      assert.strictEqual(Split.fits(turned, split, devices), devices === 1)
    }))
  })

  it("is the whole array if nothing else is said", () => {
    const array = HostTensor.scalar(3)
    assert.deepStrictEqual(Split.part(array, undefined, 2, 1), array)
    assert.isTrue(Split.fits(array, undefined, 2))
  })

  it("needs rows that the devices divide", () => {
    const images = { shape: [6, 2], dtype: "float32", split: "rows" as const }
    assert.throws(() => Split.specs({ images }, 4), Split.Uneven, "images: 6 rows are not divisible among 4 devices")
    const rows = { shape: [4], dtype: "int32", split: { placesOf: 6 } }
    assert.throws(
      () => Split.specs({ deep: [rows] }, 4),
      Split.Uneven,
      "deep.0: 6 rows are not divisible among 4 devices"
    )
    assert.deepStrictEqual(Split.specs({ images, rows }, 1), { images, rows })
  })
})
