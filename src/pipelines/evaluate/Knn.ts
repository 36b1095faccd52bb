/** k-nearest-neighbour classification of features. It needs no training. */
import { Effect } from "effect"
import * as Config from "../../domain/config/Config.ts"
import { KnnConfig, TRIES } from "../../domain/config/KnnConfig.ts"
import * as Accuracy from "../../domain/evaluation/Accuracy.ts"
import * as Classes from "../../domain/evaluation/Classes.ts"
import * as Metrics from "../../domain/evaluation/Metrics.ts"
import * as Neighbours from "../../domain/evaluation/Neighbours.ts"
import * as PerClass from "../../domain/evaluation/PerClass.ts"
import { Engine } from "../../layers/engine/Engine.ts"
import * as Pauses from "../../layers/machine/Pauses.ts"
import { Progress } from "../../layers/run/Progress.ts"
import * as Dim from "../../shapes/Dim.ts"
import * as HostTensor from "../../shapes/HostTensor.ts"
import * as Linear from "../../shapes/Linear.ts"
import * as Normalization from "../../shapes/Normalization.ts"
import type { Inference } from "../../shapes/Step.ts"
import type { Tensor } from "../../shapes/Tensor.ts"
import * as FeatureSets from "./FeatureSet.ts"
import type { FeatureSet } from "./FeatureSet.ts"

const QUERIES = 256

/** Makes the inference of the cosine similarities of queries with all images of a bank, `[Q, N]`. */
export const similarities = <N extends number, Q extends number, C extends number>(
  bank: N,
  queries: Q,
  width: C
): Inference<
  { readonly bank: Tensor<[N, C]> },
  { readonly queries: Tensor<[Q, C]> },
  { readonly similarity: Tensor<[Q, N]> }
> => ({
  name: "knn",
  weights: { bank: { shape: [bank, width], dtype: "float32" } },
  batch: { queries: { shape: [queries, width], dtype: "float32" } },
  run: (weights, batch) => ({
    similarity: Linear.matMulTransposed(
      Normalization.l2Normalize(batch.queries),
      Normalization.l2Normalize(weights.bank)
    )
  })
})

/** The accuracy with one number of neighbours. */
export interface KnnFigures {
  /** Number of nearest neighbours that vote. */
  readonly neighbours: number
  /** Number of training images of each class; absent if all are used. */
  readonly perClass?: number
  /** Number of draws of the training images. The figures are then means over the draws. */
  readonly tries?: number
  /** The accuracy on each test set. */
  readonly figures: ReadonlyArray<Accuracy.Accuracy>
  /** The standard deviation of each `top1` over the draws; absent if there is one draw. */
  readonly deviations?: ReadonlyArray<number>
}

/** A part of the bank, with the numbers of neighbours to look for in it. */
interface Part {
  readonly places?: Int32Array
  readonly perClass?: number
  readonly neighbours: ReadonlyArray<number>
}

const partsOf = (config: KnnConfig, bank: FeatureSet): ReadonlyArray<Part> => {
  const neighbours = [...new Set([config.neighbours].flat())]
  const { perClass = [], tries = TRIES } = config.fewShot ?? {}
  return [
    { neighbours },
    ...[...new Set(perClass)].flatMap((count) =>
      Array.from({ length: tries }, (_, seed) => ({
        places: PerClass.draw(bank, { seed, purpose: "knn/few shots" }, (size) => Math.min(size, count)),
        perClass: count,
        neighbours: [...new Set([...neighbours.filter((one) => one <= count), count])]
      }))
    )
  ]
}

/** Says which classes have fewer images than few-shot learning asks for. */
const shortages = Effect.fnUntraced(function*({ fewShot }: KnnConfig, bank: FeatureSet) {
  const { message } = yield* Progress
  const sizes = Array.from(Map.groupBy(bank.labels, (label) => label).values(), ({ length }) => length)
  for (const count of new Set(fewShot?.perClass ?? [])) {
    const short = sizes.filter((size) => size < count).length
    if (short === 0) continue
    yield* message(
      `knn: ${short} of ${sizes.length} classes of ${bank.name} have fewer than ${count} images, so all of theirs are used` +
        (sizes.every((size) => size <= count) ? ", and all draws are equal" : "")
    )
  }
})

const mean = (values: ReadonlyArray<number>): number => values.reduce((sum, value) => sum + value, 0) / values.length

const deviation = (values: ReadonlyArray<number>): number =>
  Math.sqrt(values.reduce((sum, value) => sum + (value - mean(values)) ** 2, 0) / (values.length - 1))

/** The mean accuracy on one split over several draws. */
const averaged = (tries: ReadonlyArray<Accuracy.Accuracy>): Accuracy.Accuracy => {
  const { top5: _, ...first } = tries[0]!
  const top1 = mean(tries.map((one) => one.top1))
  const five = tries.flatMap(({ top5 }) => top5 === undefined ? [] : [top5])
  return {
    ...first,
    top1,
    ...(five.length === 0 ? {} : { top5: mean(five) }),
    interval: Metrics.interval(top1 * first.images, first.images)
  }
}

