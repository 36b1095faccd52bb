/**
 * Makes the views that a network sees from a decoded image. A training view depends on its key alone: the same key gives
 * the same pixels in any process.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Presets } from "patchword/domain"
 * import { Augment } from "patchword/layers"
 *
 * const { augment } = Presets.tiny.pretrain
 * const picture = { width: 60, height: 50, data: new Uint8Array(60 * 50 * 3).fill(128) }
 * const view = Augment.view(picture, 48, augment, { seed: 0, purpose: "view", epoch: 0, index: 7 })
 * const { normalised, unit } = Augment.batch([view], 48, augment)
 * assert.deepStrictEqual(unit.shape, [1, 3, 48, 48])
 * assert.notStrictEqual(normalised.data[0], unit.data[0])
 * ```
 */
import type { FinetuneConfig } from "../../../domain/config/FinetuneConfig.ts"
import * as AutoAugment from "../../../domain/pixels/AutoAugment.ts"
import * as ColorJitter from "../../../domain/pixels/ColorJitter.ts"
import * as Crop from "../../../domain/pixels/Crop.ts"
import * as Normalize from "../../../domain/pixels/Normalize.ts"
import type { Picture } from "../../../domain/pixels/Picture.ts"
import * as RandAugment from "../../../domain/pixels/RandAugment.ts"
import type * as Resample from "../../../domain/pixels/Resample.ts"
import * as KeyedRandom from "../../../domain/values/KeyedRandom.ts"
import * as HostTensor from "../../../shapes/HostTensor.ts"
import * as Views from "./Views.ts"

/** The part of an `AugmentConfig` that {@link view} needs. */
export interface Random extends Crop.Bounds {
  readonly flip: number
  readonly jitter: ColorJitter.Amounts
  readonly interpolation: Resample.Filter | "random"
}

const filterOf = (
  { interpolation }: Pick<Random, "interpolation">,
  { uniform }: KeyedRandom.Generator
): Resample.Filter => interpolation !== "random" ? interpolation : uniform() < 0.5 ? "bilinear" : "bicubic"

/** Draws the random parameters of a view. They do not depend on its size. */
const drawn = (picture: Picture, config: Random, draws: KeyedRandom.Generator) => {
  const changes = ColorJitter.draw(config.jitter, draws)
  const mirrored = draws.uniform() < config.flip
  const box = Crop.random(picture.width, picture.height, config, draws)
  return { changes, mirrored, box, filter: filterOf(config, draws) }
}

/**
 * Makes the training view of an image for a key, `size` × `size`: colour jitter, random flip, random resized crop (in the
 * order of the official pretraining).
 */
export const view = (picture: Picture, size: number, config: Random, key: KeyedRandom.Key): Picture =>
  Views.view(picture, { ...drawn(picture, config, KeyedRandom.generator(key)), width: size, height: size })

/** Two views of the same image: for the network, and for the tokenizer that gives its targets. */
export interface Pair {
  readonly first: Picture
  readonly second: Picture
}

/**
 * Makes both views of pretraining: the same crop with the same colours. It is resized once for the network and, if size or
 * filter differ, once more for the tokenizer (`RandomResizedCropAndInterpolationWithTwoPic`).
 */
export const viewPair = (
  picture: Picture,
  size: number,
  config: Random & { readonly secondInterpolation?: Resample.Filter },
  secondSize: number,
  key: KeyedRandom.Key
): Pair => {
  const common = drawn(picture, config, KeyedRandom.generator(key))
  const first = Views.view(picture, { ...common, width: size, height: size })
  const filter = config.secondInterpolation ?? common.filter
  if (secondSize === size && filter === common.filter) return { first, second: first }
  return { first, second: Views.view(picture, { ...common, filter, width: secondSize, height: secondSize }) }
}

/**
 * Makes the training view of an image for a classifier: a random resized crop and a random flip. Then `randAugment` or
 * `autoAugment` apply their operations; without them, colour jitter (the order of timm's transform, which the official
 * fine-tuning uses).
 */
