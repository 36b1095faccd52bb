/**
 * Segmentation by a linear head on a frozen network: logistic regression on the features of patches. It shows what the network knows
 * about places in an image, as the linear probe does for whole images.
 */
import { Effect } from "effect"
import * as Config from "../domain/config/Config.ts"
import { SegmentationConfig } from "../domain/config/SegmentationConfig.ts"
import { VitConfig } from "../domain/config/VitConfig.ts"
import * as LabelMap from "../domain/pixels/LabelMap.ts"
import * as Resample from "../domain/pixels/Resample.ts"
import * as SegmentationView from "../domain/pixels/SegmentationView.ts"
import * as SlidingWindows from "../domain/pixels/SlidingWindows.ts"
import * as ComputedOn from "../domain/values/ComputedOn.ts"
import { Engine } from "../layers/engine/Engine.ts"
import { Images } from "../layers/images/Images.ts"
import { Progress } from "../layers/run/Progress.ts"
import * as InitialValues from "../layers/weights/InitialValues.ts"
import * as Weights from "../layers/weights/Weights.ts"
import * as LinearProbe from "../nn/finetune/LinearProbe.ts"
import * as PatchFeatures from "../nn/segmentation/PatchFeatures.ts"
import { EPSILON } from "../nn/segmentation/SegmentationBackbone.ts"
import * as Dim from "../shapes/Dim.ts"
import * as HostTensor from "../shapes/HostTensor.ts"
import * as LinearFit from "./evaluate/LinearFit.ts"
import * as Segment from "./Segment.ts"
import * as Inference from "./trained/Inference.ts"
import * as Segmenter from "./trained/Segmenter.ts"
import * as AnnotatedBatches from "./training/AnnotatedBatches.ts"
import * as Stage from "./training/Stage.ts"

const BATCH = 8

/** The patches of training images: features `[N, C]`, and the shares of the classes among their pixels `[N, K]`. */
interface Patches {
  readonly features: Float32Array
  readonly targets: Float32Array
  readonly count: number
}

/** Computes the shares of the classes among the pixels of a patch that count; nothing if there are none. */
const sharesOf = (
  { data, width }: LabelMap.LabelMap,
  left: number,
  top: number,
  side: number,
  classes: number
): Float32Array | undefined => {
  const shares = new Float32Array(classes)
  let counted = 0
  for (let row = top; row < top + side; row++) {
    for (const label of data.subarray(row * width + left, row * width + left + side)) {
      if (label === LabelMap.IGNORED) continue
      shares[label]!++
      counted++
    }
  }
  return counted === 0 ? undefined : shares.map((pixels) => pixels / counted)
}

/** Computes the features and targets of all windows of the first images of a set. */
const patchesOf = Effect.fnUntraced(function*(
  config: SegmentationConfig,
  set: AnnotatedBatches.AnnotatedSet,
  tensors: Weights.Tensors,
  count: number
) {
  const { finalNorm, mean, resize, std, stride, vit: { grid, imageSize: size, patchSize, width } } = config
  const classes = set.pixelClasses.length
  const inference = PatchFeatures.inference(Segmenter.sizes(config, classes), Dim.named("windows", BATCH), {
    finalNorm
  })
  const backbone = Inference.renamed(tensors, (name) => name.startsWith("backbone.") ? name : undefined)
  const handle = yield* Inference.open(inference, Inference.parameters(backbone))
  const { report } = yield* Progress
  const patches = grid.height * grid.width
  const features: Array<Float32Array> = []
  const targets: Array<Float32Array> = []
  let waiting: Array<SegmentationView.Annotated> = []

  const see = Effect.fnUntraced(function*(windows: ReadonlyArray<SegmentationView.Annotated>) {
    const images = new Float32Array(BATCH * 3 * size * size)
    windows.forEach(({ picture }, place) => AnnotatedBatches.put(picture, size, { mean, std }, images, place))
    const { features: { data } } = yield* handle.run({
      images: HostTensor.make(inference.batch.images.shape, "float32", images)
    })
    windows.forEach((window, place) => {
      const labels = LabelMap.pad(window.labels, size)
      for (let patch = 0; patch < patches; patch++) {
        const [row, column] = [Math.floor(patch / grid.width), patch % grid.width]
        const shares = sharesOf(labels, column * patchSize, row * patchSize, patchSize, classes)
        if (shares === undefined) continue
        targets.push(shares)
        features.push(
          Float32Array.from({ length: width }, (_, channel) => data[(place * width + channel) * patches + patch]!)
        )
      }
    })
  })
  const total = Math.min(count, set.length)
  for (let index = 0; index < total; index++) {
    const stored = yield* AnnotatedBatches.pair(set, index)
    const fitted = resize === null
      ? stored
      : SegmentationView.resize(stored, SegmentationView.fit(stored.picture, resize))
    for (const box of SlidingWindows.boxes(fitted.picture, size, stride)) {
      waiting.push({ picture: Resample.cut(fitted.picture, box), labels: LabelMap.cut(fitted.labels, box) })
      if (waiting.length < BATCH) continue
      yield* see(waiting)
      waiting = []
    }
    yield* report({ stage: "segment features", step: index + 1, total, metrics: {} })
  }
  if (waiting.length > 0) yield* see(waiting)
  const joined = (rows: ReadonlyArray<Float32Array>, length: number) => {
    const all = new Float32Array(rows.length * length)
    rows.forEach((row, i) => all.set(row, i * length))
    return all
  }
  const found: Patches = {
    features: joined(features, width),
    targets: joined(targets, classes),
    count: features.length
  }
  return found
}, Effect.scoped)

