/**
 * Finite scalar quantization: each channel is bounded by a tanh and rounded to one of its levels (Mentzer et al., 2023). It has
 * no codebook and no learned parameters. A code is the number whose digits are the levels, the first channel's digit first.
 *
 * The bound differs from the published code. It is wider than the levels by 0.1 %, not narrower, and shifted by `atanh`, not
 * `tan`. So all levels are reached, and a channel of 0 is the middle level ([figures](../../../docs/quantizers.md)).
 *
 * ```ts
 * import assert from "node:assert"
 * import { FiniteScalar } from "patchword/nn"
 *
 * assert.strictEqual(FiniteScalar.make({ codes: 60, codeWidth: 3, levels: [5, 4, 3] }).codes, 60)
 * assert.deepStrictEqual(FiniteScalar.vectorOf([5, 4, 3], 0), [-1, -1, -1])
 * assert.deepStrictEqual(FiniteScalar.vectorOf([5, 4, 3], 7), [0, -0.5, -1])
 * ```
 */
import * as ScalarLevels from "../../domain/method/ScalarLevels.ts"
import { tanh } from "../../shapes/Activation.ts"
import { fromFloat, straightThrough } from "../../shapes/Codes.ts"
import { addBias, round, scaleChannels } from "../../shapes/Elementwise.ts"
import * as HostTensor from "../../shapes/HostTensor.ts"
import { sumAlong } from "../../shapes/Reduction.ts"
import * as ShapeError from "../../shapes/ShapeError.ts"
import { constant, type Tensor } from "../../shapes/Tensor.ts"
import type * as Quantizer from "./Quantizer.ts"

/** The maximal number of codes. Up to this number, float32 represents every integer. */
export const MOST_CODES = 2 ** 24

const middle = (level: number): number => Math.floor(level / 2)

const weight = (levels: ScalarLevels.ScalarLevels, channel: number): number =>
  ScalarLevels.codes(levels.slice(0, channel))

/** Returns the decoder's input for a code: one number from -1 to 1 per channel. */
export const vectorOf = (levels: ScalarLevels.ScalarLevels, code: number): ReadonlyArray<number> =>
  levels.map((level, channel) => (Math.floor(code / weight(levels, channel)) % level - middle(level)) / middle(level))

// A little wider than the levels, so that the outermost are reached, but never by so much that it rounds beyond them.
const half = (level: number): number => Math.min((level - 1) * 1.001 / 2, (level - 1) / 2 + 0.49)

// An even number of levels has none in the middle.
const offset = (level: number): number => (level % 2 === 0 ? 0.5 : 0)

/** The options of the quantizer. The number of codes is the product of `levels`, which has one entry per channel. */
export interface Options<K extends number, E extends number> {
  readonly codes: K
  readonly codeWidth: E
  readonly levels: ScalarLevels.ScalarLevels
}

/**
 * Makes the quantizer.
 *
 * @throws ShapeError when codes or channels do not match the levels, or when there are too few or too many levels.
 */
export const make = <K extends number, E extends number>(
  options: Options<K, E>
): Quantizer.Quantizer<K, E, Quantizer.Nothing> => {
  const { codeWidth, codes, levels } = options
  const bad = levels.findIndex((level) => !ScalarLevels.fits(level))
  if (bad >= 0 || levels.length === 0 || ScalarLevels.codes(levels) > MOST_CODES) {
    throw new ShapeError.ShapeError(
      bad >= 0
        ? `finiteScalar: channel ${bad} has ${
          levels[bad]
        } levels, but a whole number from 2 to ${ScalarLevels.MOST} is needed`
        : `finiteScalar: ${levels.length} channels make ${
          ScalarLevels.codes(levels)
        } codes, but 2 to ${MOST_CODES} can be counted`
    )
  }
  if (codes !== ScalarLevels.codes(levels) || codeWidth !== levels.length) {
    throw new ShapeError.ShapeError(
      `finiteScalar: levels ${levels.join(", ")} make ${
        ScalarLevels.codes(levels)
      } codes of ${levels.length} channels, not ${codes} of ${codeWidth}`
    )
  }
  const row = (of: (level: number, channel: number) => number): Tensor<[E]> =>
    constant(HostTensor.make([codeWidth], "float32", Float32Array.from(levels, of)))
  return {
    name: "finiteScalar",
    codes,
    codeWidth,
    quantize: (_, vectors) => {
      const bent = tanh(addBias(vectors, row((level) => Math.atanh(offset(level) / half(level)))))
      const steps = addBias(scaleChannels(bent, row(half)), row((level) => -offset(level)))
      const whole = straightThrough(steps, round(steps))
      const scaled = (x: typeof steps) => scaleChannels(x, row((level) => 1 / middle(level)))
      const digits = addBias(whole, row(middle))
      return {
        z: scaled(steps),
        codes: fromFloat(sumAlong(scaleChannels(digits, row((__, channel) => weight(levels, channel))), 1)),
        z_q: scaled(whole),
        losses: {}
      }
    }
  }
}
