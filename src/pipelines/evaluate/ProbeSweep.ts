/**
 * A sweep of linear classifiers on the features of a frozen network (`dinov2/eval/linear.py`). All are trained in one pass, on
 * random views of the images or on cached features. The best one on images that no result is reported of is measured.
 */
import { Effect, Schema } from "effect"
import * as Config from "../../domain/config/Config.ts"
import { OptimizerConfig } from "../../domain/config/OptimizerConfig.ts"
import { ProbeConfig } from "../../domain/config/ProbeConfig.ts"
import * as SweepConfig from "../../domain/config/SweepConfig.ts"
import * as Accuracy from "../../domain/evaluation/Accuracy.ts"
import * as Classes from "../../domain/evaluation/Classes.ts"
import * as Sampling from "../../domain/method/Sampling.ts"
import { Engine } from "../../layers/engine/Engine.ts"
import * as Files from "../../layers/files/Files.ts"
import { Checkpoints } from "../../layers/run/Checkpoints.ts"
import type * as Weights from "../../layers/weights/Weights.ts"
import * as ProbeSweep from "../../nn/finetune/ProbeSweep.ts"
import * as Dim from "../../shapes/Dim.ts"
import * as HostTensor from "../../shapes/HostTensor.ts"
import type { SpecOf } from "../../shapes/Step.ts"
import * as Inference from "../trained/Inference.ts"
import * as Stage from "../training/Stage.ts"
import * as BlockFeatures from "./BlockFeatures.ts"
import type { BlockFeatureSet } from "./BlockFeatures.ts"
import * as ChoiceSplit from "./ChoiceSplit.ts"
import * as FeatureSets from "./FeatureSet.ts"
import * as RandomViews from "./RandomViews.ts"

/** A classifier of the sweep with its top-1 accuracy on the images of the choice. */
export interface Tried extends ProbeSweep.Head {
  readonly top1: number
}

/** The accuracy of the chosen classifier on each test set, and the choice. */
export interface Swept {
  readonly figures: ReadonlyArray<Accuracy.Accuracy>
  readonly winner: ProbeSweep.Head
  /** The split, or the part of a split, for the choice. Undefined if there is only one classifier. */
  readonly chosenOn?: string
  /** All classifiers, in order. Of equal accuracies the first wins. */
  readonly tried: ReadonlyArray<Tried>
  /** True if the winner's learning rate is the smallest or the largest. A better one may lie beyond. */
  readonly atEdge: boolean
}

/** Options of a sweep. */
export interface SweepOptions extends Pick<Stage.StageOptions, "checkpointEvery" | "stage"> {
  /** The frozen network and the images of `train`. `sweep.augment` needs them. */
  readonly source?: RandomViews.Source | undefined
}

const Trained = Schema.Struct({ seed: Schema.Int, finalNorm: Schema.Boolean, ...SweepConfig.SweepConfig.fields })

/** Number of images of an evaluation batch. */
const BATCH = 256

/** A factor of the learning rates that falls from 1 to 0 along half a cosine. */
const optimizerOf = ({ batchSize, momentum, steps }: SweepConfig.Complete): OptimizerConfig =>
  new OptimizerConfig({
    lr: 1,
    minLr: 0,
    betas: [momentum, 0],
    eps: 1,
    weightDecay: 0,
    clipNorm: null,
    batchSize,
    unit: "steps",
    duration: steps,
    warmup: 0
  })

/** Copies the features of some images for a batch. */
const rowsOf = (
  set: BlockFeatures.Blocks,
  heads: ReadonlyArray<ProbeSweep.Head>,
  spec: SpecOf<ProbeSweep.Rows>,
  places: ArrayLike<number>
) =>
  Object.fromEntries(
    heads.map(({ features }) => [ProbeSweep.nameOf(features), features] as const)
      .filter(([name], i, all) => all.findIndex(([other]) => other === name) === i)
      .map(([name, features]) => [
        name,
        HostTensor.make(spec[name]!.shape, "float32", BlockFeatures.copy(set, features, places))
      ])
  )

/** The images of a set in batches of one size. The last image fills the last batch up. */
const batches = (length: number) =>
  Array.from({ length: Math.ceil(length / BATCH) }, (_, i) => {
    const first = i * BATCH
    const valid = Math.min(BATCH, length - first)
    return { valid, places: Array.from({ length: BATCH }, (_, row) => first + Math.min(row, valid - 1)) }
  })

