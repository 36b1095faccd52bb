/**
 * Many linear classifiers on frozen features, trained in one pass (`dinov2/eval/linear.py`). They differ in their features and
 * learning rates, and do not influence each other: the loss is the sum of their losses.
 *
 * ```ts
 * import assert from "node:assert"
 * import { ProbeSweep } from "patchword/nn"
 *
 * const heads = ProbeSweep.heads({ blocks: [1, 4], pooling: ["cls", "cls+mean"], rates: [0.001, 0.1] })
 * assert.deepStrictEqual(heads.map(({ name }) => name).slice(0, 3), [
 *   "1_blocks_cls_lr_0_001",
 *   "1_blocks_cls_lr_0_1",
 *   "1_blocks_cls_mean_lr_0_001"
 * ])
 * assert.deepStrictEqual(heads.at(-1)?.features, { blocks: 4, pooling: "cls+mean" })
 * assert.strictEqual(ProbeSweep.width({ blocks: 4, pooling: "cls+mean" }, 768), 5 * 768)
 * ```
 */
import { reshape } from "../../shapes/Arrange.ts"
import { argMax } from "../../shapes/Codes.ts"
import { pmean } from "../../shapes/Collective.ts"
import * as Dim from "../../shapes/Dim.ts"
import { add, select } from "../../shapes/Elementwise.ts"
import { valueAndGradient } from "../../shapes/Gradient.ts"
import { linear, type LinearParams } from "../../shapes/Linear.ts"
import { crossEntropy } from "../../shapes/Loss.ts"
import * as BatchNorm from "../../shapes/maps/BatchNorm.ts"
import type { Inference, SpecOf, TrainStep } from "../../shapes/Step.ts"
import { fill, type Tensor, zeros } from "../../shapes/Tensor.ts"
import * as Parameter from "../blocks/Parameter.ts"
import * as Sgd from "../optimizer/Sgd.ts"

/**
 * The pooling of several blocks: the class tokens of all blocks, the means of their patch tokens, or the class tokens of all
 * blocks and the mean of the last one (DINOv2's `use_avgpool`).
 */
export type Pooling = "cls" | "cls+mean" | "mean"

/** The features of a classifier: those of the last blocks, the oldest first, then the mean. */
export interface Features {
  readonly blocks: number
  readonly pooling: Pooling
}

/** A classifier of the sweep. */
export interface Head {
  readonly name: string
  readonly features: Features
  /** The learning rate for batches of 256 images. */
  readonly rate: number
}

/** The name of features: `4_blocks_cls_mean`. */
export const nameOf = (features: Features): string => `${features.blocks}_blocks_${features.pooling.replace("+", "_")}`

/** Lists all classifiers of a sweep. The learning rate changes first, then the pooling, then the blocks. */
export const heads = (
  sweep: {
    readonly blocks: ReadonlyArray<number>
    readonly pooling: ReadonlyArray<Pooling>
    readonly rates: ReadonlyArray<number>
  }
): ReadonlyArray<Head> =>
  [...new Set(sweep.blocks)].flatMap((blocks) =>
    [...new Set(sweep.pooling)].flatMap((pooling) =>
      [...new Set(sweep.rates)].map((rate) => ({
        // A dot would begin another level of the parameter's path.
        name: `${nameOf({ blocks, pooling })}_lr_${String(rate).replace(".", "_")}`,
        features: { blocks, pooling },
        rate
      }))
    )
  )

/** A number of images in a batch. */
export type Images = Dim.Dim<"batch">

/** A number of features. */
export type Width = Dim.Dim<"features">

/** Returns the number of features for a network of some width. */
export const width = (features: Features, channels: number): Width =>
  Dim.named("features", channels * (features.blocks + (features.pooling === "cls+mean" ? 1 : 0)))

/** The sizes of a sweep. */
export interface Sizes<K extends number> {
  readonly heads: ReadonlyArray<Head>
  /** Channels of a token. */
  readonly channels: number
  readonly classes: K
  /** True for a batch norm without parameters before each classifier, as in MAE. */
  readonly batchNorm: boolean
}