/** Counts the right answers of every part and number of neighbours on one test set. */
const tallies = (met: Classes.Met<FeatureSet>, bank: FeatureSet, parts: ReadonlyArray<Part>, temperature: number) => {
  const classes = bank.classes.length
  const counted = parts.map((part) => ({
    ...part,
    tallies: part.neighbours.map(() => Accuracy.tally(met))
  }))
  return {
    add: (similarity: Float32Array, place: number) => {
      for (const { neighbours, places, tallies } of counted) {
        const found = Neighbours.nearest(similarity, Math.max(...neighbours), places)
        const votes = Neighbours.votes(
          found.map((index) => similarity[index]!),
          found.map((index) => bank.labels[index]!),
          { classes, neighbours, temperature }
        )
        votes.forEach((sums, i) => tallies[i]!.add(Float32Array.from(sums), [place]))
      }
    },
    figures: () => counted.map(({ tallies }) => tallies.map(({ figure }) => figure()))
  }
}

/**
 * Classifies each test image by its nearest neighbours in `bank`, by cosine similarity, once for each number of neighbours of
 * the configuration. With `fewShot`, it does so again for draws of a few images of each class. Their numbers of neighbours are
 * those of the configuration up to the number of images of each class, and that number. All of this takes one pass over the
 * similarities.
 *
 * A neighbour's vote weighs the softmax of `similarity / temperature` over the most neighbours. Of equal similarities the image
 * that comes first in `bank` is nearer. The classes of the tests are matched with those of `bank` by name.
 *
 * Fails with `ClassesError` if labels are not classes or classes do not match, and as the engine fails.
 */
export const compareNeighbours = Effect.fn("patchword.knn")(function*(
  given: KnnConfig,
  bank: FeatureSet,
  tests: ReadonlyArray<FeatureSet>,
  rule: Classes.Rule = "same"
) {
  const config = yield* Config.check(KnnConfig, "knn")(given)
  yield* FeatureSets.annotateSpan(bank, tests)
  yield* Effect.annotateCurrentSpan("patchword.engine", (yield* Engine).name)
  const met = yield* Effect.fromResult(Classes.meetAll(bank, tests, rule))
  const engine = yield* Engine
  const width = Dim.named("width", bank.features.shape[1])
  const inference = similarities(Dim.named("bank", bank.features.shape[0]), Dim.named("queries", QUERIES), width)
  const handle = yield* engine.infer(inference, {
    bank: HostTensor.make(inference.weights.bank.shape, "float32", bank.features.data)
  })
  const parts = partsOf(config, bank)
  yield* shortages(config, bank)
  const found = yield* Effect.forEach(
    met,
    Effect.fnUntraced(function*(test) {
      const { features: { data }, labels: { length } } = test.set
      const { add, figures } = tallies(test, bank, parts, config.temperature)
      for (let start = 0; start < length; start += QUERIES) {
        const queries = HostTensor.zeros(inference.batch.queries.shape, "float32")
        queries.data.set(data.subarray(start * width, (start + QUERIES) * width))
        const { similarity } = yield* handle.run({ queries })
        const [, size] = similarity.shape
        for (let row = 0; row < Math.min(QUERIES, length - start); row++) {
          yield* Pauses.pause
          add(similarity.data.subarray(row * size, (row + 1) * size), start + row)
        }
      }
      return figures()
    })
  )
  const [all, ...few] = parts
  return [
    ...all!.neighbours.map((neighbours, i): KnnFigures => ({
      neighbours,
      figures: found.map((figures) => figures[0]![i]!)
    })),
    ...Array.from(Map.groupBy(few.keys(), (place) => few[place]!.perClass!)).flatMap(([perClass, places]) =>
      few[places[0]!]!.neighbours.map((neighbours, i): KnnFigures => {
        const tries = found.map((figures) => places.map((place) => figures[place + 1]![i]!))
        return {
          neighbours,
          perClass,
          tries: places.length,
          figures: tries.map(averaged),
          ...(places.length === 1 ? {} : { deviations: tries.map((one) => deviation(one.map(({ top1 }) => top1))) })
        }
      })
    )
  ]
}, Effect.scoped)

/**
 * Classifies each test image by its nearest neighbours, as {@link compareNeighbours} does. Returns the accuracy on each test
 * set with the first number of neighbours of the configuration, and all images of `bank`.
 */
export const knn = (
  given: KnnConfig,
  bank: FeatureSet,
  tests: ReadonlyArray<FeatureSet>,
  rule: Classes.Rule = "same"
) => {
  const { fewShot: _, ...config } = given
  const neighbours = [config.neighbours].flat()[0] ?? 0
  return Effect.map(compareNeighbours({ ...config, neighbours }, bank, tests, rule), ([first]) => first!.figures)
}
