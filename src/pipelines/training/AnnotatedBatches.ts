/**
 * The annotated images of each step of segmentation, as views. The batch of a step is a function of the seed and the step number
 * alone.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Presets } from "patchword/domain"
 * import { AnnotatedBatches } from "patchword/pipelines"
 *
 * const { resize, size } = AnnotatedBatches.recipeOf(Presets.base.segmentation!)
 * assert.deepStrictEqual([size, resize], [512, [2048, 512]])
 * ```
 */
import { Effect, Equal, Runtime, Schema } from "effect"
import type { SegmentationConfig } from "../../domain/config/SegmentationConfig.ts"
import * as Sampling from "../../domain/method/Sampling.ts"
import * as LabelMap from "../../domain/pixels/LabelMap.ts"
import * as Normalize from "../../domain/pixels/Normalize.ts"
import type { Picture } from "../../domain/pixels/Picture.ts"
import * as SegmentationView from "../../domain/pixels/SegmentationView.ts"
import * as KeyedRandom from "../../domain/values/KeyedRandom.ts"
import { TaggedError } from "../../domain/values/TaggedError.ts"
import type { ImagesError } from "../../layers/images/reading/ImagesError.ts"
import type { ImageSet } from "../../layers/images/reading/ImageSet.ts"
import * as Views from "../../layers/images/views/Views.ts"
import { Ranks } from "../../layers/ranks/Ranks.ts"
import * as Batches from "./Batches.ts"
import * as RankShare from "./RankShare.ts"

/** The images have no annotations, or the classes of their pixels are not named. */
export class NoPixelClasses extends TaggedError<NoPixelClasses>()("NoPixelClasses", {
  set: Schema.String,
  /** True if there are annotations, without names of classes. */
  annotated: Schema.Boolean
}) {
  override readonly [Runtime.errorExitCode] = 66
  get finding() {
    return this.annotated
      ? `${this.set}: the classes of its pixels have no names`
      : `${this.set}: its images have no annotations`
  }
  get remedy() {
    return this.annotated
      ? "name them with pixelClasses in the manifest"
      : "give a manifest with annotations and pixelClasses, or --images scenes"
  }
}

/** The pixels of images have other classes than a segmenter knows. */
export class OtherPixelClasses extends TaggedError<OtherPixelClasses>()("OtherPixelClasses", {
  set: Schema.String,
  expected: Schema.Array(Schema.String),
  found: Schema.Array(Schema.String)
}) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    const { expected, found, set } = this
    const at = found.findIndex((name, i) => name !== expected[i])
    const first = at === -1 ? found.length : at
    return `${set}: class ${first} of its pixels is ${found[first] ?? "missing"}, but that of the segmenter is ` +
      `${expected[first] ?? "missing"} (${found.length} and ${expected.length} classes)`
  }
  get remedy() {
    return "give annotations with the same pixelClasses in the same order"
  }
}

