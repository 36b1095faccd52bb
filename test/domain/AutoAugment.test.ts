import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import * as AutoAugment from "../../src/domain/pixels/AutoAugment.ts"
import type { Picture } from "../../src/domain/pixels/Picture.ts"
import type { Generator } from "../../src/domain/values/KeyedRandom.ts"

interface Row {
  readonly operations: readonly [AutoAugment.Part, AutoAugment.Part]
  readonly pixels: string
}

const golden: {
  readonly width: number
  readonly height: number
  readonly pixels: string
  readonly policies: Readonly<Record<AutoAugment.Policy, ReadonlyArray<Row>>>
} = JSON.parse(readFileSync(new URL("files/auto_augment.json", import.meta.url), "utf8"))

const { height, width } = golden
const bytes = (text: string) => new Uint8Array(Buffer.from(text, "base64"))
const input: Picture = { width, height, data: bytes(golden.pixels) }
const fill = [124, 116, 104] as const

const drawing = (place: number, ...uniforms: ReadonlyArray<number>): Generator => {
  const left = [...uniforms]
  return { integer: () => place, uniform: () => left.shift()!, normal: () => 0 }
}

const names = ["original", "originalr", "v0", "v0r"] as const

describe.each(names)("AutoAugment's policy %s", (name) => {
  it("is timm's", () =>
    assert.deepStrictEqual(AutoAugment.policies[name], golden.policies[name].map(({ operations }) => operations)))

  it.each(golden.policies[name].map((row, place) => [place, row] as const))(
    "gives timm's pixels, pair %i",
    (place, row) => {
      const changed = row.operations.reduce(
        (picture, [operation, , magnitude]) => AutoAugment.operations[operation]!(picture, magnitude, 1, fill),
        input
      )
      assert.deepStrictEqual(changed.data, bytes(row.pixels))
      if (row.operations.every(([, probability]) => probability > 0)) {
        assert.deepStrictEqual(AutoAugment.random(input, name, fill, drawing(place, 0, 0.4, 0, 0.4)), changed)
      }
    }
  )

  it("turns around for draws from one half", () => {
    const place = AutoAugment.policies[name].findIndex(([[operation]]) =>
      operation === "Rotate" || operation === "ShearX"
    )
    const [[operation, , magnitude]] = AutoAugment.policies[name][place]!
    const turned = AutoAugment.operations[operation]!(input, magnitude, -1, fill)
    assert.deepStrictEqual(AutoAugment.random(input, name, fill, drawing(place, 0, 0.5, 1)), turned)
  })

  it("applies an operation only as often as it says", () => {
    const [[, first], [, second]] = AutoAugment.policies[name][0]!
    assert.strictEqual(AutoAugment.random(input, name, fill, drawing(0, first, second)), input)
  })
})
