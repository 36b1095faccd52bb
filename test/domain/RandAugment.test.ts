import { assert, describe, it } from "@effect/vitest"
import * as ColorJitter from "../../src/domain/pixels/ColorJitter.ts"
import type { Picture } from "../../src/domain/pixels/Picture.ts"
import * as RandAugment from "../../src/domain/pixels/RandAugment.ts"
import * as KeyedRandom from "../../src/domain/values/KeyedRandom.ts"
import * as Golden from "../parity/golden.ts"

const golden = Golden.tensors("image_ops")

const picture = (key: string): Picture => {
  const { data, shape } = golden(`randaug/${key}`)
  return { height: shape[0]!, width: shape[1]!, data: Uint8Array.from(data) }
}

const input = picture("input")
const fill = [124, 116, 104] as const

const official: ReadonlyArray<readonly [string, () => Picture]> = [
  ["AutoContrast", () => RandAugment.autoContrast(input)],
  ["Equalize", () => RandAugment.equalize(input)],
  ["Invert", () => RandAugment.invert(input)],
  ["Rotate_13.5", () => RandAugment.rotate(input, 13.5, fill)],
  ["Rotate_-27", () => RandAugment.rotate(input, -27, fill)],
  ["Posterize_2", () => RandAugment.posterize(input, 2)],
  ["Solarize_100", () => RandAugment.solarize(input, 100)],
  ["SolarizeAdd_60", () => RandAugment.solarizeAdd(input, 60)],
  ["Color_1.6", () => ColorJitter.saturation(input, 1.6)],
  ["Contrast_0.4", () => ColorJitter.contrast(input, 0.4)],
  ["Brightness_1.5", () => ColorJitter.brightness(input, 1.5)],
  ["Sharpness_0.2", () => RandAugment.sharpness(input, 0.2)],
  ["Sharpness_1.8", () => RandAugment.sharpness(input, 1.8)],
  ["ShearX_0.2", () => RandAugment.shearX(input, 0.2, fill)],
  ["ShearY_-0.25", () => RandAugment.shearY(input, -0.25, fill)],
  ["TranslateXRel_0.2", () => RandAugment.translateX(input, 0.2, fill)],
  ["TranslateYRel_-0.3", () => RandAugment.translateY(input, -0.3, fill)]
]

describe("RandAugment", () => {
  it.each(official)("%s has the same bytes", (key, run) => assert.deepStrictEqual(run(), picture(key)))

  it("has the official levels", () => {
    const { level_maps_magnitude9: levels } = Golden.json("image_ops").info
    const found = {
      Rotate: RandAugment.levels.rotate(9),
      PosterizeIncreasing: RandAugment.levels.posterize(9),
      SolarizeIncreasing: RandAugment.levels.solarize(9),
      SolarizeAdd: RandAugment.levels.solarizeAdd(9),
      ColorIncreasing: 1 + RandAugment.levels.enhance(9),
      ShearX: RandAugment.levels.shear(9),
      TranslateXRel: RandAugment.levels.translate(9)
    }
    for (const [name, level] of Object.entries(found)) assert.closeTo(level, levels[name][0], 1e-12, name)
  })

  it("draws two of fifteen operations, each applied half of the time", () => {
    assert.strictEqual(Object.keys(RandAugment.operations).length, 15)
    const key = { seed: 0, purpose: "view", epoch: 0, index: 0 }
    const drawn = (index: number, operations = 2) =>
      RandAugment.random(
        input,
        { operations, magnitude: 9, deviation: 0.5 },
        fill,
        KeyedRandom.generator({ ...key, index })
      )
    assert.deepStrictEqual(drawn(5), drawn(5))
    const untouched = Array.from({ length: 2000 }, (_, index) => drawn(index)).filter((made) => made === input)
    assert.closeTo(untouched.length / 2000, 0.25, 0.04)
  })

  it("keeps its strength from 0 to 10", () => {
    const rotated = (normal: number) =>
      RandAugment.random(input, { operations: 1, magnitude: 5, deviation: 1 }, fill, {
        integer: () => Object.keys(RandAugment.operations).indexOf("Rotate"),
        uniform: () => 0,
        normal: () => normal
      })
    assert.deepStrictEqual(rotated(-100), input)
    assert.deepStrictEqual(rotated(1), RandAugment.rotate(input, 18, fill))
    assert.deepStrictEqual(rotated(100), RandAugment.rotate(input, 30, fill))
  })

  it("turns by whole circles without a change", () => {
    assert.deepStrictEqual(RandAugment.rotate(input, 360, fill), input)
    assert.deepStrictEqual(RandAugment.translateX(input, 0, fill), input)
  })
})