/** The parameters of all classifiers, by their names. */
export type Heads<K extends number> = Readonly<Record<string, LinearParams<Width, K>>>

/** Rows of features `[B, C]`, by the names of the features. */
export type Rows = Readonly<Record<string, Tensor<[Images, Width]>>>

/** The running statistics of features, by their names. */
export type Running = Readonly<Record<string, BatchNorm.Running<Width>>>

/** The state of the training. */
export interface State<K extends number> extends Sgd.State<Heads<K>> {
  /** The running statistics of the batch norm, if there is one. Classifiers of the same features share them. */
  readonly running?: Running
}

/** The batch of a step. */
export interface Batch {
  readonly features: Rows
  readonly labels: Tensor<[Images], "int32">
  /** The factor of all learning rates in this step, from 1 to 0. */
  readonly rate: Tensor<[]>
}

/** The metrics of a step. */
export interface Metrics {
  /** The sum of the losses. */
  readonly loss: Tensor<[]>
  /** The loss of each classifier. */
  readonly losses: Readonly<Record<string, Tensor<[]>>>
  readonly gradientNorm: Tensor<[]>
}

/** The weights of MAE's batch norm follow the batch by this share, and this is added to its variance. */
const MOMENTUM = 0.1
const EPSILON = 1e-6

/** The rates are for batches of this size. */
const BATCH = 256

/** The standard deviation of the initial weights. Truncation has no effect. */
const INITIAL: Parameter.Regime = { name: "finetuning", deviation: 0.01, cut: 1 }

const kinds = (sizes: Pick<Sizes<number>, "channels" | "heads">): ReadonlyMap<string, Width> =>
  new Map(sizes.heads.map(({ features }) => [nameOf(features), width(features, sizes.channels)]))

const fromKinds = <A>(sizes: Pick<Sizes<number>, "channels" | "heads">, make: (width: Width) => A) =>
  Object.fromEntries(Array.from(kinds(sizes), ([name, width]) => [name, make(width)]))

/** Returns the parameters of all classifiers: normal weights of standard deviation 0.01, and biases of 0. */
export const spec = <K extends number>(sizes: Sizes<K>): Parameter.ParametersOf<Heads<K>> => {
  const { channels, classes, heads } = sizes
  return Object.fromEntries(
    heads.map(({ features, name }) => [name, {
      weight: Parameter.normal([classes, width(features, channels)], INITIAL),
      bias: Parameter.zeros([classes])
    }])
  )
}

const runningSpec = (sizes: Sizes<number>): { readonly running?: Parameter.ParametersOf<Running> } =>
  sizes.batchNorm
    ? {
      running: fromKinds(sizes, (width) => ({
        running_mean: Parameter.zeros([width]),
        running_var: Parameter.ones([width])
      }))
    }
    : {}

/** Creates the state before the first step. */
export const initial = <K extends number>(sizes: Sizes<K>, seed: number) => {
  const heads = spec(sizes)
  const { running } = runningSpec(sizes)
  return {
    ...Sgd.initial(Parameter.initialise(heads, seed), heads),
    ...(running === undefined ? {} : { running: Parameter.initialise(running, seed) })
  }
}

const rowsSpec = (sizes: Sizes<number>, batch: Images): SpecOf<Rows> =>
  fromKinds(sizes, (width) => ({ shape: [batch, width], dtype: "float32", split: "rows" }))

/** The scale and the offset of a batch norm without parameters. */
const plain = (channels: Width) => ({ weight: fill([channels], 1), bias: zeros([channels]) })

const asMap = (rows: Tensor<[Images, Width]>): Tensor<[1, 1, Images, Width]> => {
  const [batch, channels] = rows.shape
  return reshape(rows, [1, 1, batch, channels])
}

/**
 * Makes a step of all classifiers: SGD with momentum. The learning rate of each is its own, times the factor of the step and the
 * number of images over 256.
 */
