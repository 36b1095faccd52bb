import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import * as Blur from "../../src/domain/corruptions/Blur.ts"
import * as Border from "../../src/domain/corruptions/Border.ts"
import * as Corruption from "../../src/domain/corruptions/Corruption.ts"
import * as MotionFilter from "../../src/domain/corruptions/MotionFilter.ts"
import * as Noise from "../../src/domain/corruptions/Noise.ts"
import * as Plasma from "../../src/domain/corruptions/Plasma.ts"
import * as Weather from "../../src/domain/corruptions/Weather.ts"
import type { Picture } from "../../src/domain/pixels/Picture.ts"
import * as KeyedRandom from "../../src/domain/values/KeyedRandom.ts"

const draws = (index = 0) => KeyedRandom.generator({ seed: 3, purpose: "test", epoch: 0, index })

const painted = (width: number, height: number): Picture => ({
  width,
  height,
  data: Uint8Array.from({ length: width * height * 3 }, (_, i) => {
    const [x, y] = [Math.floor(i / 3) % width, Math.floor(i / 3 / width)]
    return 128 + 60 * Math.sin(x / 3 + i % 3) + 50 * Math.cos(y / 4 - i % 3)
  })
})

const flat = (value: number, side = 64): Picture => ({
  width: side,
  height: side,
  data: new Uint8Array(side * side * 3).fill(value)
})

const frost = [painted(61, 67), painted(50, 90)]
const { Kind, Severity, apply, key } = Corruption
const computed = Kind.literals.filter((kind) => kind !== "jpeg_compression")
const severities = Severity.literals
const random = /noise|glass|motion|snow|frost|fog|elastic/

const corrupted = (picture: Picture, kind: Corruption.Computed, severity: Corruption.Severity, index = 0) =>
  apply(picture, kind, severity, key({ kind, severity }, { seed: 0, index }), frost)

const distance = (a: Picture, b: Picture) =>
  a.data.reduce((sum, value, i) => sum + Math.abs(value - b.data[i]!), 0) / a.data.length

const moments = (values: ReadonlyArray<number>) => {
  const mean = values.reduce((a, b) => a + b, 0) / values.length
  return { mean, variance: values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length }
}

describe("corruptions", () => {
  it.each(computed)("%s depends on its key alone, changes the image and keeps its size", (kind) => {
    const picture = painted(40, 32)
    const before = picture.data.slice()
    for (const severity of severities) {
      const once = corrupted(picture, kind, severity)
      assert.deepStrictEqual(corrupted(picture, kind, severity), once)
      assert.deepStrictEqual([once.width, once.height, once.data.length], [40, 32, before.length])
      assert.isAbove(distance(once, picture), 0)
      assert.strictEqual(distance(corrupted(picture, kind, severity, 1), once) > 0, random.test(kind))
    }
    assert.deepStrictEqual(picture.data, before)
    const [mild, strong] = [1, 5].map((severity) => corrupted(picture, kind, severity as Corruption.Severity))
    if (!["elastic_transform", "saturate", "frost"].includes(kind)) {
      assert.isAbove(distance(strong!, picture), distance(mild!, picture))
    }
  })

  it("blur leaves an image of one colour as it is", () => {
    for (const kind of ["gaussian_blur", "glass_blur", "motion_blur", "pixelate", "elastic_transform"] as const) {
      for (const severity of severities) {
        assert.isAtMost(distance(corrupted(flat(90, 32), kind, severity), flat(90, 32)), 1, kind)
      }
    }
  })

  it("take images of any size", () => {
    for (const kind of computed) {
      for (const [width, height] of [[1, 1], [3, 9]] as const) {
        assert.strictEqual(corrupted(painted(width, height), kind, 5).data.length, width * height * 3)
      }
    }
  })
})

describe("noise", () => {
  it("has the deviation of its severity, in proportion to values where it is speckle", () => {
    for (const [make, value, deviation] of [[Noise.gaussian, 128, 0.08 * 255], [Noise.speckle, 100, 15]] as const) {
      const { mean, variance } = moments(Array.from(make(flat(value), 1, draws()).data))
      assert.closeTo(mean, value - 0.5, 0.8)
      assert.closeTo(Math.sqrt(variance), deviation, 0.6)
    }
  })

  it("of light is Poisson's", () => {
    for (const mean of [0, 0.3, 3, 60]) {
      const shared = draws(7)
      const found = moments(Array.from({ length: 20_000 }, () => Noise.poisson(mean, shared)))
      assert.closeTo(found.mean, mean, 5 * Math.sqrt(mean / 20_000))
      assert.closeTo(found.variance, mean, 0.06 * mean)
    }
    assert.isAtMost(Noise.poisson(60, { uniform: () => 1 - 2 ** -53 }), 250)
  })

  it("of impulses replaces its share of the values by the extremes, in equal numbers", () => {
    const { data } = Noise.impulse(flat(100), 5, draws())
    const share = (value: number) => data.filter((one) => one === value).length / data.length
    assert.closeTo(share(0), 0.135, 0.01)
    assert.closeTo(share(255), 0.135, 0.01)
    assert.closeTo(share(100), 0.73, 0.015)
    const changed = severities.map((severity) =>
      Noise.impulse(flat(100), severity, draws()).data.filter((one) => one !== 100).length / data.length
    )
    for (const [at, expected] of [0.03, 0.06, 0.09, 0.17, 0.27].entries()) assert.closeTo(changed[at]!, expected, 0.01)
  })
})

