import { assert, describe, it } from "@effect/vitest"
import { createHash } from "node:crypto"
import * as Grid from "../../src/domain/Grid.ts"
import * as Positions from "../../src/domain/Positions.ts"
import * as RelativePosition from "../../src/domain/RelativePosition.ts"
import * as Golden from "./golden.ts"

const golden = Golden.tensors("relpos")
const info = Golden.json("relpos").info

const float = (key: string): Float32Array => Float32Array.from(golden(key).data)

const close = (actual: Float32Array, expected: Float32Array, tolerance: number) => {
  assert.strictEqual(actual.length, expected.length)
  const rms = Math.sqrt(expected.reduce((sum, x) => sum + x * x, 0) / expected.length)
  const worst = actual.reduce((most, x, i) => Math.max(most, Math.abs(x - expected[i]!)), 0)
  assert.isBelow(worst, tolerance * rms)
}

describe("RelativePosition against the official index buffers", () => {
  it.each(Object.keys(info).filter((name) => name.startsWith("index_")))("%s", (name) => {
    const [height, width] = name.slice("index_".length).split("x").map(Number)
    const grid: Grid.Grid = { height: height!, width: width! }
    const index = RelativePosition.index(grid)
    assert.strictEqual(RelativePosition.rows(grid), info[name].rows)
    assert.strictEqual(index.reduce((a, b) => a + b, 0), info[name].sum)
    const bytes = Buffer.from(BigInt64Array.from(index, BigInt).buffer)
    assert.strictEqual(createHash("sha256").update(bytes).digest("hex"), info[name].sha256_int64_le)
  })

  it.each(["2x2", "3x5", "4x4"])("index/%s", (name) => {
    const [height, width] = name.split("x").map(Number)
    const index = RelativePosition.index({ height: height!, width: width! })
    assert.deepStrictEqual([...index], [...golden(`index/${name}`).data])
  })
})

describe("RelativePosition.resize against interp2d", () => {
  const cases = [[14, 24], [14, 32], [4, 6], [8, 5]] as const

  it.each(cases)("%i to %i: axis", (from, to) => {
    const expected: ReadonlyArray<number> = info[`resize_${from}to${to}`].axis_positive
    const axis = RelativePosition.axis(from, to)
    assert.strictEqual(axis.length, 2 * from - 1)
    expected.forEach((x, i) => assert.closeTo(axis[from + i]!, x, 1e-11))
    assert.strictEqual(axis[from - 1], 0)
    assert.strictEqual(axis[0], -axis.at(-1)!)
  })

  it.each(cases)("%i to %i: table", (from, to) => {
    const name = `resize_${from}to${to}`
    const resized = RelativePosition.resize(
      float(`${name}/table_src`),
      info[name].heads,
      Grid.square(from),
      Grid.square(to)
    )
    close(resized, float(`${name}/table_dst`), 1e-6)
  })
})

describe("Positions against the official resizes", () => {
  it.each([[4, 6], [8, 5]])("%i to %i on loading", (from, to) => {
    const source = golden(`resize_${from}to${to}/pos_embed_src`)
    const resized = Positions.resize(
      Float32Array.from(source.data),
      source.shape.at(-1)!,
      Grid.square(from),
      Grid.square(to)
    )
    close(resized, float(`resize_${from}to${to}/pos_embed_dst`), 1e-5)
  })

  it.each([[4, 6], [6, 4], [5, 7]])("%i to %i at run time", (from, to) => {
    const source = golden(`posembed_runtime_${from}to${to}/src`)
    const resized = Positions.resizeAtRunTime(
      Float32Array.from(source.data),
      source.shape.at(-1)!,
      Grid.square(from),
      Grid.square(to)
    )
    close(resized, float(`posembed_runtime_${from}to${to}/dst`), 1e-5)
  })
})