/** Computes the top-1 accuracy of every classifier. */
const compared = Effect.fnUntraced(function*(
  sizes: ProbeSweep.Sizes<Dim.Dim<"classes">>,
  tensors: Weights.Tensors,
  on: Classes.Met<BlockFeatureSet>
) {
  const inference = ProbeSweep.predictions(sizes, Dim.named("batch", BATCH))
  const handle = yield* Inference.open(inference, tensors)
  const right = new Map(sizes.heads.map(({ name }) => [name, 0]))
  for (const { places, valid } of batches(on.labels.length)) {
    const { predicted } = yield* handle.run({ features: rowsOf(on.set, sizes.heads, inference.batch.features, places) })
    for (const { name } of sizes.heads) {
      const { data } = predicted[name]!
      const hits = places.slice(0, valid).filter((place, row) => data[row] === on.labels[place]).length
      right.set(name, right.get(name)! + hits)
    }
  }
  return sizes.heads.map((head): Tried => ({ ...head, top1: right.get(head.name)! / on.labels.length }))
}, Effect.scoped)

/** Measures one classifier on a test set. */
const measured = Effect.fnUntraced(function*(
  sizes: ProbeSweep.Sizes<Dim.Dim<"classes">>,
  tensors: Weights.Tensors,
  tests: ReadonlyArray<Classes.Met<BlockFeatureSet>>
) {
  const inference = ProbeSweep.logits(sizes, Dim.named("batch", BATCH))
  const [head] = sizes.heads
  const own = [`heads.${head!.name}.`, `running.${ProbeSweep.nameOf(head!.features)}.`]
  const handle = yield* Inference.open(
    inference,
    Inference.renamed(tensors, (name) => own.some((prefix) => name.startsWith(prefix)) ? name : undefined)
  )
  return yield* Effect.forEach(
    tests,
    Effect.fnUntraced(function*(test) {
      const { add, figure } = Accuracy.tally(test)
      for (const { places, valid } of batches(test.labels.length)) {
        const features = rowsOf(test.set, sizes.heads, inference.batch.features, places)
        const { logits } = yield* handle.run({ features })
        add(logits.data.subarray(0, valid * sizes.classes), places.slice(0, valid))
      }
      return figure()
    })
  )
}, Effect.scoped)

/** The batches of a training: labels, and features to take rows from. */
interface Learned {
  readonly stepsPerEpoch: number
  readonly batch: (step: number) => Effect.Effect<
    {
      readonly labels: Int32Array
      readonly features: BlockFeatures.Blocks
      readonly places: ArrayLike<number>
    },
    RandomViews.BatchError
  >
}

/** Makes the batches of the training: of the features that are there, or of random views. */
const batchesOf = Effect.fnUntraced(function*(options: {
  readonly stage: string
  readonly seed: number
  readonly finalNorm: boolean
  readonly blocks: number
  readonly sweep: SweepConfig.Complete
  readonly learned: BlockFeatureSet
  readonly places: Int32Array | undefined
  readonly source: RandomViews.Source | undefined
}) {
  const { blocks, finalNorm, learned, places, seed, source, stage, sweep: { augment, batchSize } } = options
  if (augment === null || source === undefined) {
    const { batch, stepsPerEpoch } = Sampling.make({ stage, seed, labels: learned.labels, batchSize, rest: "pad" })
    const kept: Learned = {
      stepsPerEpoch,
      batch: (step) =>
        Effect.sync(() => {
          const { places } = batch(step)
          const labels = Int32Array.from(places, (place) => learned.labels[place]!)
          return { labels, features: learned, places }
        })
    }
    return kept
  }
  const { batch, stepsPerEpoch } = yield* RandomViews.open(source, {
    stage,
    seed,
    blocks,
    finalNorm,
    batchSize,
    places,
    views: augment
  })
  const rows = Array.from({ length: batchSize }, (_, row) => row)
  const drawn: Learned = {
    stepsPerEpoch,
    batch: (step) => Effect.map(batch(step), (found) => ({ ...found, places: rows }))
  }
  return drawn
})

/** Refuses random views without the images, or of other images. */
const checkSource = (stage: string, { augment }: SweepConfig.Complete, train: BlockFeatureSet, {
  source
}: SweepOptions) =>
  Stage.requireConfig(stage, {
    "sweep.augment": [
      augment !== null && source?.images.digest !== train.digest,
      source === undefined
        ? "expected null, because the network and the images of the training are not given (source)"
        : `expected null, because the images that are given (source) are not those of ${train.name}`
    ]
  })

