/**
 * Random erasing: noise sometimes replaces a rectangle of a standardised image, as in timm's mode `pixel`.
 *
 * ```ts
 * import assert from "node:assert"
 * import { KeyedRandom, RandomErasing } from "patchword/domain"
 *
 * const image = new Float32Array(3 * 32 * 32)
 * const draws = KeyedRandom.generator({ seed: 0, purpose: "erasing", epoch: 0, index: 0 })
 * const erased = RandomErasing.erase(image, { height: 32, width: 32 }, 1, draws)
 * const changed = erased.filter((value) => value !== 0).length / 3
 * assert.ok(changed >= 0.01 * 32 * 32 && changed <= 0.36 * 32 * 32)
 * ```
 */
import type { Generator } from "../values/KeyedRandom.ts"
import * as Rounding from "../values/Rounding.ts"
import type { Box } from "./Resample.ts"

const AREA = [0.02, 1 / 3] as const
const RATIO = [0.3, 1 / 0.3] as const
const TRIES = 10

interface Size {
  readonly height: number
  readonly width: number
}

/**
 * Draws the rectangle to erase, with the given probability. Its area is 2 % to a third of the image, and its sides differ by a
 * factor of up to 3.3. The result is `undefined` if nothing is erased, or if ten draws do not fit.
 */
export const box = (size: Size, probability: number, draws: Generator): Box | undefined => {
  const { height, width } = size
  const { integer, uniform } = draws
  if (uniform() >= probability) return undefined
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const area = height * width * (AREA[0] + (AREA[1] - AREA[0]) * uniform())
    const ratio = Math.exp(Math.log(RATIO[0]) + (Math.log(RATIO[1]) - Math.log(RATIO[0])) * uniform())
    const rows = Rounding.halfToEven(Math.sqrt(area * ratio))
    const columns = Rounding.halfToEven(Math.sqrt(area / ratio))
    if (rows < height && columns < width) {
      return { top: integer(0, height - rows), left: integer(0, width - columns), height: rows, width: columns }
    }
  }
  return undefined
}

/** Fills such a rectangle of a standardised image `[C, H, W]` with independent normal noise of standard deviation 1. */
export const erase = (image: Float32Array, size: Size, probability: number, draws: Generator): Float32Array => {
  const erased = box(size, probability, draws)
  if (erased === undefined) return image
  const filled = image.slice()
  for (let plane = 0; plane < image.length; plane += size.height * size.width) {
    for (let row = erased.top; row < erased.top + erased.height; row++) {
      const start = plane + row * size.width + erased.left
      for (let i = start; i < start + erased.width; i++) filled[i] = draws.normal()
    }
  }
  return filled
}
