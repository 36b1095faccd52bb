import { assert, describe, it } from "@effect/vitest"
import * as ColorJitter from "../../src/domain/ColorJitter.ts"
import * as Crop from "../../src/domain/Crop.ts"
import * as Normalize from "../../src/domain/Normalize.ts"
import type { Picture } from "../../src/domain/Picture.ts"
import * as Resample from "../../src/domain/Resample.ts"
import * as Golden from "./golden.ts"

const golden = Golden.tensors("image_ops")

const picture = (key: string): Picture => {
  const { data, shape } = golden(key)
  return { height: shape[0]!, width: shape[1]!, data: Uint8Array.from(data) }
}

const image = picture("image_hwc")
const box = { top: 5, left: 9, height: 23, width: 31 }
const imageNet = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } as const
const evaluation = { interpolation: "bicubic", evaluationCrop: 28 / 32 } as const

const operations: ReadonlyArray<readonly [string, () => Picture]> = [
  ["resize_bicubic_20x16_hxw", () => Resample.resize(image, 16, 20, "bicubic")],
  ["resize_bicubic_70x90_hxw", () => Resample.resize(image, 90, 70, "bicubic")],
  ["resize_lanczos_20x16_hxw", () => Resample.resize(image, 16, 20, "lanczos")],
  ["resize_bilinear_20x16_hxw", () => Resample.resize(image, 16, 20, "bilinear")],
  ["crop_resize_bicubic_24", () => Resample.resize(image, 24, 24, "bicubic", box)],
  ["crop_resize_lanczos_24", () => Resample.resize(image, 24, 24, "lanczos", box)],
  ["eval_resize32_crop28", () => Crop.central(image, 28, evaluation)],
  ["hflip", () => Crop.flip(image)],
  ["jitter_brightness_0.6", () => ColorJitter.brightness(image, 0.6)],
  ["jitter_brightness_1.4", () => ColorJitter.brightness(image, 1.4)],
  ["jitter_contrast_0.6", () => ColorJitter.contrast(image, 0.6)],
  ["jitter_contrast_1.4", () => ColorJitter.contrast(image, 1.4)],
  ["jitter_saturation_0.6", () => ColorJitter.saturation(image, 0.6)],
  ["jitter_saturation_1.4", () => ColorJitter.saturation(image, 1.4)],
  [
    "jitter_chain_b1.25_c0.7_s1.3",
    () => ColorJitter.saturation(ColorJitter.contrast(ColorJitter.brightness(image, 1.25), 0.7), 1.3)
  ]
]

describe("image operations against Pillow and torchvision", () => {
  it.each(operations)("%s has the same bytes", (key, run) => {
    assert.deepStrictEqual(run(), picture(key))
  })

  it("normalises as the official evaluation", () => {
    const cropped = Crop.central(image, 28, evaluation)
    const values = Normalize.standardise(Normalize.unit([cropped]), 28 * 28, imageNet)
    const official = golden("eval_normalised_chw").data
    assert.strictEqual(values.length, official.length)
    assert.isBelow(Math.max(...values.map((value, i) => Math.abs(value - Number(official[i])))), 1e-6)
  })
})
