/**
 * The corruption errors of ImageNet-C. They weigh the error of each kind of corruption by that of AlexNet, so that hard and easy
 * kinds count the same.
 *
 * ```ts
 * import assert from "node:assert"
 * import { CorruptionError } from "patchword/domain"
 *
 * const { errors } = CorruptionError.measure(new Map([["brightness", [0.2, 0.2, 0.3, 0.3, 0.4]]]), { clean: 0.1 })
 * assert.ok(Math.abs(errors.get("brightness")!.ce! - 0.28 / 0.564592) < 1e-12)
 * ```
 */
import type { Kind } from "../corruptions/Corruption.ts"

/** AlexNet's error of each kind, the mean over the five severities, as published with ImageNet-C. */
export const ALEXNET: ReadonlyMap<Kind, number> = new Map([
  ["gaussian_noise", 0.886428],
  ["shot_noise", 0.894468],
  ["impulse_noise", 0.92264],
  ["defocus_blur", 0.81988],
  ["glass_blur", 0.826268],
  ["motion_blur", 0.785948],
  ["zoom_blur", 0.79836],
  ["snow", 0.866816],
  ["frost", 0.826572],
  ["fog", 0.819324],
  ["brightness", 0.564592],
  ["contrast", 0.853204],
  ["elastic_transform", 0.646056],
  ["pixelate", 0.71784],
  ["jpeg_compression", 0.6065]
])

/** AlexNet's error on clean images. Sources differ by a few tenths of a point. */
export const ALEXNET_CLEAN = 0.4348

const SEVERITIES = 5

/** The errors of one kind. */
export interface KindError {
  /** The mean error of its severities. */
  readonly mean: number
  /** The corruption error (CE): the error relative to AlexNet's. Undefined without all severities, and for extra kinds. */
  readonly ce: number | undefined
  /** The relative corruption error: the loss to clean images, relative to AlexNet's. Undefined also without the clean error. */
  readonly relativeCe: number | undefined
}

/** The errors of all kinds that were measured, and the means over the fifteen kinds. */
export interface Measured {
  readonly errors: ReadonlyMap<Kind, KindError>
  /** The mean corruption error. Undefined unless all fifteen kinds have a corruption error. */
  readonly mce: number | undefined
  readonly relativeMce: number | undefined
}

const mean = (values: ReadonlyArray<number>): number => values.reduce((a, b) => a + b, 0) / values.length

const whole = (values: ReadonlyArray<number | undefined>): number | undefined => {
  const known = values.filter((value) => value !== undefined)
  return known.length === ALEXNET.size && known.length === values.length ? mean(known) : undefined
}

/** Computes the errors from those of each severity, as shares. `clean` is the error on the same images without corruption. */
export const measure = (
  severities: ReadonlyMap<Kind, ReadonlyArray<number>>,
  options: { readonly clean?: number | undefined; readonly alexnetClean?: number | undefined } = {}
): Measured => {
  const { alexnetClean = ALEXNET_CLEAN, clean } = options
  const errors = new Map(Array.from(severities, ([kind, values]) => {
    const alexnet = values.length === SEVERITIES ? ALEXNET.get(kind) : undefined
    const own = mean(values)
    const error: KindError = {
      mean: own,
      ce: alexnet === undefined ? undefined : own / alexnet,
      relativeCe: alexnet === undefined || clean === undefined ? undefined : (own - clean) / (alexnet - alexnetClean)
    }
    return [kind, error] as const
  }))
  const over = (of: (error: KindError) => number | undefined) =>
    whole(Array.from(ALEXNET.keys(), (kind) => errors.get(kind)).map((error) => error && of(error)))
  return { errors, mce: over(({ ce }) => ce), relativeMce: over(({ relativeCe }) => relativeCe) }
}
