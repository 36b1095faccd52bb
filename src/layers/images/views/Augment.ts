/**
 * From a decoded picture to what a network sees of it. A training view depends on its key alone: the same key gives the
 * same pixels in any process.
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

/** What {@link view} needs of an `AugmentConfig`. */
export interface Random extends Crop.Bounds {
  readonly flip: number
  readonly jitter: ColorJitter.Amounts
  readonly interpolation: Resample.Filter | "random"
}

const filterOf = (
  { interpolation }: Pick<Random, "interpolation">,
  { uniform }: KeyedRandom.Generator
): Resample.Filter => interpolation !== "random" ? interpolation : uniform() < 0.5 ? "bilinear" : "bicubic"

/** What is drawn for a view, whatever its size. */
const drawn = (picture: Picture, config: Random, draws: KeyedRandom.Generator) => {
  const changes = ColorJitter.draw(config.jitter, draws)
  const mirrored = draws.uniform() < config.flip
  const box = Crop.random(picture.width, picture.height, config, draws)
  return { changes, mirrored, box, filter: filterOf(config, draws) }
}

/**
 * The training view of a picture under a key, `size` × `size`: colours changed, perhaps mirrored, a random rectangle
 * resized (the order of the official pretraining).
 */
export const view = (picture: Picture, size: number, config: Random, key: KeyedRandom.Key): Picture =>
  Views.view(picture, { ...drawn(picture, config, KeyedRandom.generator(key)), width: size, height: size })

/** The same picture for a network and for the tokenizer that tells it what to predict. */
export interface Pair {
  readonly first: Picture
  readonly second: Picture
}

/**
 * Both views of pretraining: the same rectangle in the same colours, resized once for the network and, where size or filter
 * differ, once more for the tokenizer (`RandomResizedCropAndInterpolationWithTwoPic`).
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
 * The training view of a picture for a classifier: a random rectangle resized, perhaps mirrored, and then, with
 * `randAugment` or `autoAugment`, changed by their operations, else in its colours (the order of timm's transform, which the official fine-tuning uses).
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

/** The view of evaluation, `size` × `size`: the centre, always the same. */
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

/** One batch of views in both forms that stages need, `[B, 3, H, W]`. */
export interface Batch<B extends number> {
  /** Values from 0 to 1: for teachers and tokenizers. */
  readonly unit: HostTensor.HostTensor<[B, 3, number, number], "float32">
  /** Mean and deviation taken out, channel by channel: for everything else. */
  readonly normalised: HostTensor.HostTensor<[B, 3, number, number], "float32">
}

/** How training views are made: what a thread is told that makes them. */
export interface Recipe {
  /** The side of the views. */
  readonly size: number
  /** The side of the views from 0 to 1, where these are views of their own; see {@link viewPair}. */
  readonly secondSize?: number | undefined
  readonly augment: Random & Normalize.Channels & { readonly secondInterpolation?: Resample.Filter }
  /** What views for a classifier are made with; see {@link classifierView}. */
  readonly policies?: Pick<FinetuneConfig, "autoAugment" | "randAugment"> | undefined
}

/** The views of a picture by a recipe; both are one where there is no second. */
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

/** Memory for so many numbers, whatever it holds. */
export type Memory = (length: number) => Float32Array

/** Room for a batch of `count` views. Where the two forms show different views, `secondSize` is the side of those in [0, 1]. */
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

/** Puts views at a place of a batch. */
export const put = (
  batch: Batch<number>,
  place: number,
  pair: Pair,
  channels: Normalize.Channels
): void => {
  write(pair.second, Normalize.identity, batch.unit, place)
  write(pair.first, Normalize.standard(channels), batch.normalised, place)
}

/** Views of `size` × `size` pixels as a batch. */
export const batch = (views: ReadonlyArray<Picture>, size: number, channels: Normalize.Channels): Batch<number> => {
  const made = allocate(views.length, size)
  views.forEach((view, place) => put(made, place, { first: view, second: view }, channels))
  return made
}
