/**
 * Plans a run before it starts: parameters, multiplications, memory, time and disk space of each stage. A few steps at small
 * batch sizes measure speed and memory. The plan extrapolates from them. The teacher's time and memory are not included. A
 * teacher with cached features needs none.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Effect } from "effect"
 * import { Presets } from "patchword/domain"
 * import { Engine } from "patchword/layers"
 * import { plan } from "patchword/pipelines"
 *
 * const program = plan(Presets.tiny, { images: 4000, classes: 8, teacherWidth: 48, stages: ["pretrain"] })
 * const { stages } = await Effect.runPromise(Effect.provide(program, Engine.layerOnnx()))
 * assert.strictEqual(stages[0]?.stepsPerEpoch, Math.floor(4000 / Presets.tiny.pretrain.optimizer.batchSize))
 * ```
 */
import { Clock, Effect, Schema } from "effect"
import * as os from "node:os"
import * as Graph from "../compiler/graph/Graph.ts"
import * as Trace from "../compiler/trace/Trace.ts"
import type { OptimizerConfig } from "../domain/config/OptimizerConfig.ts"
import type { Preset } from "../domain/config/Preset.ts"
import * as Engine from "../layers/engine/Engine.ts"
import * as FeatureCache from "../layers/teacher/FeatureCache.ts"
import * as VitInference from "../nn/blocks/VitInference.ts"
import * as PretrainStep from "../nn/pretrain/PretrainStep.ts"
import * as Dim from "../shapes/Dim.ts"
import * as HostTensor from "../shapes/HostTensor.ts"
import type { HostOf, Inference, TrainStep } from "../shapes/Step.ts"
import * as Tree from "../shapes/Tree.ts"
import * as StageSteps from "./StageSteps.ts"
import { StageName } from "./StageSteps.ts"
import * as Backbone from "./trained/Backbone.ts"
import * as Memory from "./training/Memory.ts"

export { StageName }

/** The stages of a plan: those that train, and the probe. */
export const PlanStage = Schema.Literals([...StageName.literals, "probe"])
export type PlanStage = typeof PlanStage.Type

/**
 * The plan of one stage. Sizes are in bytes, times in seconds. The probe computes the features of each image once. The time of its solver is
 * not included.
 */
export const StagePlan = Schema.Struct({
  stage: PlanStage,
  parameters: Schema.Int,
  /**
   * Multiplications and additions for one image: forward, backward and update. Those of pretraining include the tokenizer's.
   */
  flopsPerImage: Schema.Finite,
  batchSize: Schema.Int,
  stepsPerEpoch: Schema.Int,
  steps: Schema.Int,
  /** Images per second. Null, like the times, if the weights, their update and a few images do not fit into memory. */
  imagesPerSecond: Schema.NullOr(Schema.Finite),
  /** Seconds per epoch. Null, like the time of the stage, also if the images do not fill one update. */
  secondsPerEpoch: Schema.NullOr(Schema.Finite),
  seconds: Schema.NullOr(Schema.Finite),
  /** Memory of the whole process, approximately. Without a measurement, that of the weights, their update and a few images. */
  memory: Schema.Finite,
  /**
   * Disk space of the two checkpoints that are kept and of the final weights. Those of fine-tuning are also those of the moving
   * average, if there is one (`ema`), and of the best network, which a run with a validation split keeps.
   */
  disk: Schema.Finite
})

/** The plan of a run, and the problems that it finds. */
export const Plan = Schema.Struct({
  engine: Schema.String,
  machine: Schema.Struct({ memory: Schema.Finite, cores: Schema.Int }),
  stages: Schema.Array(StagePlan),
  /** Bytes of the teacher's features for all images of the tokenizer's training, in float16. */
  featureCache: Schema.Finite,
  /** The requirements that this machine does not meet, one sentence each. */
  problems: Schema.Array(Schema.String)
})
export type Plan = typeof Plan.Type

/** The facts about the data and the teacher. */
export interface PlanOptions {
  /** Number of images of the training split. */
  readonly images: number
  readonly classes: number
  /** Number of the classes of pixels; default 1. The stage `segment` needs it. */
  readonly pixelClasses?: number
  readonly teacherWidth: number
  /** Free bytes on the disk of the run. */
  readonly free?: number
  /** The stages to plan; tokenizer, pretrain and finetune when absent. */
  readonly stages?: ReadonlyArray<PlanStage>
}

const STEPS = 3

/** Operations of a step of the trial, approximately: enough to measure speed, and seconds on a small machine. */
const TRIAL_FLOPS = 5e11

