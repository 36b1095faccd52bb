/**
 * AutoAugment's policies for ImageNet (Cubuk and others, arXiv 1805.09501), as in timm. A policy has 25 pairs of operations.
 * One pair is drawn, and each of its two operations is applied with its own probability. Pixels equal those of Pillow, bit for
 * bit.
 *
 * ```ts
 * import assert from "node:assert"
 * import { AutoAugment, KeyedRandom } from "patchword/domain"
 *
 * const picture = { width: 4, height: 2, data: Uint8Array.from({ length: 24 }, (_, i) => 10 * i) }
 * const draws = KeyedRandom.generator({ seed: 0, purpose: "view", epoch: 0, index: 7 })
 * assert.strictEqual(AutoAugment.random(picture, "original", [124, 116, 104], draws).data.length, 24)
 * ```
 */
import type { Generator } from "../values/KeyedRandom.ts"
import * as ColorJitter from "./ColorJitter.ts"
import type { Picture } from "./Picture.ts"
import * as RandAugment from "./RandAugment.ts"

/** The name of an operation, its probability, and its magnitude from 0 to 10. */
export type Part = readonly [operation: string, probability: number, magnitude: number]

// Magnitudes of the policies reach from faint to strong colours, not away from none.
const factor = (magnitude: number): number => magnitude / 10 * 1.8 + 0.1
const bits = (magnitude: number): number => Math.trunc(magnitude / 10 * 4)
const threshold = (magnitude: number): number => Math.trunc(magnitude / 10 * 256)

/** The operations by timm's names. */
export const operations: Readonly<Record<string, RandAugment.Operation>> = {
  ...RandAugment.operations,
  Color: RandAugment.unsigned(ColorJitter.saturation, factor),
  Contrast: RandAugment.unsigned(ColorJitter.contrast, factor),
  Sharpness: RandAugment.unsigned(RandAugment.sharpness, factor),
  Posterize: RandAugment.unsigned(RandAugment.posterize, bits),
  PosterizeOriginal: RandAugment.unsigned(RandAugment.posterize, (magnitude) => bits(magnitude) + 4),
  Solarize: RandAugment.unsigned(RandAugment.solarize, threshold)
}

const ORIGINAL = `
Posterize 0.4 8 Rotate 0.6 9
Solarize 0.6 5 AutoContrast 0.6 5
Equalize 0.8 8 Equalize 0.6 3
Posterize 0.6 7 Posterize 0.6 6
Equalize 0.4 7 Solarize 0.2 4
Equalize 0.4 4 Rotate 0.8 8
Solarize 0.6 3 Equalize 0.6 7
Posterize 0.8 5 Equalize 1 2
Rotate 0.2 3 Solarize 0.6 8
Equalize 0.6 8 Posterize 0.4 6
Rotate 0.8 8 Color 0.4 0
Rotate 0.4 9 Equalize 0.6 2
Equalize 0 7 Equalize 0.8 8
Invert 0.6 4 Equalize 1 8
Color 0.6 4 Contrast 1 8
Rotate 0.8 8 Color 1 2
Color 0.8 8 Solarize 0.8 7
Sharpness 0.4 7 Invert 0.6 8
ShearX 0.6 5 Equalize 1 9
Color 0.4 0 Equalize 0.6 3
Equalize 0.4 7 Solarize 0.2 4
Solarize 0.6 5 AutoContrast 0.6 5
Invert 0.6 4 Equalize 1 8
Color 0.6 4 Contrast 1 8
Equalize 0.8 8 Equalize 0.6 3`

const V0 = `
Equalize 0.8 1 ShearY 0.8 4
Color 0.4 9 Equalize 0.6 3
Color 0.4 1 Rotate 0.6 8
Solarize 0.8 3 Equalize 0.4 7
Solarize 0.4 2 Solarize 0.6 2
Color 0.2 0 Equalize 0.8 8
Equalize 0.4 8 SolarizeAdd 0.8 3
ShearX 0.2 9 Rotate 0.6 8
Color 0.6 1 Equalize 1 2
Invert 0.4 9 Rotate 0.6 0
Equalize 1 9 ShearY 0.6 3
Color 0.4 7 Equalize 0.6 0
Posterize 0.4 6 AutoContrast 0.4 7
Solarize 0.6 8 Color 0.6 9
Solarize 0.2 4 Rotate 0.8 9
Rotate 1 7 TranslateYRel 0.8 9
ShearX 0 0 Solarize 0.8 4
ShearY 0.8 0 Color 0.6 4
Color 1 0 Rotate 0.6 2
Equalize 0.8 4 Equalize 0 8
Equalize 1 4 AutoContrast 0.6 2
ShearY 0.4 7 SolarizeAdd 0.6 7
Posterize 0.8 2 Solarize 0.6 10
Solarize 0.6 8 Equalize 0.6 1
Color 0.8 6 Rotate 0.4 5`

const parsed = (table: string, posterize: string): ReadonlyArray<readonly [Part, Part]> =>
  table.trim().split("\n").map((line) => {
    const words = line.split(" ")
    const part = (at: number): Part => {
      const name = words[at]!
      return [name === "Posterize" ? posterize : name, Number(words[at + 1]), Number(words[at + 2])]
    }
    return [part(0), part(3)]
  })

/**
 * The policies by timm's names: that of the paper, and that of TensorFlow's EfficientNet. The `r` variants keep fewer bits of a
 * value for greater magnitudes.
 */
export const policies = {
  original: parsed(ORIGINAL, "PosterizeOriginal"),
  originalr: parsed(ORIGINAL, "PosterizeIncreasing"),
  v0: parsed(V0, "Posterize"),
  v0r: parsed(V0, "PosterizeIncreasing")
}

/** The name of a policy. */
export type Policy = keyof typeof policies

/** Applies one random pair of a policy to a picture. Pixels from outside of the picture have the given colour. */
export const random = (
  picture: Picture,
  policy: Policy,
  fill: RandAugment.Colour,
  draws: Generator
): Picture => {
  const { integer, uniform } = draws
  const pairs = policies[policy]
  return pairs[integer(0, pairs.length - 1)]!.reduce((changed, [name, probability, magnitude]) => {
    if (uniform() >= probability) return changed
    return operations[name]!(changed, magnitude, uniform() < 0.5 ? 1 : -1, fill)
  }, picture)
}
