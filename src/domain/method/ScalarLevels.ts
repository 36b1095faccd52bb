/**
 * The levels of finite scalar quantization: how many values each channel may take (Mentzer and others, 2023).
 *
 * ```ts
 * import assert from "node:assert"
 * import { ScalarLevels } from "patchword/domain"
 *
 * assert.strictEqual(ScalarLevels.codes([8, 6, 5]), 240)
 * ```
 */

/** The levels of each channel, 2 to {@link MOST}. */
export type ScalarLevels = ReadonlyArray<number>

/** The most levels of a channel, which float32 still tells apart when it is bent. */
export const MOST = 65536

/** Whether a channel may have so many. */
export const fits = (level: number): boolean => Number.isInteger(level) && level >= 2 && level <= MOST

/** How many codes levels make. */
export const codes = (levels: ScalarLevels): number => levels.reduce((product, level) => product * level, 1)