// Any values take the same time; those of zeros have no direction.
const constant = <T>(spec: object): HostOf<T> =>
  Tree.map<HostOf<T>>(spec, ({ dtype, shape }) => {
    const filled = HostTensor.zeros([...shape], dtype as HostTensor.DType)
    if (filled.data instanceof Float32Array) filled.data.fill(0.01)
    return filled
  })

/** Runs something some times, and measures the seconds of one time, and the resident bytes of the process afterwards. */
const measured = Effect.fnUntraced(function*<A, E, R>(run: Effect.Effect<A, E, R>) {
  yield* run
  const began = yield* Clock.currentTimeNanos
  yield* Effect.repeat(run, { times: STEPS - 1 })
  const seconds = Number((yield* Clock.currentTimeNanos) - began) / 1e9 / STEPS
  return { seconds, resident: process.memoryUsage.rss() }
})

/** Measures the seconds of a step with the computation of its batch, and the resident bytes of the process after it. */
const tried = Effect.fnUntraced(function*<S, B, M, W, I, O>(step: TrainStep<S, B, M>, before?: Inference<W, I, O>) {
  const engine = yield* Engine.Engine
  const handle = yield* engine.train(step, constant<S>(step.state as object))
  const encoder = before && (yield* engine.infer(before, constant<W>(before.weights as object)))
  const encode = encoder === undefined ? Effect.void : encoder.run(constant<I>(before?.batch as object))
  return yield* measured(Effect.andThen(encode, handle.run(constant<B>(step.batch as object))))
}, Effect.scoped)

/** The images of a batch of features. */
const FEATURES = 128

/** Plans the features of a probe: those of the pretrained network of all images, which are kept in memory. */
const probed = Effect.fnUntraced(function*(preset: Preset, images: number) {
  const engine = yield* Engine.Engine
  const { codebook: { size: codes } } = preset.tokenizer
  const inferenceOf = (batch: number) =>
    VitInference.features(
      PretrainStep.model(Backbone.sizes(preset.pretrain, codes)),
      Dim.named("batch", batch),
      preset.probe
    )
  const one = inferenceOf(1)
  const flopsPerImage = Graph.flops(Trace.inference(one).graph)
  const parameters = Memory.elements(one.weights as object)
  const some = Math.min(FEATURES, Math.max(2, Math.round(TRIAL_FLOPS / flopsPerImage)))
  const trial = inferenceOf(some)
  const { resident, seconds } = yield* Effect.scoped(Effect.gen(function*() {
    const { run } = yield* engine.infer(trial, constant(trial.weights as object))
    return yield* measured(run(constant(trial.batch as object)))
  }))
  const imagesPerSecond = some / seconds
  const steps = Math.ceil(images / FEATURES)
  const time = images / imagesPerSecond
  return StagePlan.make({
    stage: "probe",
    parameters,
    flopsPerImage,
    batchSize: FEATURES,
    stepsPerEpoch: steps,
    steps,
    imagesPerSecond,
    secondsPerEpoch: time,
    seconds: time,
    memory: resident + 4 * images * preset.pretrain.vit.width,
    disk: 0
  })
})

/**
 * Plans the stages of a preset on the engine of the environment.
 *
 * Fails as the engine does. It fails with `OutOfMemory` if not even two images at a time fit.
 */
