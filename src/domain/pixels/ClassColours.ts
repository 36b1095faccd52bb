/**
 * The colours in which classes of pixels are shown.
 *
 * ```ts
 * import assert from "node:assert"
 * import { ClassColours } from "patchword/domain"
 *
 * assert.deepStrictEqual(ClassColours.of(255), [128, 128, 128])
 * assert.notDeepStrictEqual(ClassColours.of(1), ClassColours.of(2))
 * ```
 */
import * as LabelMap from "./LabelMap.ts"

/** Red, green and blue, 0 to 255. */
export type Colour = readonly [red: number, green: number, blue: number]

/** The colour of pixels that have no class. */
export const UNKNOWN: Colour = [128, 128, 128]

/** Returns the colour of a class. Neighbouring numbers get colours that are far apart. */
export const of = (label: number): Colour => {
  if (label === LabelMap.IGNORED) return UNKNOWN
  if (label === 0) return [40, 40, 48]
  const turn = label * 0.618034 % 1 * 2 * Math.PI
  const light = 150 + 35 * (label % 3)
  const channel = (at: number): number => Math.round(Math.min(255, Math.max(0, light + 75 * Math.cos(turn + at))))
  return [channel(0), channel(2.1), channel(4.2)]
}
