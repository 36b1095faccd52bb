/** k-nearest-neighbour classification of features. It needs no training. */
import { Effect } from "effect"
import * as Config from "../../domain/config/Config.ts"
import { KnnConfig } from "../../domain/config/KnnConfig.ts"
import * as Accuracy from "../../domain/evaluation/Accuracy.ts"
import * as Classes from "../../domain/evaluation/Classes.ts"
import { Engine } from "../../layers/engine/Engine.ts"
import * as Dim from "../../shapes/Dim.ts"
import * as HostTensor from "../../shapes/HostTensor.ts"
import * as Linear from "../../shapes/Linear.ts"
import * as Normalization from "../../shapes/Normalization.ts"
import type { Inference } from "../../shapes/Step.ts"
import type { Tensor } from "../../shapes/Tensor.ts"
import type { FeatureSet } from "./FeatureSet.ts"

const QUERIES = 256

const similarities = <N extends number, Q extends number, C extends number>(
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

// Equal similarities rank by their place in the bank, so that the result does not depend on the order of the search.
const nearest = (similarity: Float32Array, count: number): ReadonlyArray<number> => {
  const found: Array<number> = []
  for (let index = 0; index < similarity.length; index++) {
    if (found.length === count && similarity[index]! <= similarity[found[count - 1]!]!) continue
    const place = found.findIndex((other) => similarity[index]! > similarity[other]!)
    found.splice(place === -1 ? found.length : place, 0, index)
    if (found.length > count) found.pop()
  }
  return found
}

/** The limit of exponents. Beyond it, powers of e underflow or overflow in 32 bits. */
const LARGEST = 80

const votes = (similarity: Float32Array, bank: FeatureSet, classes: number, config: KnnConfig): Float32Array => {
  const weights = new Float32Array(classes)
  const found = nearest(similarity, config.neighbours)
  const power = (index: number) => similarity[index]! / config.temperature
  const most = power(found[0]!)
  const shift = Math.abs(most) > LARGEST ? most : 0
  for (const index of found) weights[bank.labels[index]!]! += Math.exp(power(index) - shift)
  return weights
}

/**
 * Classifies each test image by its nearest neighbours in `bank`, by cosine similarity. A neighbour's vote weighs
 * `exp(similarity / temperature)`. The classes of the tests are matched with those of `bank` by name.
 *
 * Fails with `ClassesError` if labels are not classes or classes do not match, and as the engine fails.
 */
export const knn = Effect.fn("patchword.knn")(function*(
  given: KnnConfig,
  bank: FeatureSet,
  tests: ReadonlyArray<FeatureSet>,
  rule: Classes.Rule = "same"
) {
  const config = yield* Config.check(KnnConfig, "knn")(given)
  yield* Effect.annotateCurrentSpan({
    "patchword.split": bank.name,
    "patchword.splits": tests.map(({ name }) => name),
    "patchword.images": tests.reduce((sum, { labels }) => sum + labels.length, 0),
    "patchword.engine": (yield* Engine).name
  })
  const met = yield* Effect.fromResult(Classes.meetAll(bank, tests, rule))
  const engine = yield* Engine
  const classes = bank.classes.length
  const width = Dim.named("width", bank.features.shape[1])
  const inference = similarities(Dim.named("bank", bank.features.shape[0]), Dim.named("queries", QUERIES), width)
  const handle = yield* engine.infer(inference, {
    bank: HostTensor.make(inference.weights.bank.shape, "float32", bank.features.data)
  })
  return yield* Effect.forEach(
    met,
    Effect.fnUntraced(function*(test) {
      const { features: { data }, labels: { length } } = test.set
      const rows = new Float32Array(length * classes)
      for (let start = 0; start < length; start += QUERIES) {
        const queries = HostTensor.zeros(inference.batch.queries.shape, "float32")
        queries.data.set(data.subarray(start * width, (start + QUERIES) * width))
        const { similarity } = yield* handle.run({ queries })
        const [, size] = similarity.shape
        for (let row = 0; row < Math.min(QUERIES, length - start); row++) {
          rows.set(
            votes(similarity.data.subarray(row * size, (row + 1) * size), bank, classes, config),
            (start + row) * classes
          )
        }
      }
      return Accuracy.measure(test, rows)
    })
  )
}, Effect.scoped)