/** All pixels of all annotations are ignored. */
export class NoLabelledPixels extends TaggedError<NoLabelledPixels>()("NoLabelledPixels", { set: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 66
  get finding() {
    return `${this.set}: no pixel of its annotations has a class; all of them are ignored`
  }
  get remedy() {
    return "check the annotations, and reduceZeroLabel in the manifest, which makes 0 the number of ignored pixels"
  }
}

/** Fails if no pixel of a set has a class. It reads annotations up to the first one with a class. */
export const checkLabels = Effect.fnUntraced(function*(set: AnnotatedSet) {
  for (let index = 0; index < set.length; index++) {
    const { data } = yield* set.annotation(index)
    if (data.some((label) => label !== LabelMap.IGNORED)) return
  }
  return yield* new NoLabelledPixels({ set: set.name })
})

/** Fails if the pixels of a set have other classes, or others under the same numbers. */
export const checkClasses = (
  set: AnnotatedSet,
  expected: ReadonlyArray<string>
): Effect.Effect<void, OtherPixelClasses> =>
  Equal.equals(set.pixelClasses, expected)
    ? Effect.void
    : Effect.fail(new OtherPixelClasses({ set: set.name, expected, found: set.pixelClasses }))

/** Images with annotations. */
export type AnnotatedSet = ImageSet & Required<Pick<ImageSet, "annotation" | "pixelClasses">>

/** Checks that a set has annotations with named classes. */
export const annotated = (set: ImageSet): Effect.Effect<AnnotatedSet, NoPixelClasses> => {
  const { annotation, name, pixelClasses } = set
  return annotation === undefined || pixelClasses === undefined
    ? Effect.fail(new NoPixelClasses({ set: name, annotated: annotation !== undefined }))
    : Effect.succeed({ ...set, annotation, pixelClasses })
}

/** Returns an image of a set with its annotation. */
export const pair = (
  set: AnnotatedSet,
  index: number
): Effect.Effect<SegmentationView.Annotated, ImagesError> =>
  Effect.zipWith(set.image(index), set.annotation(index), (picture, labels) => ({ picture, labels }))

/** Writes a standardised image `[3, size, size]` to a place of a batch. What is beside a smaller image becomes 0. */
export const put = (
  picture: Picture,
  size: number,
  channels: Normalize.Channels,
  images: Float32Array,
  place: number
): void => {
  const start = place * 3 * size * size
  const { height, width } = picture
  const affine = Normalize.standard(channels)
  if (width === size && height === size) return Views.write(picture, affine, images, start)
  const small = new Float32Array(3 * width * height)
  Views.write(picture, affine, small, 0)
  images.fill(0, start, start + 3 * size * size)
  for (let line = 0; line < 3 * height; line++) {
    const [channel, row] = [Math.floor(line / height), line % height]
    images.set(small.subarray(line * width, (line + 1) * width), start + (channel * size + row) * size)
  }
}

/** A batch of views. With several ranks, `B` is the number of images of this rank. */
export interface AnnotatedBatch {
  /** `[B, 3, size, size]`, standardised. */
  readonly images: Float32Array
  /** `[B, size, size]`; 255 for pixels that do not count. */
  readonly labels: Int32Array
}

/** Returns the settings of the training views. */
export const recipeOf = (config: SegmentationConfig): SegmentationView.Recipe => ({
  size: config.vit.imageSize,
  resize: config.resize,
  scale: config.scale,
  maxClassShare: config.maxClassShare,
  flip: 0.5,
  distortion: config.distortion
})

/** Makes the training batches of a stage. Fails with `TooFewImages` if there is not even one batch. */
export const training = Effect.fnUntraced(function*(
  stage: string,
  config: SegmentationConfig,
  set: AnnotatedSet
) {
  const { accumulate = 1, batchSize, mean, seed, std, vit: { imageSize: size } } = config
  const { images, ...sampler } = Sampling.make({ stage, seed, labels: set.labels, batchSize, accumulate })
  if (sampler.stepsPerEpoch === 0) {
    return yield* Batches.tooFewImages({
      stage,
      set: set.name,
      images,
      batchSize,
      batches: accumulate,
      config: "segmentation"
    })
  }
  const recipe = recipeOf(config)
  const rows = RankShare.contiguous(batchSize, yield* Ranks)
  return {
    stepsPerEpoch: sampler.stepsPerEpoch,
    /** The rows of a batch that this rank makes. */
    rows,
    /** Makes these rows of the batch of a step. */
    batch: Effect.fnUntraced(function*(step: number) {
      const { draws, epoch, places } = sampler.batch(step)
      const shown = new Float32Array(rows.length * 3 * size * size)
      const labels = new Int32Array(rows.length * size * size)
      yield* Effect.forEach(
        rows,
        (row, place) =>
          Effect.map(pair(set, places[row]!), (found) => {
            const key = { seed, purpose: `${stage}/view`, epoch, index: draws[row]! }
            const view = SegmentationView.random(found, recipe, KeyedRandom.generator(key))
            put(view.picture, size, { mean, std }, shown, place)
            labels.set(LabelMap.pad(view.labels, size).data, place * size * size)
          }),
        { concurrency: Batches.DECODERS, discard: true }
      )
      const batch: AnnotatedBatch = { images: shown, labels }
      return batch
    })
  }
})
