/**
 * The corruptions of ImageNet-C (D. Hendrycks, T. Dietterich, 2019): fifteen kinds and three extra ones, at five severities. They
 * are made for square images of 224 pixels. Random ones depend on the key alone: the same key gives the same pixels.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Corruption } from "patchword/domain"
 *
 * const picture = { width: 8, height: 8, data: new Uint8Array(192).fill(100) }
 * const key = Corruption.key({ kind: "gaussian_noise", severity: 3 }, { seed: 0, index: 7 })
 * const noisy = Corruption.apply(picture, "gaussian_noise", 3, key)
 * assert.deepStrictEqual(noisy, Corruption.apply(picture, "gaussian_noise", 3, key))
 * assert.notDeepStrictEqual(noisy, picture)
 * ```
 */
import { Schema } from "effect"
import type { Picture } from "../pixels/Picture.ts"
import * as KeyedRandom from "../values/KeyedRandom.ts"
import * as Blur from "./Blur.ts"
import * as Digital from "./Digital.ts"
import * as Noise from "./Noise.ts"
import { Severity } from "./Severity.ts"
import * as Weather from "./Weather.ts"

export { Severity } from "./Severity.ts"

/** The fifteen kinds of the mean corruption error, in the order of ImageNet-C: noise, blur, weather, digital faults. */
export const kinds = [
  "gaussian_noise",
  "shot_noise",
  "impulse_noise",
  "defocus_blur",
  "glass_blur",
  "motion_blur",
  "zoom_blur",
  "snow",
  "frost",
  "fog",
  "brightness",
  "contrast",
  "elastic_transform",
  "pixelate",
  "jpeg_compression"
] as const

/** Kinds of ImageNet-C that are for validation. Its `spatter` is not here. */
export const extraKinds = ["speckle_noise", "gaussian_blur", "saturate"] as const

/** A kind of corruption. */
export const Kind = Schema.Literals([...kinds, ...extraKinds])
export type Kind = typeof Kind.Type

/** A kind at a severity. */
export const Corruption = Schema.Struct({ kind: Kind, severity: Severity })
export type Corruption = typeof Corruption.Type

/** Kinds that pixels and a key determine. JPEG needs an encoder. */
export type Computed = Exclude<Kind, "jpeg_compression">

type Operation = (
  picture: Picture,
  severity: Severity,
  draws: KeyedRandom.Generator,
  frost: ReadonlyArray<Picture>
) => Picture

const operations: Readonly<Record<Computed, Operation>> = {
  gaussian_noise: Noise.gaussian,
  shot_noise: Noise.shot,
  impulse_noise: Noise.impulse,
  defocus_blur: Blur.defocus,
  glass_blur: Blur.glass,
  motion_blur: Blur.motion,
  zoom_blur: Blur.zoom,
  snow: Weather.snow,
  frost: Weather.frost,
  fog: Weather.fog,
  brightness: Weather.brightness,
  contrast: Digital.contrast,
  elastic_transform: Digital.elastic,
  pixelate: Digital.pixelate,
  speckle_noise: Noise.speckle,
  gaussian_blur: Blur.gaussian,
  saturate: Digital.saturate
}

/** Quality of the JPEG files of `jpeg_compression` at each severity. */
export const jpegQuality = (severity: Severity): number => Digital.JPEG_QUALITY[severity - 1]!

/** Returns the key of a corruption of the image at an index. */
export const key = (
  corruption: Corruption,
  image: Pick<KeyedRandom.Key, "index" | "seed">
): KeyedRandom.Key => ({ ...image, purpose: `corruption/${corruption.kind}/${corruption.severity}`, epoch: 0 })

/**
 * Corrupts an image. `frost` are the pictures of the kind `frost`, of which there is at least one. Each is larger than the image
 * on both sides.
 */
export const apply = (
  picture: Picture,
  kind: Computed,
  severity: Severity,
  key: KeyedRandom.Key,
  frost: ReadonlyArray<Picture> = []
): Picture => operations[kind](picture, severity, KeyedRandom.generator(key), frost)
