/**
 * Sets of images whose views are corrupted as in ImageNet-C.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Effect } from "effect"
 * import { Presets } from "patchword/domain"
 * import { Corrupted, ImageSet } from "patchword/layers"
 *
 * const { augment } = Presets.tiny.finetune
 * const grey = ImageSet.memory("greys", ["grey"], [{ width: 60, height: 50, data: new Uint8Array(9000).fill(99) }], [0])
 * const noisy = Corrupted.of(grey, { corruption: { kind: "shot_noise", severity: 2 }, size: 48, augment })
 * const { width, height } = await Effect.runPromise(noisy.image(0))
 * assert.deepStrictEqual([noisy.name, width, height], ["greys/shot_noise/2", 48, 48])
 * ```
 */
import { Effect, Runtime, Schema } from "effect"
import type { AugmentConfig } from "../../domain/config/AugmentConfig.ts"
import * as Corruption from "../../domain/corruptions/Corruption.ts"
import type { Picture } from "../../domain/pixels/Picture.ts"
import { TaggedError } from "../../domain/values/TaggedError.ts"
import * as Files from "../files/Files.ts"
import * as ImageSet from "./reading/ImageSet.ts"
import * as Augment from "./views/Augment.ts"

/** The pictures of frost cannot be used. */
export class FrostUnusable extends TaggedError<FrostUnusable>()("FrostUnusable", {
  /** The name of the set of pictures. */
  pictures: Schema.String,
  /** The picture that is too small; none if there are no pictures. */
  picture: Schema.optionalKey(Schema.String),
  size: Schema.Int
}) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    return this.picture === undefined
      ? `${this.pictures}: there is no picture of frost`
      : `${this.pictures}: the picture ${this.picture} is not larger than a view, which has ${this.size} × ${this.size} pixels`
  }
  get remedy() {
    return "give larger pictures, such as those that the code of ImageNet-C has"
  }
}

/** A corruption, and the views that it is applied to. */
export interface Options {
  readonly corruption: Corruption.Corruption
  /** The side of the views. */
  readonly size: number
  /** The evaluation view of a network. */
  readonly augment: AugmentConfig
  readonly seed?: number
  /** Pictures of frost, for this kind. {@link frost} checks and decodes them. */
  readonly frost?: ReadonlyArray<Picture>
}

/** Writes a picture as JPEG, and decodes it. */
const compressed = ({ data, height, width }: Picture, quality: number): Effect.Effect<Picture> =>
  Effect.promise(async () => {
    // Only this kind needs it, and importing it takes time.
    const { default: sharp } = await import("sharp")
    const file = await sharp(data, { raw: { width, height, channels: 3 } }).jpeg({ quality }).toBuffer()
    const read = await sharp(file).toColourspace("srgb").raw().toBuffer()
    return { width, height, data: new Uint8Array(read.buffer, read.byteOffset, read.length) }
  })

/**
 * Corrupts the evaluation views of a set. The views of the result are its images: they need no crop. The pixels of an image
 * depend on its index, the corruption and the seed.
 */
export const of = (set: ImageSet.ImageSet, options: Options): ImageSet.ImageSet => {
  const { augment, corruption, frost = [], seed = 0, size } = options
  const { kind, severity } = corruption
  const { annotation: _, pixelClasses: __, ...rest } = set
  const { evaluationCrop, evaluationOffset, evaluationSides, interpolation } = augment
  const view = { evaluationCrop, evaluationOffset, evaluationSides, interpolation, size }
  return {
    ...rest,
    name: `${set.name}/${kind}/${severity}`,
    digest: Files.sha256(
      JSON.stringify([set.digest, kind, severity, seed, view, frost.map(({ data }) => Files.sha256(data))])
    ),
    image: (index) =>
      ImageSet.lend(set, index, (picture) => {
        const shown = Augment.evaluationView(picture, size, augment)
        return kind === "jpeg_compression"
          ? compressed(shown, Corruption.jpegQuality(severity))
          : Effect.sync(() =>
            Corruption.apply(shown, kind, severity, Corruption.key(corruption, { seed, index }), frost)
          )
      })
  }
}

/** The configuration of views that are images already: they are not cropped. */
export const uncropped = <A extends { readonly augment: AugmentConfig }>(config: A): A["augment"] => ({
  ...config.augment,
  evaluationCrop: 1
})

/** Decodes pictures of frost for views of a size. Fails with {@link FrostUnusable}, and as the images fail. */
export const frost = Effect.fnUntraced(function*(set: ImageSet.ImageSet, size: number) {
  if (set.length === 0) return yield* new FrostUnusable({ pictures: set.name, size })
  return yield* Effect.forEach(
    Array.from({ length: set.length }, (_, index) => index),
    (index) =>
      Effect.filterOrFail(
        set.image(index),
        ({ height, width }) => Math.min(height, width) > size,
        () => new FrostUnusable({ pictures: set.name, picture: set.describe(index), size })
      )
  )
})
