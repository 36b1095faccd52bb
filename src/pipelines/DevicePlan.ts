/**
 * Plans a run on a GPU that need not be here. XLA compiles the steps for it, and tells their memory and their launches. A time is not told,
 * because nothing is measured.
 */
import { Effect, Schema } from "effect"
import type * as Graph from "../compiler/graph/Graph.ts"
import * as XlaProgram from "../compiler/programs/XlaProgram.ts"
import type { OptimizerConfig } from "../domain/config/OptimizerConfig.ts"
import type { Preset } from "../domain/config/Preset.ts"
import * as Card from "../layers/pjrt/Card.ts"
import type { Inference, TrainStep } from "../shapes/Step.ts"
import * as StageSteps from "./StageSteps.ts"
import { StageName } from "./StageSteps.ts"
import * as Memory from "./training/Memory.ts"

/** The plan of one stage on the GPU. Sizes are in bytes. */
export const DeviceStage = Schema.Struct({
  stage: StageName,
  batchSize: Schema.Int,
  /** The state, which stays on the GPU: parameters, moments, buffers. Pretraining has the tokenizer's weights besides. */
  state: Schema.Finite,
  /** Memory of a step with the state. */
  memory: Schema.Finite,
  /** Launches of one step, and how many of them are matrix products. */
  launches: Schema.Int,
  products: Schema.Int,
  /** Bytes that one step reads and writes, by the shapes of the operands and results of its launches. */
  traffic: Schema.Finite
})

/** The plan of a run on a GPU, and the problems that it finds. */
export const DevicePlan = Schema.Struct({
  /** The name of the card, and its memory. */
  device: Schema.String,
  memory: Schema.Finite,
  precision: Schema.String,
  stages: Schema.Array(DeviceStage),
  problems: Schema.Array(Schema.String)
})
export type DevicePlan = typeof DevicePlan.Type

/** The card, and facts about the data and the teacher. */
export interface DevicePlanOptions extends StageSteps.Sizes {
  readonly card: Card.Name
  /** The precision of matrix products; default `fp32`. */
  readonly precision?: Graph.Precision
  /** The stages to plan; tokenizer, pretrain and finetune when absent. */
  readonly stages?: ReadonlyArray<StageName>
}

/**
 * Plans the stages of a preset on a card. Fails with `PluginUnavailable` if the compiler is not installed, with `PjrtError` if a step does
 * not compile, and with `ConfigError` if the preset's quantizer is not known.
 */
export const devicePlan = Effect.fn("patchword.devicePlan")(function*(preset: Preset, options: DevicePlanOptions) {
  const { precision = "fp32", stages = StageSteps.COMMON } = options
  const card = Card.cards[options.card]
  // Only this plan needs koffi.
  const Topology = yield* Effect.promise(() => import("../layers/pjrt/Topology.ts"))
  const topology = yield* Topology.ofCard(card)
  const planned = Effect.fnUntraced(function*<S extends { readonly parameters: object }, B, M, W, I, O>(
    stage: StageName,
    { batchSize }: OptimizerConfig,
    stepOf: (images: number) => TrainStep<S, B, M>,
    before: (images: number) => Inference<W, I, O> | undefined
  ) {
    const [step, encoder] = [stepOf(batchSize), before(batchSize)]
    const programs = [
      ...(encoder === undefined
        ? []
        : [{ held: encoder.weights, program: XlaProgram.inference(encoder, { precision }) }]),
      { held: step.state, program: XlaProgram.trainStep(step, { precision }) }
    ]
    const asked = yield* Effect.forEach(
      programs,
      ({ held, program }) =>
        Effect.map(Topology.demand(topology, program.text), ({ memory, ...launches }) => {
          const state = 4 * Memory.elements(held as object)
          return {
            ...launches,
            state,
            beside: memory.arguments + memory.results - memory.donated + memory.temporary - state
          }
        })
    )
    const sum = (of: (one: (typeof asked)[number]) => number) => asked.reduce((all, one) => all + of(one), 0)
    const state = sum((one) => one.state)
    return DeviceStage.make({
      stage,
      batchSize,
      state,
      memory: state + Math.max(...asked.map(({ beside }) => beside)),
      launches: sum(({ launches }) => launches),
      products: sum(({ products }) => products),
      traffic: sum(({ traffic }) => traffic)
    })
  })
  const found = yield* StageSteps.visit(preset, options, stages, planned)
  return DevicePlan.make({
    device: card.name,
    memory: card.memory,
    precision,
    stages: found,
    problems: found.flatMap(({ batchSize, memory, stage }) =>
      memory <= card.memory ? [] : [
        `${stage}: a batch of ${batchSize} takes ${Memory.show(memory)}, and the card has ${
          Memory.show(card.memory)
        }; lower ${StageSteps.batchKey(stage)}, or divide the batch (accumulate)`
      ]
    )
  })
}, Effect.scoped)
