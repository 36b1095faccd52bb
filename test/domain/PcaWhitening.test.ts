import { assert, describe, it } from "@effect/vitest"
import * as PcaWhitening from "../../src/domain/method/PcaWhitening.ts"
import * as KeyedRandom from "../../src/domain/values/KeyedRandom.ts"

const { normal } = KeyedRandom.generator({ seed: 0, purpose: "rows", epoch: 0, index: 0 })
const deviations = [5, 3, 2, 0.1, 0.01]
const rows = Float32Array.from({ length: 5 * 4001 }, (_, i) => 7 + deviations[i % 5]! * normal())

describe("PcaWhitening", () => {
  const whitening = PcaWhitening.fit(rows, 5, 3)

  it("finds the axes of greatest variance in order", () => {
    for (let component = 0; component < 3; component++) {
      const axis = Array.from(whitening.axes.subarray(component * 5, component * 5 + 5), Math.abs)
      assert.strictEqual(axis.indexOf(Math.max(...axis)), component)
      assert.closeTo(axis[component]!, 1 / Math.sqrt(deviations[component]! ** 2 + 0.02 * 25), 0.03)
    }
  })

  it("projects to unit length around the mean", () => {
    const projected = PcaWhitening.apply(whitening, rows)
    assert.strictEqual(projected.length, 4001 * 3)
    for (const row of [0, 1, 2500, 4000]) {
      assert.closeTo(Math.hypot(...projected.subarray(row * 3, row * 3 + 3)), 1, 1e-6)
    }
    const mean = [0, 1, 2].map((c) => projected.reduce((sum, value, i) => i % 3 === c ? sum + value : sum, 0) / 4001)
    assert.isBelow(Math.max(...mean.map(Math.abs)), 0.04)
  })

  it("gives a row on the origin no direction", () => {
    const projected = PcaWhitening.apply({ ...whitening, origin: new Float32Array(3) }, new Float32Array(5))
    assert.deepStrictEqual([...projected], [0, 0, 0])
  })

  it("fixes the sign of every axis", () => {
    const mirrored = PcaWhitening.fit(rows.map((value) => 14 - value), 5, 3)
    mirrored.axes.forEach((value, i) => assert.closeTo(value, whitening.axes[i]!, 1e-4))
  })
})
