/**
 * The `preprocessor_config.json` of transformers, read into our settings of evaluation views and written from them.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Effect } from "effect"
 * import { ImageProcessor, Presets } from "patchword/domain"
 *
 * const { augment } = Presets.base.finetune
 * const written = ImageProcessor.write(augment, 224)
 * assert.deepStrictEqual(written.size, { shortest_edge: 256 })
 * const read = Effect.runSync(ImageProcessor.read(written, "preprocessor_config.json", 224))
 * assert.deepStrictEqual([read.mean, read.interpolation], [augment.mean, augment.interpolation])
 * ```
 *
 * Sources: `image_processing_backends.py`, `image_processing_beit.py`, `image_processing_clip.py` of transformers.
 */
import { Effect, Schema } from "effect"
import type { AugmentConfig } from "../config/AugmentConfig.ts"
import * as Quantity from "../values/Quantity.ts"
import * as ForeignConfig from "./ForeignConfig.ts"

/** The settings of `AugmentConfig` that a processor determines. */
export type Evaluation = Pick<
  AugmentConfig,
  "colour" | "evaluationCrop" | "evaluationOffset" | "evaluationSides" | "interpolation" | "mean" | "std"
>

/** Pillow's numbers of the filters. */
const FILTERS = { 1: "lanczos", 2: "bilinear", 3: "bicubic" } as const

const numberOf = { lanczos: 1, bilinear: 2, bicubic: 3, random: 3 } as const

const KIND = /^(BEiT|Beit|CLIP)(?:ImageProcessor|FeatureExtractor)(?:Fast|Pil)?$/

/** The defaults of the processors. */
const defaults = {
  Beit: {
    size: { height: 224, width: 224 },
    crop_size: { height: 224, width: 224 },
    do_center_crop: false,
    resample: 3,
    image_mean: [0.5, 0.5, 0.5],
    image_std: [0.5, 0.5, 0.5]
  },
  CLIP: {
    size: { shortest_edge: 224 },
    crop_size: { height: 224, width: 224 },
    do_center_crop: true,
    resample: 3,
    image_mean: [0.48145466, 0.4578275, 0.40821073],
    image_std: [0.26862954, 0.26130258, 0.27577711]
  }
} as const

const Sides = Schema.Struct({ height: Quantity.Count, width: Quantity.Count }).check(
  Schema.makeFilter(({ height, width }: { readonly height: number; readonly width: number }) => height === width, {
    expected: "equal height and width"
  })
)

const Deviations = Schema.Tuple([Quantity.Positive, Quantity.Positive, Quantity.Positive])

const PER_255 = 1 / 255

const Fields = Schema.Struct({
  size: Schema.Union([Quantity.Count, Sides, Schema.Struct({ shortest_edge: Quantity.Count })]),
  crop_size: Schema.Union([Quantity.Count, Sides]),
  resample: Schema.Literals([1, 2, 3]),
  do_resize: Schema.optionalKey(Schema.Literal(true)),
  do_center_crop: Schema.Boolean,
  do_rescale: Schema.optionalKey(Schema.Literal(true)),
  rescale_factor: Schema.optionalKey(
    Schema.Finite.check(
      Schema.makeFilter((factor: number) => Math.abs(factor / PER_255 - 1) < 1e-5, { expected: "1/255" })
    )
  ),
  do_normalize: Schema.optionalKey(Schema.Boolean),
  image_mean: Schema.Union([Schema.Finite, Quantity.Channels]),
  image_std: Schema.Union([Quantity.Positive, Deviations]),
  do_pad: Schema.optionalKey(Schema.Literal(false))
})

// Of labels, of other kinds of pictures than we decode, of what is done with tensors afterwards.
const NEUTRAL = [
  "image_processor_type",
  "feature_extractor_type",
  "processor_class",
  "do_convert_rgb",
  "do_reduce_labels",
  "reduce_labels",
  "data_format",
  "input_data_format",
  "return_tensors",
  "device",
  "disable_grouping",
  "_valid_processor_keys"
]

const three = (values: number | readonly [number, number, number]): readonly [number, number, number] =>
  typeof values === "number" ? [values, values, values] : values

/** Returns the share of the resized side that gives exactly this crop. */
const shareOf = (crop: number, side: number): number =>
  Math.trunc(crop / (crop / side)) === side ? crop / side : crop / (side + 0.5)

/**
 * Reads the evaluation view that a processor makes for a network of some image size. Fails with a `ForeignError` that names
 * every key with an unsupported value.
 */
export const read = (
  members: Readonly<Record<string, unknown>>,
  file: string,
  imageSize: number
): Effect.Effect<Evaluation, ForeignConfig.ForeignError> =>
  Effect.gen(function*() {
    const type = members["image_processor_type"] ?? members["feature_extractor_type"] ?? "BeitImageProcessor"
    const kind = KIND.exec(String(type))?.[1]
    if (kind === undefined) {
      const message = `expected BeitImageProcessor or CLIPImageProcessor, got ${String(type)}`
      return yield* ForeignConfig.refusal(file, "image_processor_type", message)
    }
    const own = kind === "CLIP" ? defaults.CLIP : defaults.Beit
    const found = yield* ForeignConfig.decode(Fields, file, NEUTRAL)({ ...own, ...members })
    const { crop_size, do_center_crop, do_normalize = true, image_mean, image_std, resample, size } = found
    // A single number is the shorter side for CLIP, and both for BEiT.
    const shorter = typeof size === "number" ? own === defaults.CLIP : "shortest_edge" in size
    const side = typeof size === "number" ? size : "shortest_edge" in size ? size.shortest_edge : size.height
    if (!do_center_crop && shorter) {
      return yield* ForeignConfig.refusal(
        file,
        "do_center_crop",
        "expected true together with size.shortest_edge, got false"
      )
    }
    const crop = !do_center_crop ? side : typeof crop_size === "number" ? crop_size : crop_size.height
    if (crop > side) {
      return yield* ForeignConfig.refusal(file, "crop_size", `expected at most the resized side ${side}, got ${crop}`)
    }
    if (crop !== imageSize) {
      const message = `expected the ${imageSize} pixels of config.json's image_size, got ${crop}`
      return yield* ForeignConfig.refusal(file, do_center_crop ? "crop_size" : "size", message)
    }
    return {
      // Pillow's, without colour profiles; but what is transparent is laid on white there.
      colour: "official",
      evaluationCrop: shareOf(crop, side),
      evaluationSides: shorter ? "shorter" : "both",
      evaluationOffset: "down",
      interpolation: FILTERS[resample],
      mean: do_normalize ? three(image_mean) : [0, 0, 0],
      std: do_normalize ? three(image_std) : [1, 1, 1]
    }
  })

/** Writes the processor of an evaluation view. The processor always rounds an offset of half a pixel down. */
export const write = (
  evaluation: Evaluation,
  imageSize: number
) => {
  const { evaluationCrop, evaluationSides, interpolation, mean, std } = evaluation
  const side = Math.trunc(imageSize / evaluationCrop)
  return {
    image_processor_type: "CLIPImageProcessor",
    do_convert_rgb: true,
    do_resize: true,
    size: evaluationSides === "both" ? { height: side, width: side } : { shortest_edge: side },
    resample: numberOf[interpolation],
    do_center_crop: true,
    crop_size: { height: imageSize, width: imageSize },
    do_rescale: true,
    rescale_factor: PER_255,
    do_normalize: true,
    image_mean: mean,
    image_std: std
  }
}
