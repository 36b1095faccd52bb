/**
 * Replay of a step that failed: the run keeps its batch and the state before it.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Effect, Layer } from "effect"
 * import { Engine, Files } from "patchword/layers"
 * import { Replay } from "patchword/pipelines"
 *
 * const opened = Replay.find("runs/none").pipe(Effect.provide(Files.layerNode))
 * const error = await Effect.runPromise(Effect.flip(opened))
 * assert.strictEqual(error.message, "runs/none keeps no batch of a failed step; name the folder of a run in which a step failed")
 * ```
 */
import { Effect, FileSystem, Option, Path, Result, Runtime, Schema } from "effect"
import type * as Model from "../domain/config/Model.ts"
import * as NonFiniteValue from "../domain/values/NonFiniteValue.ts"
import { TaggedError } from "../domain/values/TaggedError.ts"
import { Engine, type Reason } from "../layers/engine/Engine.ts"
import * as Files from "../layers/files/Files.ts"
import * as Checkpoints from "../layers/run/Checkpoints.ts"
import * as FailedBatch from "../layers/run/FailedBatch.ts"
import * as Weights from "../layers/weights/Weights.ts"
import * as AdamW from "../nn/optimizer/AdamW.ts"
import type { HostOf, TrainStep } from "../shapes/Step.ts"
import * as Tree from "../shapes/Tree.ts"
import * as Finetune from "./Finetune.ts"
import * as Pretrain from "./Pretrain.ts"
import * as Segment from "./Segment.ts"
import * as TrainDecoder from "./TrainDecoder.ts"
import * as Decoder from "./trained/Decoder.ts"
import * as Segmenter from "./trained/Segmenter.ts"
import * as Tokenizer from "./trained/Tokenizer.ts"
import * as TrainTokenizer from "./TrainTokenizer.ts"

/** The run keeps no batch of a failed step, or none of this stage. */
export class NothingToReplay extends TaggedError<NothingToReplay>()("NothingToReplay", {
  run: Schema.String,
  stage: Schema.optionalKey(Schema.String),
  /** The stages with a failed step. */
  stages: Schema.Array(Schema.String)
}) {
  override readonly [Runtime.errorExitCode] = 66
  get finding() {
    const { run, stage } = this
    return `${run} keeps no batch of a failed step${stage === undefined ? "" : ` of ${stage}`}`
  }
  get remedy() {
    return this.stages.length === 0
      ? "name the folder of a run in which a step failed"
      : `choose from the stages ${this.stages.join(", ")}`
  }
}

/** The step of a stage cannot be made from the file of its batch alone. */
export class StepUnknown extends TaggedError<StepUnknown>()("StepUnknown", {
  stage: Schema.String,
  /** The file of the batch. */
  file: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    return `no step function is known for the stage ${this.stage}, whose batch is ${this.file}`
  }
  get remedy() {
    return "give the step function in code: Replay.take takes one. Stages of your own, tokenizers with a quantizer given in code, " +
      "and batches of earlier versions need it"
  }
}

/** A failed step that a run keeps. */
export interface Failed {
  readonly run: string
  readonly stage: string
  /** The number of the step, from 1. */
  readonly step: number
  /** The file of its batch. */
  readonly file: string
  readonly batch: Weights.Weights
  /** The last failed step of each other stage, the newest first. */
  readonly others: ReadonlyArray<Pick<Failed, "stage" | "step">>
}

/** What a replayed step ended in. */
export interface Replayed {
  readonly stage: string
  readonly step: number
  /** The engine of the replay, and that of the run if it is known. */
  readonly engine: string
  /** Why the step fails again. Absent if it does not. */
  readonly reason?: Reason
  /** The first array of the batch or of the state that held a number that is not finite before the step. Absent if none did. */
  readonly before?: { readonly array: string; readonly index: number; readonly value: string }
}

/**
 * Finds the last failed step of a run, or of one of its stages, by the times of the files of the batches. Fails with
 * `NothingToReplay`, and if the batch cannot be read.
 */
