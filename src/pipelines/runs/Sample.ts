/**
 * A look at the present batch of a run: some of its images as the network got them, their masks, the codes behind the masks, and what
 * the network predicts there.
 *
 * The training keeps the images, after the first step of each process and at each checkpoint. They are copied from the batch, so they
 * cost next to nothing. The predictions are computed by whoever looks ({@link predict}), with the newest weights that are
 * kept. So a training never waits for a look.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Effect } from "effect"
 * import { Files } from "patchword/layers"
 * import { Sample } from "patchword/pipelines"
 *
 * assert.deepStrictEqual(await Effect.runPromise(Effect.provide(Sample.read("runs/none"), Files.layerNode)), [[], []])
 * ```
 */
import { Effect, type FileSystem, Option, type Path, Runtime, Schema } from "effect"
import * as Config from "../../domain/config/Config.ts"
import { PretrainConfig } from "../../domain/config/PretrainConfig.ts"
import type { Picture } from "../../domain/pixels/Picture.ts"
import type { Grid } from "../../domain/values/Grid.ts"
import * as Json from "../../domain/values/Json.ts"
import { TaggedError } from "../../domain/values/TaggedError.ts"
import * as Files from "../../layers/files/Files.ts"
import * as Checkpoints from "../../layers/run/Checkpoints.ts"
import { SAMPLES } from "../../layers/run/Runs.ts"
import * as Weights from "../../layers/weights/Weights.ts"
import * as PretrainStep from "../../nn/pretrain/PretrainStep.ts"
import * as Dim from "../../shapes/Dim.ts"
import * as HostTensor from "../../shapes/HostTensor.ts"
import * as Backbone from "../trained/Backbone.ts"
import * as Inference from "../trained/Inference.ts"

/** The masks of a sample. All arrays have a row for each image, row-major on `grid`. */
export interface Masks {
  readonly grid: Grid
  /** Not 0 for masked patches. */
  readonly masks: ReadonlyArray<Uint8Array>
  /** The tokenizer's codes of the masked patches; -1 for the others. */
  readonly codes: ReadonlyArray<Int32Array>
}

/** The predicted codes of the masked patches of a sample; -1 for the others. */
export interface Predicted {
  /** The number of steps after which the weights that predict were saved. */
  readonly step: number
  readonly codes: ReadonlyArray<Int32Array>
}

/** Images of a batch of a stage. */
export interface Sample {
  readonly stage: string
  /** The step, counted from 1, whose batch it is. */
  readonly step: number
  /** The images as the network got them: cropped, flipped, with other colours. */
  readonly pictures: ReadonlyArray<Picture>
  readonly masks?: Masks
  /** The predictions that were kept for this batch. */
  readonly predicted?: Predicted
}

/** There is nothing to predict, or nothing to predict it with. */
export class NothingToPredict extends TaggedError<NothingToPredict>()("NothingToPredict", {
  run: Schema.String,
  lacks: Schema.Literals(["sample", "weights"])
}) {
  override readonly [Runtime.errorExitCode] = 66
  get finding() {
    return this.lacks === "sample"
      ? `${this.run}: the run has kept no masked images`
      : `${this.run}: its pretraining has no weights yet`
  }
  get remedy() {
    return this.lacks === "sample" ? "pretrain in this run first" : "wait for its first checkpoint"
  }
}

const PREDICTED = "predicted"

type Io = FileSystem.FileSystem | Path.Path

const isType = <D extends HostTensor.DType>(
  tensor: HostTensor.Any | undefined,
  dtype: D
): tensor is HostTensor.HostTensor<HostTensor.Any["shape"], D> => tensor !== undefined && tensor.dtype === dtype

/** Splits an array into the parts of its rows. */
const rows = <A extends { readonly slice: (begin: number, end: number) => A; readonly length: number }>(
  data: A,
  count: number
): ReadonlyArray<A> => {
  const length = count === 0 ? 0 : data.length / count
  return Array.from({ length: count }, (_, i) => data.slice(i * length, (i + 1) * length))
}