export const step = <K extends number>(
  sizes: Sizes<K>,
  batch: Images,
  options: { readonly momentum: number }
): TrainStep<State<K>, Batch, Metrics> => {
  const rateOf = new Map(sizes.heads.map(({ name, rate }) => [name, rate * batch / BATCH]))
  return {
    name: "probe sweep",
    state: { ...Sgd.stateSpec(spec(sizes)), ...runningSpec(sizes) },
    batch: {
      features: rowsSpec(sizes, batch),
      labels: { shape: [batch], dtype: "int32", split: "rows" },
      rate: { shape: [], dtype: "float32" }
    },
    run: (state, { features, labels, rate }) => {
      const { running } = state
      const normed = running === undefined ? undefined : Object.fromEntries(
        Object.entries(features).map(([name, rows]) =>
          [name, BatchNorm.train(asMap(rows), plain(rows.shape[1]), EPSILON)] as const
        )
      )
      const seen = normed === undefined ? features : Object.fromEntries(
        Object.entries(normed).map(([name, { y }]) => [name, reshape(y, [y.shape[2], y.shape[3]])] as const)
      )
      const { aux, gradients, loss } = valueAndGradient((params: Heads<K>) => {
        const losses = Object.fromEntries(
          sizes.heads.map(({ features, name }) =>
            [name, crossEntropy(linear(seen[nameOf(features)]!, params[name]!), labels)] as const
          )
        )
        return { loss: Object.values(losses).reduce((sum, one) => add(sum, one)), aux: { losses } }
      }, state.parameters)
      const { finite, norm, state: next } = Sgd.update(state, gradients, {
        rate,
        momentum: options.momentum,
        scale: (path) => rateOf.get(path.split(".")[0]!)!
      }, loss)
      const followed = running && normed && Object.fromEntries(
        Object.entries(running).map(([name, old]) => {
          const young = BatchNorm.follow(old, normed[name]!.statistics, MOMENTUM)
          return [name, {
            running_mean: select(finite, young.running_mean, old.running_mean),
            running_var: select(finite, young.running_var, old.running_var)
          }] as const
        })
      )
      return {
        metrics: { loss, ...pmean(aux), gradientNorm: norm },
        state: followed === undefined ? next : { ...next, running: followed }
      }
    }
  }
}

/** The trained weights of a sweep. */
export interface Trained<K extends number> {
  readonly heads: Heads<K>
  readonly running?: Running
}

/** Makes the inference of the class that each classifier predicts, `[B]`, by its name. */
export const predictions = <K extends number>(
  sizes: Sizes<K>,
  batch: Images
): Inference<
  Trained<K>,
  Pick<Batch, "features">,
  { readonly predicted: Readonly<Record<string, Tensor<[Images], "int32">>> }
> => ({
  name: "probe sweep predictions",
  weights: { heads: spec(sizes), ...runningSpec(sizes) },
  batch: { features: rowsSpec(sizes, batch) },
  run: (weights, { features }) => ({
    predicted: Object.fromEntries(
      sizes.heads.map((head) => [head.name, argMax(scores(weights, features, head))] as const)
    )
  })
})

/** Makes the inference of the logits of one classifier, `[B, K]`. */
export const logits = <K extends number>(
  sizes: Sizes<K>,
  batch: Images
): Inference<Trained<K>, Pick<Batch, "features">, { readonly logits: Tensor<[Images, K]> }> => ({
  name: "probe sweep logits",
  weights: { heads: spec(sizes), ...runningSpec(sizes) },
  batch: { features: rowsSpec(sizes, batch) },
  run: (weights, { features }) => ({ logits: scores(weights, features, sizes.heads[0]!) })
})

const scores = <K extends number>(
  { heads, running }: Trained<K>,
  rows: Rows,
  { features, name }: Head
): Tensor<[Images, K]> => {
  const kind = nameOf(features)
  const own = rows[kind]!
  if (running === undefined) return linear(own, heads[name]!)
  const [batch, channels] = own.shape
  const normed = BatchNorm.evaluate(asMap(own), plain(channels), running[kind]!, EPSILON)
  return linear(reshape(normed, [batch, channels]), heads[name]!)
}