export const find = Effect.fn("patchword.Replay.find")(function*(run: string, stage?: string) {
  const [fs, path] = [yield* FileSystem.FileSystem, yield* Path.Path]
  const folder = path.join(run, "stages", FailedBatch.FOLDER)
  const names = yield* Effect.orElseSucceed(fs.readDirectory(folder), (): ReadonlyArray<string> => [])
  const all = yield* Effect.forEach(
    names.flatMap((name) => {
      const one = FailedBatch.of(name)
      return one === undefined ? [] : [{ ...one, file: path.join(folder, name) }]
    }),
    (one) =>
      Effect.map(Files.onFailure(one.file)(fs.stat(one.file)), ({ mtime }) => ({
        ...one,
        time: Option.match(mtime, { onNone: () => 0, onSome: (date) => date.getTime() })
      }))
  )
  const newest = all.toSorted((a, b) => b.time - a.time || b.step - a.step)
    .filter((one, at, sorted) => sorted.findIndex((other) => other.stage === one.stage) === at)
    .map(({ file, stage, step }) => ({ file, stage, step }))
  const last = newest.find((one) => stage === undefined || one.stage === stage)
  if (last === undefined) {
    return yield* new NothingToReplay({
      run,
      ...(stage !== undefined && { stage }),
      stages: newest.map((one) => one.stage)
    })
  }
  const failed: Failed = {
    run,
    ...last,
    batch: yield* Weights.read(last.file, { anyNumber: true }),
    others: newest.filter((one) => one !== last).map(({ stage, step }) => ({ stage, step }))
  }
  return failed
})

const decoderOf = Schema.decodeUnknownOption(Decoder.Described)
const segmenterOf = Schema.decodeUnknownOption(Segmenter.Described)

const stepOfModel = (model: Model.Model, images: number): Option.Option<object> => {
  switch (model._tag) {
    case "Tokenizer":
      return Option.map(
        Result.getSuccess(Tokenizer.quantizer(model)),
        (quantizer) => TrainTokenizer.stepOf(model.config, model.teacherWidth, quantizer, images)
      )
    case "Backbone":
      return Option.some(Pretrain.stepOf(model.config, model.codes, images))
    case "Classifier":
      return Option.some(Finetune.stepOf(model.config, model.classes.length, images))
  }
}

const stepOf = (
  { custom, model, teacherModel }: Weights.Provenance,
  images: number
): Option.Option<object> => {
  if (model !== undefined) return stepOfModel(model, images)
  if (custom?.name === Segmenter.NAME) {
    return Option.map(
      segmenterOf(custom.config),
      ({ classes, config }) => Segment.stepOf(config, classes.length, images)
    )
  }
  return custom?.name === Decoder.NAME && teacherModel?._tag === "Tokenizer"
    ? Option.map(decoderOf(custom.config), (described) => TrainDecoder.stepOf(described, teacherModel, images))
    : Option.none()
}

const valuesOf = <T>(spec: object, tensors: Weights.Tensors, source: string) =>
  Effect.map(
    Effect.fromResult(Weights.conform(spec, Weights.make(tensors), source)),
    () => Tree.map<HostOf<T>>(spec, (_, path) => tensors[path])
  )

const firstOf = (tensors: Weights.Tensors) => {
  for (const [array, { data }] of Object.entries(tensors)) {
    const found = data instanceof Float32Array ? NonFiniteValue.first(data) : undefined
    if (found !== undefined) return { array, index: found.index, value: String(found.value) }
  }
  return undefined
}

/**
 * Takes a failed step again, on the present engine, from the state before it. Fails if the run keeps no such state, and if the state or
 * the batch is not of this step.
 */
export const take = Effect.fn("patchword.Replay.take")(
  function*<S extends AdamW.State<object>, B, M>(step: TrainStep<S, B, M>, failed: Failed) {
    const { batch, run, stage } = failed
    const path = yield* Path.Path
    const engine = yield* Engine
    const checkpoints = yield* Checkpoints.reading(path.join(run, "checkpoints"))
    const state = AdamW.join(yield* checkpoints.read(stage, failed.step - 1))
    const before = firstOf(batch.tensors) ?? firstOf(state)
    const handle = yield* engine.train(
      step,
      yield* valuesOf<S>(step.state, state, `${stage} checkpoint`),
      failed.step - 1
    )
    const given = yield* valuesOf<B>(step.batch as object, batch.tensors, failed.file)
    const reason = yield* Effect.match(handle.run(given, failed.step), {
      onSuccess: () => undefined,
      onFailure: (error) => error.reason
    })
    const replayed: Replayed = {
      stage,
      step: failed.step,
      engine: engine.name,
      ...(reason && { reason }),
      ...(before && { before })
    }
    return replayed
  },
  Effect.scoped
)

/**
 * Takes a failed step of one of the stages of this package again, as {@link take} does: tokenizer, pretraining, fine-tuning,
 * segmentation, decoder. Fails with `StepUnknown` for another stage.
 */
export const replay = Effect.fn("patchword.replay")(function*(failed: Failed) {
  const { batch: { provenance, tensors }, file, stage } = failed
  const images = tensors["images"]?.shape[0]
  const step = images === undefined
    ? Option.none()
    : Option.flatMap(provenance, (known) => stepOf(known, images))
  if (Option.isNone(step)) return yield* new StepUnknown({ stage, file })
  return yield* take(step.value as TrainStep<AdamW.State<object>, object, object>, failed)
})