const pictures = (tensors: Weights.Tensors): ReadonlyArray<Picture> => {
  const { images, mean, std } = tensors
  if (!isType(images, "float32") || images.shape.length !== 4 || images.shape[1] !== 3) return []
  const [count = 0, , height = 0, width = 0] = images.shape
  const pixels = height * width
  return rows(images.data, count).map((values) => ({
    width,
    height,
    data: Uint8Array.from({ length: 3 * pixels }, (_, i) => {
      const channel = i % 3
      const value = values[channel * pixels + Math.floor(i / 3)]! * (std?.data[channel] ?? 1) + (mean?.data[channel] ?? 0)
      return Math.round(255 * Math.min(1, Math.max(0, value)))
    })
  }))
}

const masksOf = ({ codes, mask }: Weights.Tensors): Masks | undefined => {
  if (!isType(mask, "bool") || !isType(codes, "int32") || mask.shape.length !== 3) return undefined
  const [count = 0, height = 0, width = 0] = mask.shape
  return { grid: { height, width }, masks: rows(mask.data, count), codes: rows(codes.data, count) }
}

const predictedOf = (tensors: Weights.Tensors, step: number, of: number): Predicted | undefined => {
  const { batch, codes } = tensors
  if (!isType(codes, "int32") || batch?.data[0] !== of) return undefined
  return { step, codes: rows(codes.data, codes.shape[0] ?? 0) }
}

const ENDING = ".safetensors"

/** Reads a file of arrays; none if it is not there. Those of a sample may hold any number. */
const load = (file: string, anyNumber = true) =>
  Weights.read(file, { anyNumber }).pipe(
    Effect.map(Option.some),
    Effect.catchIf(
      ({ reason }) => reason._tag === "FileError" && reason.kind === "missing",
      () => Effect.succeedNone
    )
  )

/** Reads the newest weights of a pretraining, under the names of its inferences: the final ones, or those of the newest checkpoint. */
const newest = Effect.fnUntraced(function*(run: string, stage: string) {
  const { path } = yield* Files.make
  const final = yield* load(path.join(run, "stages", `${stage}${ENDING}`), false)
  const provenance = Option.getOrUndefined(Option.flatMap(final, (one) => one.provenance))
  if (Option.isSome(final) && provenance?.model?._tag === "Backbone") {
    const { configDigest, dataDigest, model: { codes, config }, step } = provenance
    return { codes, config, configDigest, dataDigest, step, weights: Backbone.weights(final.value) }
  }
  const checkpoints = yield* Checkpoints.reading(path.join(run, "checkpoints"))
  const step = (yield* checkpoints.steps(stage)).at(-1)
  if (step === undefined) return yield* new NothingToPredict({ run, lacks: "weights" })
  const { config: kept, configDigest, dataDigest, weights } = yield* checkpoints.read(stage, step)
  const { continuedFrom: _, ...settings } = Json.isObject(kept) ? kept : {}
  const config = yield* Config.decode(PretrainConfig, `${run}, ${stage}`)(settings)
  const [codes = 0] = weights["parameters.lm_head.weight"]?.shape ?? []
  return { codes, config, configDigest, dataDigest, step, weights }
})

/** Returns the number of the step that a file is of. */
const stepOf = ({ provenance }: Weights.Weights): number =>
  Option.match(provenance, { onNone: () => 0, onSome: ({ step }) => step })

/**
 * Reads the samples of a run, one of each stage that keeps one, in the order of their names. Returns them, and an error for each
 * that is damaged. Fails with `FileError` if the folder cannot be read.
 */
export const read = Effect.fn("patchword.Sample.read")(
  function*(run: string): Effect.fn.Return<
    readonly [whole: ReadonlyArray<Sample>, damaged: ReadonlyArray<Weights.WeightsError>],
    Files.FileError,
    Io
  > {
    const { fs, path } = yield* Files.make
    const folder = path.join(run, SAMPLES)
    const names = yield* Files.ifThere(Files.onFailure(folder)(fs.readDirectory(folder)))
    const stages = Option.getOrElse(names, () => [])
      .filter((name) => name.endsWith(ENDING) && !name.startsWith(".")).map((name) => name.slice(0, -ENDING.length))
    const [found, damaged] = yield* Effect.partition(stages.toSorted(), (stage) =>
      Effect.gen(function*() {
        const kept = yield* load(path.join(folder, `${stage}${ENDING}`))
        if (Option.isNone(kept)) return []
        const step = stepOf(kept.value)
        const masks = masksOf(kept.value.tensors)
        const guess = yield* load(path.join(folder, PREDICTED, `${stage}${ENDING}`))
        const predicted = Option.isNone(guess)
          ? undefined
          : predictedOf(guess.value.tensors, stepOf(guess.value), step)
        const sample: Sample = {
          stage,
          step,
          pictures: pictures(kept.value.tensors),
          ...(masks === undefined ? {} : { masks }),
          ...(predicted === undefined ? {} : { predicted })
        }
        return [sample]
      }))
    return [found.flat(), damaged] as const
  }
)