/** Fits the head. Returns its arrays. */
const fit = Effect.fnUntraced(function*(patches: Patches, width: number, classes: number, settings: Frozen) {
  const { count, features, targets } = patches
  const { mean, variance } = yield* LinearFit.moments(features, width)
  const inference = LinearProbe.softObjective(
    Dim.named("examples", count),
    Dim.named("width", width),
    Dim.named("classes", classes)
  )
  const scaled = features.map((value, i) => (value - mean[i % width]!) / Math.sqrt(variance[i % width]! + EPSILON))
  const handle = yield* (yield* Engine).infer(inference, {
    features: HostTensor.make(inference.weights.features.shape, "float32", scaled),
    targets: HostTensor.make(inference.weights.targets.shape, "float32", targets)
  })
  const { report } = yield* Progress
  const { iterations, l2 } = settings
  let step = 0
  let least = Number.POSITIVE_INFINITY
  const told = (step: number, loss: number) =>
    report({ stage: "segment head", step, total: iterations, metrics: { loss } })
  const { point } = yield* LinearFit.fit(handle, inference.batch, {
    l2,
    iterations,
    // An iteration may try several points, and the search may end early.
    tried: (loss) => {
      least = Math.min(least, loss)
      return told(step = Math.min(step + 1, iterations - 1), loss)
    }
  })
  yield* told(iterations, least)
  const length = width * classes
  const head: Weights.Tensors = {
    "decode_head.conv_seg.weight": HostTensor.make(
      [classes, width, 1, 1],
      "float32",
      Float32Array.from(point.subarray(0, length))
    ),
    "decode_head.conv_seg.bias": HostTensor.make([classes], "float32", Float32Array.from(point.subarray(length))),
    "decode_head.bn.running_mean": HostTensor.make([width], "float32", Float32Array.from(mean)),
    "decode_head.bn.running_var": HostTensor.make([width], "float32", Float32Array.from(variance))
  }
  return head
}, Effect.scoped)

type Frozen = NonNullable<SegmentationConfig["frozen"]>

/** The configuration of a frozen segmenter: its network sees whole windows, side by side. */
const frozenConfig = (config: SegmentationConfig, { finalNorm, imageSize }: Frozen): SegmentationConfig =>
  new SegmentationConfig({
    ...config,
    finalNorm,
    vit: new VitConfig({ ...config.vit, imageSize, dropPath: 0 }),
    stride: imageSize
  })

/**
 * Learns a linear head on a frozen network, by the settings `frozen` of a configuration. Nothing is drawn at random.
 *
 * Fails with `ConfigError` if the configuration has no such settings or another head, and as `segment` does.
 */
export const segmentFrozen = Effect.fn("patchword.segmentFrozen")(function*(
  given: typeof SegmentationConfig.Encoded,
  start: Segment.SegmentStart,
  options: Pick<Stage.StageOptions, "stage" | "split"> = {}
) {
  const { split = "train", stage = "segment-frozen" } = options
  const whole = yield* Config.check(SegmentationConfig, stage)(given)
  const { frozen } = whole
  yield* Stage.requireConfig(stage, {
    frozen: [frozen === null, "expected settings of the logistic regression, got none"],
    head: [
      whole.head !== "linear",
      `expected linear, the head that logistic regression learns, got ${whole.head}`
    ]
  })
  const settings = frozen!
  const config = frozenConfig(whole, settings)
  const set = yield* AnnotatedBatches.annotated(yield* (yield* Images).load(split))
  yield* AnnotatedBatches.checkLabels(set)
  const { pixelClasses: classes } = set
  yield* Effect.annotateCurrentSpan({
    "patchword.stage": stage,
    "patchword.split": split,
    "patchword.images": Math.min(settings.images, set.length)
  })
  yield* Segment.checkAgreement(stage, config, start)
  const { about } = yield* Engine
  const tensors = yield* Stage.unlessFinished(
    {
      stage,
      config: Stage.toJson(Segmenter.Described, { config, classes }),
      dataDigest: yield* Segment.digestOf(set, start),
      holdout: set.holdout,
      seed: config.seed,
      step: settings.iterations,
      model: Segmenter.NAME
    },
    Effect.gen(function*() {
      const own = Weights.flatten(yield* InitialValues.draw(Segmenter.spec(config, classes.length), config.seed))
      const loaded = yield* Segment.backboneOf(stage, config, own, start)
      const patches = yield* patchesOf(config, set, loaded, settings.images)
      const head = yield* fit(patches, config.vit.width, classes.length, settings)
      return { tensors: { ...loaded, ...head }, computedOn: ComputedOn.extend([], about, 1) }
    })
  )
  const segmenter: Segmenter.Segmenter = { config, classes, tensors }
  return segmenter
}, Effect.scoped)
