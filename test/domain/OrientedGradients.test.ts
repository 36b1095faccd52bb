import { assert, describe, it } from "@effect/vitest"
import * as OrientedGradients from "../../src/domain/method/OrientedGradients.ts"

const side = 16
const measures = { height: side, width: side, patchSize: 8 }

const image = (value: (x: number, y: number, channel: number) => number) =>
  Float32Array.from(
    { length: 3 * side * side },
    (_, i) => value(i % side, Math.floor(i / side) % side, Math.floor(i / (side * side)))
  )

const own = (described: Float32Array, patch: number) =>
  described.subarray(patch * OrientedGradients.WIDTH, patch * OrientedGradients.WIDTH + 48)

const strongestBin = (described: Float32Array, patch: number) => {
  const histograms = own(described, patch).subarray(0, 36)
  return histograms.indexOf(Math.max(...histograms)) % 9
}

describe("OrientedGradients", () => {
  it("tells the direction of change, whichever way it goes", () => {
    for (const sign of [1, -1]) {
      const across = OrientedGradients.describe(image((x) => 0.5 + sign * x * 0.03), measures)
      assert.strictEqual(strongestBin(across, 0), 0)
      const diagonal = OrientedGradients.describe(image((x, y) => 0.5 + sign * 0.01 * (x + y * Math.sqrt(3))), measures)
      assert.strictEqual(strongestBin(diagonal, 3), 3)
    }
  })

  it("shares a direction between its two neighbours", () => {
    const angle = (2.25 * Math.PI) / 9
    const slope = image((x, y) => 0.2 + 0.02 * (x * Math.cos(angle) + y * Math.sin(angle)))
    const cell = own(OrientedGradients.describe(slope, { ...measures, patchSize: 4 }), 5)
    assert.closeTo(cell[3]! / cell[2]!, 0.25 / 0.75, 1e-3)
    assert.isBelow(Math.abs(cell[1]!), 1e-4)
  })

  it("goes by the strongest channel", () => {
    const strong = image((x, y, channel) => channel === 1 ? y * 0.05 : x * 0.02)
    const described = OrientedGradients.describe(strong, measures)
    const histograms = own(described, 0).subarray(0, 36)
    const turned = histograms.filter((value, bin) => bin % 9 !== 4 && bin % 9 !== 5 && value > 1e-3)
    assert.strictEqual(turned.length, 0)
    assert.closeTo(histograms[4]!, histograms[5]!, 1e-5)
  })

  it("hardly depends on contrast, but not on nothing", () => {
    const step = (contrast: number) =>
      own(OrientedGradients.describe(image((x) => x < 4 ? 0.5 : 0.5 + contrast), measures), 0)[0]!
    assert.closeTo(step(0.6), step(0.3), 0.03)
    assert.isBelow(step(0.001), 0.05)
  })

  it("holds the mean colours of the four cells", () => {
    const described = OrientedGradients.describe(
      image((x, y, channel) => channel === 2 && x >= 4 && x < 8 && y < 4 ? 1 : 0.5),
      measures
    )
    own(described, 0).subarray(36).forEach((value, i) => assert.closeTo(value, i === 5 ? 0.35 : 0, 1e-6))
  })

  it("adds the mean of the patches around and of all", () => {
    const big = { height: 24, width: 24, patchSize: 8 }
    const noise = Float32Array.from({ length: 3 * 24 * 24 }, (_, i) => (i * 7919 % 1000) / 1000)
    const rows = OrientedGradients.describe(noise, big)
    const ownAt = (patch: number, i: number) => rows[patch * 144 + i]!
    const mean = (patches: ReadonlyArray<number>, i: number) =>
      patches.reduce((sum, patch) => sum + ownAt(patch, i), 0) / patches.length
    for (const i of [0, 17, 40]) {
      assert.closeTo(rows[4 * 144 + 48 + i]!, mean([0, 1, 2, 3, 4, 5, 6, 7, 8], i), 1e-6)
      assert.closeTo(rows[48 + i]!, mean([0, 1, 3, 4], i), 1e-6)
      assert.closeTo(rows[5 * 144 + 96 + i]!, mean([0, 1, 2, 3, 4, 5, 6, 7, 8], i), 1e-6)
    }
  })

  it("describes each image of a batch by itself", () => {
    const one = image((x, y) => (x * y % 7) / 7)
    const two = image((x, y) => (x * x + y) % 5 / 5)
    const both = OrientedGradients.describe(Float32Array.from([...one, ...two]), measures)
    assert.deepStrictEqual(both.slice(both.length / 2), OrientedGradients.describe(two, measures))
  })
})