/**
 * Trains every classifier of the sweep on `train`, chooses the best one on `validation`, and measures it on every test set. A
 * share of `train` is held out for the choice as `ChoiceSplit.of` says; the classifiers do not learn from it. The classes
 * of the sets are matched with those of `train` by name.
 *
 * The classifiers learn from random views of the images, as `sweep.augment` says. Their features are computed in each step by the
 * network of `source`. Without `augment`, the classifiers learn from the features of `train`.
 *
 * The training is a stage of the run, by the name `probe-sweep`. An interrupted sweep resumes from its newest checkpoint.
 *
 * Fails with `ClassesError` if labels are not classes or classes do not match, with `NothingToChooseOn`, with `ConfigError` if
 * the sets have features of fewer blocks or there is no `source` for random views, and as `Stage.train`, the images and the
 * engine do.
 */
export const probeSweep = Effect.fn("patchword.probeSweep")(function*(
  given: ProbeConfig,
  sets: ChoiceSplit.ProbeSets<BlockFeatureSet>,
  rule: Classes.Rule = "same",
  options: SweepOptions = {}
) {
  const { tests, train } = sets
  const { source, stage = "probe-sweep", ...more } = options
  const config = yield* Config.check(ProbeConfig, "probe")(given)
  yield* FeatureSets.annotateSpan(train, tests)
  yield* Effect.annotateCurrentSpan("patchword.engine", (yield* Engine).name)
  const { finalNorm, seed } = config
  const sweep = SweepConfig.complete(config.sweep)
  const most = Math.max(...sweep.blocks)
  yield* Stage.requireConfig(stage, {
    "sweep.blocks": [
      most > train.blocks,
      `expected at most ${train.blocks}, the blocks of the given features, got ${most}`
    ]
  })
  yield* checkSource(stage, sweep, train, options)
  const met = yield* Effect.fromResult(Classes.meetAll(train, tests, rule))
  const heads = ProbeSweep.heads(sweep)
  const choice = heads.length === 1 ? undefined : yield* ChoiceSplit.of(sets, rule, {
    seed,
    purpose: `${stage}/held out`,
    share: sweep.heldOut,
    settings: ["probe.sweep.blocks", "probe.sweep.pooling", "probe.sweep.rates"]
  })
  const learned = choice?.rest ?? train
  const sizes = {
    heads,
    channels: BlockFeatures.channels(train),
    classes: Dim.named("classes", train.classes.length),
    batchNorm: sweep.batchNorm
  }
  const batch = Dim.named("batch", sweep.batchSize)
  const step = ProbeSweep.step(sizes, batch, { momentum: sweep.momentum })
  const { batch: batchOf, stepsPerEpoch } = yield* batchesOf({
    stage,
    seed,
    finalNorm,
    blocks: most,
    sweep,
    learned,
    places: choice?.places,
    source
  })
  const { buffer, byteLength, byteOffset } = learned.features.data
  const tensors = yield* Stage.train({
    checkpointEvery: 500,
    ...more,
    stage,
    schema: Trained,
    config: { seed, finalNorm, ...sweep },
    dataDigest: `${train.digest} ${Files.sha256(new Uint8Array(buffer, byteOffset, byteLength))}`,
    model: "ProbeSweep",
    seed,
    step,
    optimizer: optimizerOf(sweep),
    stepsPerEpoch,
    initial: Effect.sync(() => ProbeSweep.initial(sizes, seed)),
    batch: (number, { rate }) =>
      Effect.map(batchOf(number), ({ features, labels, places }) => ({
        features: rowsOf(features, heads, step.batch.features, places),
        labels: HostTensor.make([batch], "int32", labels),
        rate
      })),
    measure: ({ gradientNorm, loss }) => ({
      loss: HostTensor.item(loss) / heads.length,
      gradientNorm: HostTensor.item(gradientNorm)
    }),
    trained: ({ parameters, running }) => ({ heads: parameters, ...(running === undefined ? {} : { running }) })
  })
  // Its weights are kept, and nothing goes on from a sweep.
  yield* (yield* Checkpoints).clear(stage)
  const tried = choice === undefined ? [] : yield* compared(sizes, tensors, choice.on)
  const winner = tried.reduce<Tried | undefined>(
    (best, one) => best === undefined || one.top1 > best.top1 ? one : best,
    undefined
  )
  const { features, name, rate } = winner ?? heads[0]!
  const found: Swept = {
    figures: yield* measured({ ...sizes, heads: [{ features, name, rate }] }, tensors, met),
    winner: { features, name, rate },
    ...(choice === undefined ? {} : { chosenOn: choice.chosenOn }),
    tried,
    atEdge: new Set(sweep.rates).size > 1 && [Math.min(...sweep.rates), Math.max(...sweep.rates)].includes(rate)
  }
  return found
}, Effect.scoped)