/**
 * Predicts the codes behind the masks of a stage's sample with the stage's newest weights: the final ones of a finished stage, else those
 * of its newest checkpoint. Keeps the predictions beside the sample, where {@link read} finds them. The run may be training.
 *
 * Fails with {@link NothingToPredict} if there are no masked images or no weights yet, with `WeightsError` or `CheckpointsError` if the
 * weights are damaged, and as the engine fails.
 */
export const predict = Effect.fn("patchword.Sample.predict")(function*(run: string, stage: string = "pretrain") {
  const files = yield* Files.make
  const { path } = files
  const kept = yield* load(path.join(run, SAMPLES, `${stage}${ENDING}`))
  const { images, mask, codes: truth } = Option.isNone(kept) ? {} as Weights.Tensors : kept.value.tensors
  if (Option.isNone(kept) || !isType(images, "float32") || !isType(mask, "bool") || !isType(truth, "int32")) {
    return yield* new NothingToPredict({ run, lacks: "sample" })
  }
  const { codes, config, configDigest, dataDigest, step, weights } = yield* newest(run, stage)
  const asked = Int32Array.from(mask.data.keys()).filter((place) => mask.data[place] === 1)
  const inference = PretrainStep.predict(Backbone.sizes(config, codes), {
    size: Dim.named("batch", images.shape[0] ?? 0),
    masked: Dim.named("masked", asked.length)
  })
  const handle = yield* Inference.open(inference, weights)
  const { images: imageSpec, labels: rowSpec, mask: maskSpec } = inference.batch
  const { predicted } = yield* handle.run({
    images: HostTensor.make(imageSpec.shape, "float32", images.data),
    mask: HostTensor.make(maskSpec.shape, "bool", mask.data),
    rows: HostTensor.make(rowSpec.shape, "int32", asked),
    labels: HostTensor.make(rowSpec.shape, "int32", asked.map((place) => truth.data[place]!))
  })
  const all = new Int32Array(truth.data.length).fill(-1)
  asked.forEach((place, i) => (all[place] = predicted.data[i]!))
  const of = HostTensor.make([1], "int32", Int32Array.of(stepOf(kept.value)))
  const seed = config.seed
  yield* Weights.writeBatch(
    path.join(run, SAMPLES, PREDICTED, `${stage}${ENDING}`),
    Weights.make(
      { codes: HostTensor.make(truth.shape, "int32", all), batch: of },
      new Weights.Provenance({ stage, configDigest, dataDigest, step, seed })
    )
  )
  const found: Predicted = { step, codes: rows(all, truth.shape[0] ?? 0) }
  return found
}, Effect.scoped)

/** The predictions of an image: masked patches, and those of them that are predicted right. */
export interface Share {
  readonly stage: string
  /** The step whose batch it is, and the step after which the weights predicted. */
  readonly step: number
  readonly weights: number
  /** The number of the image, from 1. */
  readonly image: number
  readonly masked: number
  readonly right: number
}

/** Counts the right predictions of each image of a sample. There are none without predictions. */
export const shares = (sample: Sample): ReadonlyArray<Share> => {
  const { masks, predicted, stage, step } = sample
  return masks === undefined || predicted === undefined ? [] : masks.masks.map((mask, i): Share => {
    const asked = Array.from(mask.keys()).filter((place) => mask[place] === 1)
    const right = asked.filter((place) => masks.codes[i]![place] === predicted.codes[i]![place]).length
    return { stage, step, weights: predicted.step, image: i + 1, masked: asked.length, right }
  })
}
