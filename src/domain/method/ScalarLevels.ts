/**
 * The levels of finite scalar quantization: the number of values of each channel (Mentzer and others, 2023).
 *
 * ```ts
 * import assert from "node:assert"
 * import { ScalarLevels } from "patchword/domain"
 *
 * assert.strictEqual(ScalarLevels.codes([8, 6, 5]), 240)
 * ```
 */

/** The number of levels of each channel, 2 to {@link MOST}. */
export type ScalarLevels = ReadonlyArray<number>

/** The largest number of levels of a channel. float32 still distinguishes so many after the bounding function. */
export const MOST = 65536

/** Tests whether a channel may have this number of levels. */
export const fits = (level: number): boolean => Number.isInteger(level) && level >= 2 && level <= MOST

/** Computes the number of codes, the product of the levels. */
export const codes = (levels: ScalarLevels): number => levels.reduce((product, level) => product * level, 1)
