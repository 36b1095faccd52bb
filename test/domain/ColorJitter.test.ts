import { assert, describe, it } from "@effect/vitest"
import * as ColorJitter from "../../src/domain/pixels/ColorJitter.ts"
import * as KeyedRandom from "../../src/domain/values/KeyedRandom.ts"

const picture = { width: 2, height: 1, data: Uint8Array.of(200, 60, 20, 10, 90, 160) }
const jitter = (amounts: ColorJitter.Amounts, index: number) =>
  ColorJitter.random(picture, amounts, KeyedRandom.generator({ seed: 0, purpose: "jitter", epoch: 0, index }))

describe("ColorJitter", () => {
  it("leaves a picture alone when nothing may change", () => {
    assert.strictEqual(jitter({ brightness: 0, contrast: 0, saturation: 0 }, 0), picture)
  })

  it("applies the changes in every order", () => {
    const extreme = { brightness: 1, contrast: 1, saturation: 1 }
    const orders = new Set<string>()
    for (let index = 0; index < 300; index++) {
      const draws: Array<string> = []
      const { normal, uniform } = KeyedRandom.generator({ seed: 0, purpose: "jitter", epoch: 0, index })
      const { integer } = KeyedRandom.generator({ seed: 1, purpose: "jitter", epoch: 0, index })
      ColorJitter.random(picture, extreme, {
        normal,
        uniform,
        integer: (min, max) => {
          const drawn = integer(min, max)
          draws.push(`${drawn} of ${max + 1}`)
          return drawn
        }
      })
      orders.add(draws.join())
    }
    assert.strictEqual(orders.size, 6)
  })

  it("draws brightness from 1 - a to 1 + a", () => {
    const reds = Array.from(
      { length: 500 },
      (_, index) => jitter({ brightness: 0.2, contrast: 0, saturation: 0 }, index).data[0]!
    )
    assert.closeTo(Math.min(...reds), 160, 1)
    assert.closeTo(Math.max(...reds), 240, 1)
  })
})
