/** The classes of pixels that a segmenter sees in images, and their scores. */
import { Effect } from "effect"
import type { SegmentationConfig } from "../../domain/config/SegmentationConfig.ts"
import * as DenseScores from "../../domain/evaluation/DenseScores.ts"
import * as MeanIou from "../../domain/evaluation/MeanIou.ts"
import * as Crop from "../../domain/pixels/Crop.ts"
import type { LabelMap } from "../../domain/pixels/LabelMap.ts"
import * as OpenCvResize from "../../domain/pixels/OpenCvResize.ts"
import type { Picture } from "../../domain/pixels/Picture.ts"
import * as Resample from "../../domain/pixels/Resample.ts"
import * as SegmentationView from "../../domain/pixels/SegmentationView.ts"
import * as SlidingWindows from "../../domain/pixels/SlidingWindows.ts"
import { Progress } from "../../layers/run/Progress.ts"
import * as WindowLogits from "../../nn/segmentation/WindowLogits.ts"
import * as Dim from "../../shapes/Dim.ts"
import * as HostTensor from "../../shapes/HostTensor.ts"
import * as Inference from "../trained/Inference.ts"
import * as Segmenter from "../trained/Segmenter.ts"
import * as AnnotatedBatches from "../training/AnnotatedBatches.ts"
import * as Outputs from "../training/Outputs.ts"

/** The options of an inference. */
export interface LookOptions {
  /** Factors of the size in which an image is looked at; default `[1]`. Published results with several sizes take 0.5 to 1.75. */
  readonly ratios?: ReadonlyArray<number>
  /** True to look at the mirrored image, too; default false. */
  readonly flip?: boolean
}

/** Number of windows that the network sees at once. */
const WINDOWS = 4

/** Computes the size in which an image is looked at. The short side is at least that of a window, as in the official code. */
const sizeAt = (picture: Picture, { resize, vit }: SegmentationConfig, ratio: number) => {
  const [long, short] = resize ?? [Math.max(picture.width, picture.height), Math.min(picture.width, picture.height)]
  if (ratio === 1) return resize === null ? picture : SegmentationView.fit(picture, [long, short])
  return SegmentationView.fit(picture, [
    Math.trunc(long * ratio),
    Math.max(Math.min(vit.imageSize, short), Math.trunc(short * ratio))
  ])
}

/** Opens a segmenter on the engine. The returned function finds the class of each pixel of a picture, whose name errors have. */
export const open = Effect.fnUntraced(function*(segmenter: Segmenter.Segmenter, options: LookOptions = {}) {
  const { flip = false, ratios = [1] } = options
  const { classes, config } = segmenter
  const { mean, std, stride, vit: { imageSize: size } } = config
  const inference = WindowLogits.inference(
    Segmenter.sizes(config, classes.length),
    Dim.named("windows", WINDOWS),
    Segmenter.headOf(config, classes.length)
  )
  const handle = yield* Inference.open(inference, Segmenter.weights(segmenter))

  const look = Effect.fnUntraced(function*(picture: Picture, mirrored: boolean, name: string) {
    const shown = mirrored ? Crop.flip(picture) : picture
    const boxes = SlidingWindows.boxes(shown, size, stride)
    const windows: Array<DenseScores.Look["windows"][number]> = []
    for (let start = 0; start < boxes.length; start += WINDOWS) {
      const images = new Float32Array(WINDOWS * 3 * size * size)
      const some = boxes.slice(start, start + WINDOWS)
      some.forEach((box, place) => AnnotatedBatches.put(Resample.cut(shown, box), size, { mean, std }, images, place))
      const { logits: { data, shape } } = yield* handle.run({
        images: HostTensor.make(inference.batch.images.shape, "float32", images)
      })
      yield* Outputs.checkFinite("logits", data, { rows: WINDOWS, valid: some.length, describe: () => name })
      const [, kinds, height, width] = shape
      const length = kinds * height * width
      some.forEach((box, place) =>
        windows.push({
          box,
          logits: { classes: kinds, height, width, data: data.slice(place * length, (place + 1) * length) }
        })
      )
    }
    const found: DenseScores.Look = { width: shown.width, height: shown.height, size, mirrored, windows }
    return found
  })

  return Effect.fnUntraced(function*(picture: Picture, name: string) {
    const looks: Array<DenseScores.Look> = []
    for (const ratio of ratios) {
      const { height, width } = sizeAt(picture, config, ratio)
      const resized = OpenCvResize.bilinear(picture, width, height)
      for (const mirrored of flip ? [false, true] : [false]) looks.push(yield* look(resized, mirrored, name))
    }
    return DenseScores.labels(looks, { width: picture.width, height: picture.height })
  })
})

/** The scores of a split. */
export interface Segmented extends MeanIou.Scores {
  readonly split: string
  readonly images: number
  readonly classes: ReadonlyArray<string>
  /** IoU of all objects as one class, if class 0 is called `ground` or `background`. Pixels of other classes are objects. */
  readonly foregroundIou?: number | undefined
}

/** The names of a first class that is no object. */
const GROUNDS: ReadonlySet<string | undefined> = new Set(["ground", "background"])

/** An image with its annotation and what a segmenter sees. */
export interface Example extends SegmentationView.Annotated {
  readonly name: string
  readonly predicted: LabelMap
}

/**
 * Measures a segmenter on annotated images, one after another. Returns the scores, and the first `examples` images with what it
 * sees in them.
 *
 * Fails with `OtherPixelClasses` if the images have other classes, with `NoLabelledPixels` if no pixel counts, and as the engine and the images fail.
 */
export const evaluateSegmenter = Effect.fn("patchword.evaluateSegmenter")(
  function*(
    segmenter: Segmenter.Segmenter,
    set: AnnotatedBatches.AnnotatedSet,
    options: LookOptions & { readonly examples?: number } = {}
  ) {
    yield* Effect.annotateCurrentSpan({ "patchword.split": set.name, "patchword.images": set.length })
    yield* AnnotatedBatches.checkClasses(set, segmenter.classes)
    const { report } = yield* Progress
    const labelsOf = yield* open(segmenter, options)
    const examples: Array<Example> = []
    let counts = MeanIou.empty(segmenter.classes.length)
    for (let index = 0; index < set.length; index++) {
      const { labels, picture } = yield* AnnotatedBatches.pair(set, index)
      const predicted = yield* labelsOf(picture, set.describe(index))
      counts = MeanIou.add(counts, predicted.data, labels.data)
      if (examples.length < (options.examples ?? 0)) {
        examples.push({ name: set.describe(index), picture, labels, predicted })
      }
      yield* report({ stage: `segment ${set.name}`, step: index + 1, total: set.length, metrics: {} })
    }
    if (counts.labelled.every((pixels) => pixels === 0)) {
      return yield* new AnnotatedBatches.NoLabelledPixels({ set: set.name })
    }
    const scores: Segmented = {
      split: set.name,
      images: set.length,
      classes: segmenter.classes,
      ...MeanIou.scores(counts),
      ...(GROUNDS.has(segmenter.classes[0]) ? { foregroundIou: MeanIou.foreground(counts) } : {})
    }
    return { scores, examples }
  },
  Effect.scoped
)