export const plan = Effect.fn("patchword.plan")(function*(preset: Preset, options: PlanOptions) {
  const { classes, free = Infinity, images, pixelClasses = 1, stages = StageSteps.COMMON, teacherWidth } = options
  const engine = yield* Engine.Engine

  const planned = Effect.fnUntraced(function*<S extends { readonly parameters: object }, B, M, W, I, O>(
    stage: StageName,
    optimizer: OptimizerConfig,
    stepOf: (images: number) => TrainStep<S, B, M>,
    before: (images: number) => Inference<W, I, O> | undefined
  ) {
    const { batchSize } = optimizer
    const kept = stage !== "finetune" ? 1 : typeof preset.finetune.ema === "number" ? 3 : 2
    const one = before(1)
    // A batch norm of one value for each channel has no variance.
    const least = Math.min(batchSize, stage === "segment" ? 2 : 1)
    const step = stepOf(least)
    const flopsPerImage = Graph.flops(Trace.trainStep(step, { external: true }).graph) / least +
      (one === undefined ? 0 : Graph.flops(Trace.inference(one).graph))
    const stepsPerEpoch = optimizer.stepsPerEpoch(images)
    const { total } = optimizer.steps(stepsPerEpoch)
    const parameters = Memory.elements((step.state as { readonly parameters: object }).parameters)
    const state = 4 * Memory.elements(step.state as object)
    const gradients = 4 * parameters
    const weights = one === undefined ? 0 : 4 * Memory.elements(one.weights as object)
    const some = Math.min(batchSize, Math.max(2, Math.round(TRIAL_FLOPS / flopsPerImage)))
    const [largest, encoded] = [stepOf(some), before(some)]
    const batch = 4 * (Memory.elements(largest.batch as object) +
      (encoded === undefined ? 0 : Memory.elements(encoded.batch as object)))
    const planned = {
      stage,
      parameters,
      flopsPerImage,
      batchSize,
      stepsPerEpoch,
      steps: total,
      disk: 2 * state + 4 * kept * parameters
    }
    // A trial holds what the engine is given twice: here, and there.
    if (2 * (state + weights + batch) + gradients > process.availableMemory()) {
      const memory = state + gradients + weights + batch
      return StagePlan.make({ ...planned, imagesPerSecond: null, secondsPerEpoch: null, seconds: null, memory })
    }
    const few = Math.max(least, Math.ceil(some / 2))
    const first = yield* tried(stepOf(few), before(few))
    const second = some === few ? first : yield* tried(largest, encoded)
    const perImage = some === few ? 0 : Math.max(0, second.resident - first.resident) / (some - few)
    const imagesPerSecond = some / second.seconds
    return StagePlan.make({
      ...planned,
      imagesPerSecond,
      secondsPerEpoch: stepsPerEpoch === 0 ? null : stepsPerEpoch * batchSize / imagesPerSecond,
      seconds: stepsPerEpoch === 0 ? null : total * batchSize / imagesPerSecond,
      memory: second.resident + perImage * (batchSize - some)
    })
  })

  const trained = yield* StageSteps.visit(
    preset,
    { classes, pixelClasses, teacherWidth },
    stages.filter((stage) => stage !== "probe"),
    planned
  )
  const found = stages.includes("probe") ? [...trained, yield* probed(preset, images)] : trained
  const memory = Memory.total()
  const disk = found.reduce((sum, one) => sum + one.disk, 0)
  const { encoder, optimizer } = preset.tokenizer
  const tokenizerSteps = optimizer.steps(optimizer.stepsPerEpoch(images)).total
  const featureCache = FeatureCache.bytes({
    // Only a tokenizer has a teacher.
    images: stages.includes("tokenizer") ? tokenizerSteps * optimizer.batchSize : 0,
    tokens: encoder.patches,
    width: teacherWidth,
    dtype: "float16"
  })
  return Plan.make({
    engine: engine.name,
    machine: { memory, cores: os.availableParallelism() },
    stages: found,
    featureCache,
    problems: [
      ...(disk <= free ? [] : [
        `checkpoints and weights take ${Memory.show(disk)}, and ${
          Memory.show(free)
        } are free; free some, or choose another disk`
      ]),
      ...(disk > free || disk + featureCache <= free ? [] : [
        `a cache of features takes ${Memory.show(featureCache)} beside checkpoints and weights, and ${
          Memory.show(free)
        } are free; train with the teacher itself, or keep the cache on another disk`
      ]),
      ...(yield* Effect.forEach(
        found,
        Effect.fnUntraced(function*(one) {
          const { stage } = one
          if (stage === "probe") {
            return one.memory <= memory ? [] : [
              `probe: the features of ${images} images take ${
                Memory.show(one.memory)
              } with the network, and there are ${Memory.show(memory)}; probe with fewer images`
            ]
          }
          const { accumulate = 1 } = yield* StageSteps.optimizerOf(preset, stage)
          const batchKey = StageSteps.batchKey(stage)
          return [
            ...(one.imagesPerSecond !== null ? [] : [
              `${one.stage}: the weights, their update and the images of a trial alone take ${
                Memory.show(one.memory)
              }, twice while they are handed over, ` +
              `and ${
                Memory.show(process.availableMemory())
              } are free; plan it on a machine with more memory, or choose a ` +
              "smaller network"
            ]),
            ...(one.memory <= memory || one.imagesPerSecond === null ? [] : [
              `${one.stage}: a batch of ${one.batchSize} takes about ${Memory.show(one.memory)}, and there are ${
                Memory.show(memory)
              }; lower ${batchKey}, or have blocks computed again (--memory low)`
            ]),
            ...(one.stepsPerEpoch > 0 ? [] : [
              `${one.stage}: too few images: one update takes ${
                one.batchSize * accumulate
              }, and there are ${images}. Nothing would be trained; add images, or lower ${batchKey} or ` +
              "accumulate"
            ])
          ]
        })
      )).flat()
    ]
  })
})