export const classifierView = (
  picture: Picture,
  size: number,
  config: Random & Pick<Normalize.Channels, "mean">,
  policies: Pick<FinetuneConfig, "autoAugment" | "randAugment">,
  key: KeyedRandom.Key
): Picture => {
  const { autoAugment, randAugment } = policies
  const draws = KeyedRandom.generator(key)
  const box = Crop.random(picture.width, picture.height, config, draws)
  const cropped = Views.resize(picture, size, size, filterOf(config, draws), box)
  const turned = draws.uniform() < config.flip ? Crop.flip(cropped) : cropped
  const [red, green, blue] = config.mean.map((mean) => Math.min(255, Math.round(255 * mean))) as [
    number,
    number,
    number
  ]
  if (autoAugment !== undefined) return AutoAugment.random(turned, autoAugment, [red, green, blue], draws)
  return randAugment === null
    ? Views.recolour(turned, ColorJitter.draw(config.jitter, draws))
    : RandAugment.random(turned, randAugment, [red, green, blue], draws)
}

/** Makes the view for evaluation, `size` × `size`: the centre crop, without randomness. */
export const evaluationView = (
  picture: Picture,
  size: number,
  config: Omit<Crop.Evaluation, "interpolation"> & Pick<Random, "interpolation">
): Picture =>
  Crop.central(
    picture,
    size,
    { ...config, interpolation: config.interpolation === "random" ? "bicubic" : config.interpolation },
    Views.resize
  )

/** A batch of views in the two forms that stages need, `[B, 3, H, W]`. */
export interface Batch<B extends number> {
  /** Values from 0 to 1, for teachers and tokenizers. */
  readonly unit: HostTensor.HostTensor<[B, 3, number, number], "float32">
  /** Values standardised by the mean and deviation of each channel, for everything else. */
  readonly normalised: HostTensor.HostTensor<[B, 3, number, number], "float32">
}

/** Options of training views, as a worker thread receives them. */
export interface Recipe {
  /** Side of the views in pixels. */
  readonly size: number
  /** Side of the views with values from 0 to 1, if these are separate views; see {@link viewPair}. */
  readonly secondSize?: number | undefined
  readonly augment: Random & Normalize.Channels & { readonly secondInterpolation?: Resample.Filter }
  /** Augmentation policies of views for a classifier; see {@link classifierView}. */
  readonly policies?: Pick<FinetuneConfig, "autoAugment" | "randAugment"> | undefined
}

/** Makes the views of an image by a recipe. Both are the same if there is no second size. */
export const make = (
  picture: Picture,
  recipe: Recipe,
  key: KeyedRandom.Key
): Pair => {
  const { augment, policies, secondSize, size } = recipe
  if (secondSize !== undefined) return viewPair(picture, size, augment, secondSize, key)
  const first = policies === undefined
    ? view(picture, size, augment, key)
    : classifierView(picture, size, augment, policies, key)
  return { first, second: first }
}

/** Allocates memory for a number of values. Its content is arbitrary. */
export type Memory = (length: number) => Float32Array

/**
 * Allocates a batch of `count` views. If the two forms show different views, `secondSize` is the side of those with values
 * from 0 to 1.
 */
export const allocate = (
  count: number,
  size: number,
  secondSize = size,
  memory: Memory = (length) => new Float32Array(length)
): Batch<number> => {
  const views = (side: number): Batch<number>["unit"] =>
    HostTensor.make([count, 3, side, side], "float32", memory(count * 3 * side * side))
  return { unit: views(secondSize), normalised: views(size) }
}

const write = (
  picture: Picture,
  affine: Normalize.Affine,
  { data, shape: [, channels, side] }: Batch<number>["unit"],
  place: number
): void => {
  if (picture.width !== side || picture.height !== side) {
    throw new RangeError(
      `a batch of ${side} × ${side} pixels cannot hold a view of ${picture.width} × ${picture.height}`
    )
  }
  Views.write(picture, affine, data, place * channels * side * side)
}

/** Writes views to a position of a batch. */
export const put = (
  batch: Batch<number>,
  place: number,
  pair: Pair,
  channels: Normalize.Channels
): void => {
  write(pair.second, Normalize.identity, batch.unit, place)
  write(pair.first, Normalize.standard(channels), batch.normalised, place)
}

/** Makes a batch of views of `size` × `size` pixels. */
export const batch = (views: ReadonlyArray<Picture>, size: number, channels: Normalize.Channels): Batch<number> => {
  const made = allocate(views.length, size)
  views.forEach((view, place) => put(made, place, { first: view, second: view }, channels))
  return made
}
