import { assert, describe, it } from "@effect/vitest"
import * as AttentionMass from "../../src/domain/look/AttentionMass.ts"
import * as PatchColours from "../../src/domain/look/PatchColours.ts"
import * as PrincipalComponents from "../../src/domain/method/PrincipalComponents.ts"

const WIDTH = 5

const rows = Float32Array.from(
  { length: 24 * WIDTH },
  (_, i) => ((i * i * 7 + i * 13) % 101 - 50) / 25 * (1 + i % WIDTH)
)

const grid = { height: 2, width: 3 }

const near = (found: ArrayLike<number>, expected: ReadonlyArray<number>) => {
  assert.strictEqual(found.length, expected.length)
  expected.forEach((value, i) => assert.approximately(found[i]!, value, 1e-5))
}

const of = (coloured: PatchColours.Coloured, patch: number) => coloured.values.slice(3 * patch, 3 * patch + 3)

describe("PrincipalComponents", () => {
  const found = PrincipalComponents.fit(rows, WIDTH, 3)

  it("are numpy's", () => {
    near(found.variances, [40.616053, 19.6374003, 6.1699595])
    assert.approximately(found.total, 71.379009, 1e-5)
    near(found.axes[0]!, [-0.0447402, 0.0207346, 0.2522773, -0.2396114, 0.9362216])
    near(found.axes[1]!, [-0.0476124, 0.0777664, -0.2430352, 0.9190152, 0.2966992])
    near(found.axes[2]!, [0.0712955, -0.3027761, 0.8854797, 0.3115093, -0.1487656])
    const projected = PrincipalComponents.project(found, rows)
    near(projected.slice(0, 3), [5.4005528, -6.3945637, -1.7045448])
    near(projected.slice(69), [8.2064464, -3.072981, 1.076676])
  })

  it("have no variance if all rows are equal", () => {
    const still = PrincipalComponents.fit(new Float32Array(12).fill(2), 3, 3)
    assert.deepStrictEqual(PrincipalComponents.explained(still), [0, 0, 0])
  })
})

describe("PatchColours", () => {
  it("are numpy's components of all patches", () => {
    const all = PatchColours.apply(PatchColours.fit(rows, WIDTH, { grid, foreground: "none" }), rows)
    near(of(all, 0), [0.8034971, 0.0794892, 0.2098755])
    near(of(all, 23), [0.9380391, 0.289965, 0.5332045])
    assert.deepStrictEqual(all.foreground, new Uint8Array(24).fill(1))
  })

  it("are those of the foreground, and black behind it", () => {
    const fitted = PatchColours.fit(rows, WIDTH, { grid, foreground: "positive" })
    const front = PatchColours.apply(fitted, rows)
    const expected = [1, 1, 0, 0, 0, 0, 0, 0, 1, 1, 0, 1, 0, 1, 0, 1, 1, 1, 1, 0, 0, 1, 0, 1]
    assert.deepStrictEqual([...front.foreground], expected)
    near(of(front, 0), [0.0798069, 0.5585337, 0.1438397])
    near(of(front, 23), [0.2998478, 0.8906576, 0.6499295])
    near(of(front, 2), [0, 0, 0])
    near(PrincipalComponents.explained(fitted.components), [0.5389293, 0.2476032, 0.1205641])
    const back = PatchColours.apply(PatchColours.fit(rows, WIDTH, { grid, foreground: "negative" }), rows)
    assert.deepStrictEqual([...back.foreground], expected.map((one) => 1 - one))
  })

  it("take as inner what the edges lack", () => {
    const side = 4
    const inside = (patch: number) => patch % side % 3 !== 0 && Math.floor(patch / side) % 3 !== 0
    for (const sign of [1, -1]) {
      const images = Float32Array.from({ length: side * side * 3 }, (_, i) => {
        const patch = Math.floor(i / 3)
        return i % 3 === 0 ? sign * (inside(patch) ? 3 : -1) : 0.1 * Math.sin(i)
      })
      const options = { grid: { height: side, width: side }, foreground: "inner" } as const
      const { foreground } = PatchColours.apply(PatchColours.fit(images, 3, options), images)
      assert.deepStrictEqual([...foreground], Array.from({ length: 16 }, (_, patch) => +inside(patch)))
    }
  })

  it("colour later patches by the same ranges, and equal ones alike", () => {
    const fitted = PatchColours.fit(rows, WIDTH, { grid, foreground: "none" })
    const far = PatchColours.apply(fitted, rows.slice(0, WIDTH).map((value) => 100 * value))
    assert.isTrue([...far.values].every((value) => value >= 0 && value <= 1))
    const flat = new Float32Array(6 * 3).fill(1)
    for (const foreground of ["none", "inner"] as const) {
      const { values } = PatchColours.apply(PatchColours.fit(flat, 3, { grid, foreground }), flat)
      assert.deepStrictEqual(values, new Float32Array(18).fill(foreground === "none" ? 0.5 : 0))
    }
  })
})

describe("AttentionMass", () => {
  const weights = Array.from({ length: 12 }, (_, i) => ((i * i * 5 + 3) % 17 + 1) / 100)

  it("keeps the patches that DINO's threshold keeps", () => {
    assert.deepStrictEqual([...AttentionMass.keep(weights, 0.6)], [0, 0, 0, 1, 1, 0, 1, 0, 0, 0, 1, 1])
    assert.deepStrictEqual([...AttentionMass.keep(weights, 0.3)], [0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 1])
    assert.deepStrictEqual([...AttentionMass.keep(weights, 1)], weights.map(() => 1))
  })
})
