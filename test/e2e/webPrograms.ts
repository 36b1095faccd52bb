import { Effect } from "effect"
import * as KeyedRandom from "../../src/domain/values/KeyedRandom.ts"
import * as Regression from "../../src/laws/EngineSteps.ts"
import { Engine } from "../../src/layers/engine/Engine.ts"
import * as Vit from "../../src/nn/blocks/Vit.ts"
import * as MovingAverage from "../../src/nn/tokenizer/MovingAverage.ts"
import * as TokenizerStep from "../../src/nn/tokenizer/TokenizerStep.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import type { HostOf, Inference, TrainStep } from "../../src/shapes/Step.ts"
import * as Tree from "../../src/shapes/Tree.ts"
import { cases } from "../nn/steps.ts"

export type Numbers = Readonly<Record<string, ReadonlyArray<number>>>

const vit = Vit.dims({ image: 64, patch: 8, width: 48, heads: 3 })
const tokenizer = {
  ...vit,
  hidden: 96,
  depth: 3,
  decoderDepth: 1,
  qkvBias: true,
  codes: 64,
  codeWidth: 8,
  teacherWidth: 16
} as const

const noise = <T>(spec: object): HostOf<T> =>
  Tree.map<HostOf<T>>(spec, (leaf, path) => {
    const { normal } = KeyedRandom.generator({ seed: 0, purpose: path, epoch: 0, index: 0 })
    return { ...leaf, data: Float32Array.from({ length: HostTensor.size(leaf.shape) }, () => 0.2 * normal()) }
  })

const numbers = (tree: object): Numbers =>
  Object.fromEntries(Tree.leaves<HostTensor.Any>(tree).map(([path, { data }]) => [path, [...data]]))

const inferred = <W, B, O>(inference: Inference<W, B, O>) =>
  Effect.gen(function*() {
    const handle = yield* (yield* Engine).infer(inference, noise<W>(inference.weights as object))
    return numbers((yield* handle.run(noise<B>(inference.batch as object))) as object)
  }).pipe(Effect.scoped)

const trained = <S, B, M>(
  step: TrainStep<S, B, M>,
  initial: HostOf<S>,
  batches: ReadonlyArray<HostOf<B>>
) =>
  Effect.gen(function*() {
    const handle = yield* (yield* Engine).train(step, initial)
    const metrics = yield* Effect.forEach(batches, (batch) => handle.run(batch))
    return numbers({ metrics, state: (yield* handle.snapshot).state })
  }).pipe(Effect.scoped)

const STEPS = [0, 1, 2, 3, 4]

export const programs = {
  codes: inferred(
    TokenizerStep.encode(tokenizer, 2, MovingAverage.make({ ...tokenizer, decay: 0.9, kmeans: true, revival: null }))
  ),
  regression: trained(Regression.regression, Regression.initial(), STEPS.map(Regression.batch)),
  accumulated: trained(Regression.regressionOf(2), Regression.initial(2), STEPS.map(Regression.batchOf(2))),
  pretrain: trained(cases.pretrain.step, cases.pretrain.state(0), [cases.pretrain.batch(1)]),
  tokenizer: trained(cases.tokenizer.step, cases.tokenizer.state(0), [cases.tokenizer.batch(1)])
} as const

export type Found = Readonly<Record<keyof typeof programs, Numbers>>

export const all: Effect.Effect<Found, unknown, Engine> = Effect.all(programs)