describe("glass", () => {
  it("takes colours from near pixels alone", () => {
    const edge: Picture = {
      ...flat(0, 32),
      data: Uint8Array.from({ length: 32 * 32 * 3 }, (_, i) => Math.floor(i / 3) % 32 < 16 ? 0 : 255)
    }
    const { data } = Blur.glass(edge, 1, draws())
    for (let pixel = 0; pixel < 32 * 32; pixel++) {
      const column = pixel % 32
      if (column < 4) assert.strictEqual(data[3 * pixel], 0)
      if (column > 28) assert.isAtLeast(data[3 * pixel]!, 254)
    }
  })
})

describe("motion", () => {
  it("draws a point out into a tail that falls as a bell curve", () => {
    const size = { width: 11, height: 9 }
    for (const [angle, right, down] of [[0, 1, 0], [90, 0, 1], [180, -1, 0]] as const) {
      const point = new Float64Array(99)
      point[4 * 11 + 5] = 1000
      const found = MotionFilter.blur(point, size, { radius: 2, sigma: 1.5, angle })
      const bell = [0, 1, 2, 3, 4].map((step) => Math.exp(-step * step / 4.5))
      const whole = bell.reduce((a, b) => a + b)
      const expected = new Float64Array(99)
      bell.forEach((weight, step) => {
        const [row, column] = [4 - step * down, 5 - step * right]
        expected[row * 11 + column] = Math.round(255 * 1000 * weight / whole) / 255
      })
      assert.deepStrictEqual(found, expected)
    }
  })
})

describe("snow", () => {
  it("falls where normal numbers are high", () => {
    const fixed = (normal: number) => Weather.snow(flat(60, 32), 1, { ...draws(), normal: () => normal })
    assert.deepStrictEqual(fixed(-2), fixed(-1))
    assert.isAbove(distance(fixed(2), fixed(-2)), 20)
  })

  it("falls downwards", () => {
    let pixel = 0
    const normal = () => (pixel++ === 32 * 40 + 32 ? 9 : -9)
    const { data } = Weather.snow(flat(60), 5, { ...draws(), normal, uniform: () => 0.5 })
    const places = Array.from(data.keys()).filter((i) => i % 3 === 0 && data[i]! > data[0]!).map((i) => i / 3)
    const reach = (values: ReadonlyArray<number>) => Math.max(...values) - Math.min(...values)
    const [down, across] = [
      reach(places.map((place) => Math.floor(place / 64))),
      reach(places.map((place) => place % 64))
    ]
    assert.isAbove(down, 2 * across)
  })
})

describe("a cloud", () => {
  it("rises where numbers are high", () => {
    const numbers = [1, 0.5, 0.5]
    const cloud = Plasma.make(2, 2, { uniform: () => numbers.shift()! })
    assert.deepStrictEqual(Array.from(cloud), [0, 0.5, 0.5, 1])
  })

  it("covers the range from 0 to 1, is smoother with more decay, and continues over its edges", () => {
    const roughness = (decay: number, wrapped: boolean) => {
      const cloud = Plasma.make(32, decay, draws())
      assert.deepStrictEqual([Math.min(...cloud), Math.max(...cloud)], [0, 1])
      const steps = Array.from({ length: 32 }, (_, row) =>
        wrapped
          ? Math.abs(cloud[row * 32 + 31]! - cloud[row * 32]!)
          : Math.abs(cloud[row * 32 + 16]! - cloud[row * 32 + 15]!))
      return moments(steps).mean
    }
    assert.isBelow(roughness(3, false), roughness(1.4, false))
    assert.isBelow(roughness(3, true), 0.2)
  })
})

describe("borders", () => {
  it("lead into the line, leave its pixels, and repeat as their names say", () => {
    fc.assert(fc.property(fc.integer({ min: -50, max: 50 }), fc.integer({ min: 1, max: 9 }), (index, length) => {
      for (const border of [Border.nearest, Border.reflect, Border.mirror]) {
        const place = border(index, length)
        assert.isTrue(place >= 0 && place < length)
        if (index >= 0 && index < length) assert.strictEqual(place, index)
      }
      assert.strictEqual(Border.reflect(-1 - index, length), Border.reflect(index, length))
      assert.strictEqual(Border.mirror(-index, length), Border.mirror(index, length))
    }))
  })
})
