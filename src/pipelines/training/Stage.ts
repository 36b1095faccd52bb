/** What the stages that train have in common: keys, the optimizer's course, skipping what the run has finished. */
import { Effect, Option, Runtime, Schema } from "effect"
import { ConfigError } from "../../domain/config/Config.ts"
import * as Model from "../../domain/config/Model.ts"
import type { OptimizerConfig } from "../../domain/config/OptimizerConfig.ts"
import * as Json from "../../domain/values/Json.ts"
import type * as KeyedRandom from "../../domain/values/KeyedRandom.ts"
import * as Safetensors from "../../domain/weights/Safetensors.ts"
import * as Files from "../../layers/files/Files.ts"
import { dataDifferences } from "../../layers/run/Checkpoints.ts"
import { Runs } from "../../layers/run/Runs.ts"
import * as Weights from "../../layers/weights/Weights.ts"
import * as AdamW from "../../nn/optimizer/AdamW.ts"
import type { HostOf } from "../../shapes/Step.ts"
import * as Training from "./Training.ts"

/** The run holds this stage's weights, but they were trained under another configuration. Exits with 73. */
export class OtherStage extends Schema.TaggedError<OtherStage>()("OtherStage", {
  stage: Schema.String,
  differences: Schema.Array(Json.Difference)
}) {
  override readonly [Runtime.errorExitCode] = 73
  override get message() {
    return `${this.stage}: the run already holds the result of this stage under another configuration or from other data ` +
      `(${Json.showDifferences(this.differences)}); choose another run folder, where --from or --tokenizer take this ` +
      "result over, or another name for the stage"
  }
}

/** What a training stage may be told beside its configuration. */
export interface StageOptions {
  /** The name under which the run keeps the stage. */
  readonly stage?: string
  /** The split that is trained on; default `train`. */
  readonly split?: string
  /** Steps between checkpoints; default 100. */
  readonly checkpointEvery?: number
}

/** Which computation a stage is. */
export interface Identity {
  readonly stage: string
  readonly config: Json.Json
  readonly dataDigest: string
  readonly seed: number
  readonly step: number
  /** What its weights are. */
  readonly model: Model.Model
  /** Who taught it. */
  readonly teacher?: string
  readonly teacherDigest?: string
}

/** What names the random numbers of a stage: what they are for, the step or image, and the epoch where that counts. */
export const keys = (stage: string, seed: number) => (purpose: string, index: number, epoch = 0): KeyedRandom.Key => ({
  seed,
  purpose: `${stage}/${purpose}`,
  epoch,
  index
})

export type Keys = ReturnType<typeof keys>

/** A short name of exactly these arrays. */
export const digest = (weights: Weights.Tensors): string => Files.sha256(Safetensors.encode(weights))

/** The configuration of a stage as plain data. */
export const toJson = <A, I extends Json.Json>(schema: Schema.Codec<A, I>, config: A): Json.Json =>
  Schema.encodeSync(schema)(config)

// An earlier version kept digests alone: which key it is, the weights say.
const differencesOf = (
  stored: Json.Json,
  { config, dataDigest, configDigest }: Pick<Identity, "config" | "dataDigest"> & { readonly configDigest: string },
  provenance: Option.Option<Weights.Provenance>
): ReadonlyArray<Json.Difference> => {
  const known = Option.getOrUndefined(provenance)
  const model = known?.model === undefined ? undefined : Schema.encodeSync(Model.Model)(known.model)
  const found = [
    ...(model === undefined ? [] : Json.differences(model.config, config)),
    ...(known === undefined ? [] : dataDifferences(known.dataDigest, dataDigest))
  ]
  return found.length > 0 ? found : Json.differences(stored, { configDigest, dataDigest })
}

/** The weights that the run holds for a finished stage, or else those that `compute` gives, which the run then holds. */
export const unlessFinished = Effect.fnUntraced(function*<E, R>(
  about: Identity,
  compute: Effect.Effect<Pick<Weights.Provenance, "computedOn"> & { readonly tensors: Weights.Tensors }, E, R>
) {
  const { config, dataDigest, stage, ...more } = about
  const runs = yield* Runs
  const identity = { configDigest: Files.sha256(Json.canonical(config)), dataDigest }
  const finished = yield* runs.result(stage)
  const known = yield* runs.weights(stage)
  if (Option.isSome(finished) && Option.isSome(known)) {
    if (Json.canonical(finished.value) !== Json.canonical(identity)) {
      const differences = differencesOf(finished.value, { config, ...identity }, known.value.provenance)
      return yield* new OtherStage({ stage, differences })
    }
    return known.value.tensors
  }
  const { computedOn, tensors } = yield* compute
  const provenance = new Weights.Provenance({ ...identity, ...more, stage, ...(computedOn && { computedOn }) })
  yield* runs.saveWeights(stage, Weights.make(tensors, provenance))
  yield* runs.done(stage, identity)
  return tensors
})

/** Refuses a configuration that asks for what the stage does not do, rather than ignore it. */
export const requireConfig = (
  stage: string,
  problems: Readonly<Record<string, readonly [asked: boolean, message: string]>>
): Effect.Effect<void, ConfigError> => {
  const [first, ...rest] = Object.entries(problems)
    .filter(([, [asked]]) => asked)
    .map(([path, [, message]]) => ({ path, message }))
  return first === undefined ? Effect.void : Effect.fail(new ConfigError({ source: stage, problems: [first, ...rest] }))
}

/** What a stage trains, on what, and how. */
export interface Recipe<S extends AdamW.State<object>, B, M, E1, R1, E2, R2>
  extends Omit<Training.Training<S, B, M, E1, R1, E2, R2>, "steps" | "batchSize" | "batch">
{
  /** What the weights are, and who taught them. */
  readonly about: Pick<Identity, "model" | "teacher" | "teacherDigest">
  readonly optimizer: OptimizerConfig
  /** The batch of one step, with the optimizer's numbers of it. */
  readonly batch: (step: number, hyper: HostOf<AdamW.Hyper>) => Effect.Effect<HostOf<B>, E2, R2>
  /** What is kept of the last state, under official names. */
  readonly trained: (state: HostOf<S>) => object
}

/** Trains as the optimizer's configuration says, unless the run holds what comes of it; gives the arrays. */
export const train = <S extends AdamW.State<object>, B extends object, M, E1, R1, E2, R2>(
  recipe: Recipe<S, B, M, E1, R1, E2, R2>
) => {
  const { about, config, dataDigest, optimizer, seed, stage, stepsPerEpoch } = recipe
  const { total } = optimizer.steps(stepsPerEpoch)
  const rate = optimizer.learningRate(stepsPerEpoch)
  const trained = Training.train({
    ...recipe,
    steps: total,
    batchSize: optimizer.batchSize,
    batch: (step) => recipe.batch(step, AdamW.hyper(step, rate(step), optimizer))
  })
  return unlessFinished(
    { stage, config, dataDigest, seed, step: total, ...about },
    Effect.map(trained, ({ computedOn, state }) => ({ tensors: Weights.flatten(recipe.trained(state)), computedOn }))
  )
}
