import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import * as Crop from "../../src/domain/pixels/Crop.ts"
import * as Normalize from "../../src/domain/pixels/Normalize.ts"
import type { Picture } from "../../src/domain/pixels/Picture.ts"
import * as Resample from "../../src/domain/pixels/Resample.ts"
import * as KeyedRandom from "../../src/domain/values/KeyedRandom.ts"
import * as Augment from "../../src/layers/images/views/Augment.ts"

const side = fc.integer({ min: 1, max: 40 })
const filter = fc.constantFrom<Resample.Filter>("bilinear", "bicubic", "lanczos")
const picture: fc.Arbitrary<Picture> = fc.tuple(side, side).chain(([width, height]) =>
  fc.uint8Array({ minLength: width * height * 3, maxLength: width * height * 3 }).map((data) => ({
    width,
    height,
    data
  }))
)
const pair = (min: number, max: number) =>
  fc.tuple(fc.double({ min, max, noNaN: true }), fc.double({ min, max, noNaN: true })).map(([a, b]): [number, number] =>
    a < b ? [a, b] : [b, a]
  )
const bounds = fc.record({ cropScale: pair(0.01, 1), cropRatio: pair(0.2, 5) })
const share = fc.double({ min: 0, max: 1, noNaN: true })
const config = fc.record({
  cropScale: pair(0.05, 1),
  cropRatio: pair(0.5, 2),
  flip: share,
  jitter: fc.record({ brightness: share, contrast: share, saturation: share }),
  interpolation: filter
})
const key: fc.Arbitrary<KeyedRandom.Key> = fc.record({
  seed: fc.nat(),
  purpose: fc.constant("view"),
  epoch: fc.nat(100),
  index: fc.nat()
})

describe("views", () => {
  it("have boxes inside the picture, of the asked area and ratio", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 2000 }),
        fc.integer({ min: 1, max: 2000 }),
        bounds,
        key,
        (width, height, asked, at) => {
          const box = Crop.random(width, height, asked, KeyedRandom.generator(at))
          for (const part of [box.left, box.top, box.width, box.height]) assert.isTrue(Number.isInteger(part))
          assert.isTrue(box.left >= 0 && box.top >= 0 && box.width >= 1 && box.height >= 1)
          assert.isTrue(box.left + box.width <= width && box.top + box.height <= height)
          const central = box.left === Math.floor((width - box.width) / 2) &&
            box.top === Math.floor((height - box.height) / 2)
          const filling = central && (box.width === width || box.height === height)
          const least = width * height * asked.cropScale[0]
          const most = width * height * asked.cropScale[1]
          const within = (box.width + 0.5) * (box.height + 0.5) >= least &&
            (box.width - 0.5) * (box.height - 0.5) <= most
          const oblong = (box.width + 0.5) / (box.height - 0.5) >= asked.cropRatio[0] &&
            (box.width - 0.5) / (box.height + 0.5) <= asked.cropRatio[1]
          assert.isTrue(filling || (within && oblong))
        }
      ),
      { numRuns: 1000 }
    )
  })

  it("depend on their key alone", () => {
    fc.assert(fc.property(picture, config, key, fc.integer({ min: 1, max: 24 }), (original, how, at, size) => {
      const kept = original.data.slice()
      const view = Augment.view(original, size, how, at)
      assert.deepStrictEqual(Augment.view(original, size, { ...how }, { ...at }), view)
      assert.deepStrictEqual(original.data, kept)
      assert.strictEqual(view.data.length, size * size * 3)
    }))
  })

  it("differ between keys", () => {
    const data = Uint8Array.from({ length: 32 * 32 * 3 }, (_, i) => i * 31 % 256)
    const how = {
      cropScale: [0.2, 1],
      cropRatio: [3 / 4, 4 / 3],
      flip: 0.5,
      jitter: { brightness: 0.3, contrast: 0.3, saturation: 0.3 },
      interpolation: "bilinear"
    } as const
    fc.assert(fc.property(key, (at) => {
      const view = (index: number) => Augment.view({ width: 32, height: 32, data }, 16, how, { ...at, index }).data
      assert.notDeepEqual(view(at.index), view(at.index + 1))
    }))
  })
})

describe("operations on pictures", () => {
  it("mirror back to the original", () => {
    fc.assert(fc.property(picture, (original) => {
      assert.deepStrictEqual(Crop.flip(Crop.flip(original)), original)
    }))
  })

  it("resize to the same size without a change", () => {
    fc.assert(fc.property(picture, filter, (original, by) => {
      const { height, width } = original
      assert.deepStrictEqual(Resample.resize(original, width, height, by), original)
      assert.deepStrictEqual(Resample.resize(original, width, height, by, { left: 0, top: 0, width, height }), original)
    }))
  })

  it("resize a part as they resize the part alone", () => {
    fc.assert(fc.property(picture, filter, side, side, bounds, key, (original, by, width, height, asked, at) => {
      const box = Crop.random(original.width, original.height, asked, KeyedRandom.generator(at))
      assert.deepStrictEqual(
        Resample.resize(original, width, height, by, box),
        Resample.resize(Resample.cut(original, box), width, height, by)
      )
    }))
  })

  it("keep a plain colour plain at any size", () => {
    fc.assert(fc.property(side, side, side, side, filter, fc.nat(255), (w, h, width, height, by, value) => {
      const plain = { width: w, height: h, data: new Uint8Array(w * h * 3).fill(value) }
      assert.isTrue(Resample.resize(plain, width, height, by).data.every((v) => v === value))
    }))
  })

  it("normalise and restore", () => {
    const deviation = fc.double({ min: 0.05, max: 1, noNaN: true })
    const channels = fc.record({ mean: fc.tuple(share, share, share), std: fc.tuple(deviation, deviation, deviation) })
    fc.assert(fc.property(picture, channels, (original, by) => {
      const pixels = original.width * original.height
      const unit = Normalize.unit([original, original])
      const back = Normalize.restore(Normalize.standardise(unit, pixels, by), pixels, by)
      assert.isTrue(back.every((value, i) => Math.abs(value - unit[i]!) < 1e-5))
      assert.isTrue(unit.every((value) => value >= 0 && value <= 1))
    }))
  })
})
