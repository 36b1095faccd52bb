import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as PerClass from "../../src/domain/evaluation/PerClass.ts"
import * as KeyedRandom from "../../src/domain/values/KeyedRandom.ts"
import * as FeatureSets from "../../src/pipelines/evaluate/FeatureSet.ts"
import type { FeatureSet } from "../../src/pipelines/evaluate/FeatureSet.ts"
import { compareNeighbours, knn } from "../../src/pipelines/evaluate/Knn.ts"
import { logisticRegression } from "../../src/pipelines/evaluate/LogisticRegression.ts"
import { probe } from "../../src/pipelines/evaluate/Probe.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import { engine, micro } from "./kit.ts"

const preset = micro()
const WIDTH = 4

const rows = (count: number, width: number, values: ArrayLike<number>): FeatureSet["features"] =>
  HostTensor.make([count, width], "float32", Float32Array.from(values))

const names = ["a", "b", "c"]

const setOf = (name: string, labels: Int32Array, features: FeatureSet["features"], classes = names): FeatureSet => ({
  name,
  digest: name,
  classes: classes.slice(0, 1 + Math.max(...labels)),
  labels,
  features
})

const around = (purpose: string, count: number, distance: number): FeatureSet => {
  const { normal } = KeyedRandom.generator({ seed: 0, purpose, epoch: 0, index: 0 })
  const labels = Int32Array.from({ length: count }, (_, row) => row % 3)
  const values = Float32Array.from(
    { length: count * WIDTH },
    (_, i) => (i % WIDTH === labels[Math.floor(i / WIDTH)] ? distance : 0) + normal()
  )
  return setOf(purpose, labels, rows(count, WIDTH, values))
}

const shifted = (set: FeatureSet): FeatureSet => ({ ...set, labels: set.labels.map((label) => (label + 1) % 3) })

const renamed = (set: FeatureSet, classes: ReadonlyArray<string>): FeatureSet => ({
  ...set,
  classes,
  labels: set.labels.map((label) => classes.indexOf(set.classes[label]!))
})

const top1 = (figures: ReadonlyArray<{ readonly top1: number }>) => figures.map((figure) => figure.top1)

const scaled = ({ features, ...set }: FeatureSet): FeatureSet => ({
  ...set,
  features: HostTensor.make(features.shape, "float32", features.data.map((value) => value * 1000 + 5))
})

describe("evaluations", () => {
  layer(engine)((it) => {
    it.effect("the probe separates what is separable, whatever its scale", () =>
      Effect.gen(function*() {
        const data = { train: around("train", 60, 12), validation: around("val", 30, 12) }
        const tests = [around("test", 300, 12), shifted(around("test", 300, 12))]
        const near = yield* probe(preset.probe, { ...data, tests })
        assert.deepStrictEqual(top1(near.figures), [1, 0])
        const far = yield* probe(preset.probe, {
          train: scaled(data.train),
          validation: scaled(data.validation),
          tests: tests.map(scaled)
        })
        assert.deepStrictEqual(top1(far.figures), [1, 0])
      }))

    it.effect("the probe takes the regularisation that is best on the validation set, the first of equals", () =>
      Effect.gen(function*() {
        const train = around("train", 60, 12)
        const config = { ...preset.probe, l2: [1e-3, 1e6] as const }
        const { l2 } = yield* probe(config, { train, validation: around("val", 30, 12), tests: [] })
        assert.strictEqual(l2, 1e-3)
        const other = yield* probe({ ...config, l2: [1e6, 1e-3] }, {
          train: around("train", 61, 1.5),
          validation: around("val", 300, 1.5),
          tests: []
        })
        assert.strictEqual(other.l2, 1e-3)
      }))

    it.effect("the probe goes beyond its grid where the best is at an end", () =>
      Effect.gen(function*() {
        const parts = { train: around("train", 60, 1.5), validation: around("val", 300, 1.5), tests: [] }
        const { atEdge, chosenOn, l2, tried } = yield* probe({ ...preset.probe, l2: [1, 10] }, parts)
        assert.isBelow(l2, 1)
        assert.isFalse(atEdge)
        assert.strictEqual(chosenOn, "val")
        assert.isBelow(tried[0]!.value, l2)
        assert.isAtLeast(tried.length, 4)
      }))

    it.effect("the probe never chooses on images that it reports", () =>
      Effect.gen(function*() {
        const [train, val, test] = [around("train", 60, 1.5), around("val", 90, 1.5), around("test", 90, 1.5)]
        const part = "a held-out part of train (12 of 60 images)"
        const found = yield* probe(preset.probe, { train, validation: val, tests: [test, val] })
        assert.strictEqual(found.chosenOn, part)
        assert.deepStrictEqual(yield* probe(preset.probe, { train, tests: [test, val] }), found)
        assert.deepStrictEqual(yield* probe(preset.probe, { train, validation: train, tests: [test, val] }), found)
        const other = yield* probe(preset.probe, { train, validation: test, tests: [shifted(test), val] })
        assert.deepStrictEqual([other.chosenOn, other.l2, other.tried], [part, found.l2, found.tried])
        const copies = { ...FeatureSets.rows(test, Int32Array.of(3, 1, 2)), name: "copies", digest: "other" }
        assert.match(
          (yield* probe(preset.probe, { train, validation: copies, tests: [test] })).chosenOn!,
          /^a held-out part of train/
        )
        const alone = yield* probe({ ...preset.probe, l2: [found.l2] }, { train, validation: val, tests: [test, val] })
        assert.deepStrictEqual(alone, {
          figures: found.figures,
          l2: found.l2,
          tried: [],
          atEdge: false,
          hasConverged: found.hasConverged
        })
        const short = yield* probe({ ...preset.probe, l2: [found.l2], iterations: 1 }, { train, tests: [test] })
        const long = yield* probe({ ...preset.probe, l2: [1], iterations: 300 }, { train, tests: [test] })
        assert.deepStrictEqual([short.hasConverged, long.hasConverged], [false, true])
      }))

    it.effect("the probe of single images cannot choose, and says what to do", () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(probe(preset.probe, { train: around("train", 3, 1), tests: [] }))
        assert.match(error.message, /no class of train has two images.*--validation/)
      }))

    it.effect("the names of classes decide, not their numbers", () =>
      Effect.gen(function*() {
        const [train, test] = [around("train", 60, 12), around("test", 60, 12)]
        const tests = [test, renamed(test, ["c", "b", "a"])]
        assert.deepStrictEqual(top1((yield* probe(preset.probe, { train, tests })).figures), [1, 1])
        const other = renamed({ ...test, classes: ["a", "b", "eel"] }, ["eel", "b", "a"])
        for (
          const evaluate of [
            Effect.asVoid(probe(preset.probe, { train, tests: [other] })),
            knn(preset.knn, train, [other])
          ]
        ) {
          const error = yield* Effect.flip(Effect.asVoid(evaluate))
          assert.strictEqual(error._tag, "ClassesError")
          assert.match(error.message, /^split test: .*Not in train: 1 \("eel"\)\. Missing: 1 \("c"\)/)
        }
      }))

    it.effect("a label beyond the classes is an error, and never right", () =>
      Effect.gen(function*() {
        const train = around("train", 60, 12)
        const wrong = { ...train, labels: train.labels.map((label) => label + 3) }
        for (const [bank, test] of [[train, wrong], [wrong, train]] as const) {
          for (
            const evaluate of [
              Effect.asVoid(probe(preset.probe, { train: bank, tests: [test] })),
              knn(preset.knn, bank, [test])
            ]
          ) {
            assert.match(
              (yield* Effect.flip(Effect.asVoid(evaluate))).message,
              /image 0 has the label 3, but labels from 0 to 2 were expected/
            )
          }
        }
      }))

    it.effect("the nearest neighbour of a copy is its original", () =>
      Effect.gen(function*() {
        const bank = around("bank", 300, 0)
        const config = { ...preset.knn, neighbours: 1 }
        const swapped = renamed(bank, ["c", "a", "b"])
        const found = yield* knn(config, bank, [bank, shifted(bank), swapped])
        assert.deepStrictEqual(top1(found), [1, 0, 1])
        assert.deepInclude(found[0], { split: "bank", images: 300, classes: 3, largestClass: 1 / 3 })
      }))

    it.effect("near neighbours outvote far ones", () =>
      Effect.gen(function*() {
        const bank = setOf("bank", Int32Array.of(0, 1, 1), rows(3, 2, [1, 0, 0.6, 0.8, 0.6, -0.8]))
        const query = { ...setOf("query", Int32Array.of(0), rows(1, 2, [3, 0])), classes: bank.classes }
        const vote = (neighbours: number, temperature: number) =>
          Effect.map(
            knn({ ...preset.knn, neighbours, temperature }, bank, [query], "fewer"),
            ([figure]) => figure!.top1
          )
        assert.strictEqual(yield* vote(3, 0.1), 1)
        assert.strictEqual(yield* vote(3, 10), 0)
        assert.strictEqual(yield* vote(1, 10), 1)
        assert.strictEqual(yield* vote(100, 0.1), 1)
        for (const temperature of [1e-2, 1e-4, 1e-8]) assert.strictEqual(yield* vote(3, temperature), 1)
        const far = { ...query, features: rows(1, 2, [-3, 0]) }
        const [cold] = yield* knn({ ...preset.knn, neighbours: 3, temperature: 1e-4 }, bank, [far], "fewer")
        assert.strictEqual(cold!.top1, 0)
      }))

    it.effect("several numbers of neighbours are compared in one pass", () =>
      Effect.gen(function*() {
        const [bank, test] = [around("bank", 60, 1.5), around("test", 90, 1.5)]
        const found = yield* compareNeighbours({ ...preset.knn, neighbours: [7, 1, 60, 7] }, bank, [test])
        assert.deepStrictEqual(found.map(({ neighbours }) => neighbours), [7, 1, 60])
        for (const { figures, neighbours } of found) {
          assert.deepStrictEqual(yield* knn({ ...preset.knn, neighbours }, bank, [test]), figures)
        }
      }))

    it.effect("a few images of each class are drawn anew in each try", () =>
      Effect.gen(function*() {
        const [bank, test] = [around("bank", 60, 1.5), around("test", 90, 1.5)]
        const config = { ...preset.knn, neighbours: [3, 9], fewShot: { perClass: [1, 4, 20], tries: 3 } } as const
        const found = yield* compareNeighbours(config, bank, [test])
        assert.deepStrictEqual(
          found.map(({ neighbours, perClass }) => [perClass, neighbours]),
          [[undefined, 3], [undefined, 9], [1, 1], [4, 3], [4, 4], [20, 3], [20, 9], [20, 20]]
        )
        const [all, , one, , , whole] = found
        assert.deepStrictEqual(whole!.figures, all!.figures)
        assert.deepStrictEqual(whole!.deviations, [0])
        const tries = yield* Effect.forEach([0, 1, 2], (seed) => {
          const places = PerClass.draw(bank, { seed, purpose: "knn/few shots" }, () => 1)
          assert.deepStrictEqual(Array.from(places, (place) => bank.labels[place]!).toSorted(), [0, 1, 2])
          return knn({ ...preset.knn, neighbours: 1 }, FeatureSets.rows(bank, places), [test])
        })
        const shares = tries.map(([figure]) => figure!.top1)
        const mean = (shares[0]! + shares[1]! + shares[2]!) / 3
        assert.closeTo(one!.figures[0]!.top1, mean, 1e-12)
        const squares = shares.reduce((sum, share) => sum + (share - mean) ** 2, 0)
        assert.closeTo(one!.deviations![0]!, Math.sqrt(squares / 2), 1e-12)
        assert.isAbove(one!.deviations![0]!, 0)
        assert.strictEqual(one!.tries, 3)
        const { interval: [low, high] } = one!.figures[0]!
        assert.isTrue(low < mean && mean < high)
      }))

    it.effect("logistic regression is fitted again on the images of the choice as well", () =>
      Effect.gen(function*() {
        const [train, val, test] = [around("train", 60, 1.5), around("val", 40, 1.5), around("test", 90, 1.5)]
        const config = { ...preset.probe, logreg: { c: [1e-4, 0.1, 100] as const } }
        const found = yield* logisticRegression(config, { train, validation: val, tests: [test] })
        assert.strictEqual(found.chosenOn, "val")
        assert.deepStrictEqual(found.tried.map(({ value }) => value), [1e-4, 0.1, 100])
        const best = Math.max(...found.tried.map(({ score }) => score))
        assert.strictEqual(found.tried.find(({ score }) => score === best)!.value, found.c)
        const single = { ...config, logreg: { c: [found.c] as const } }
        const alone = (set: FeatureSet) => logisticRegression(single, { train: set, tests: [test] })
        const both = yield* alone(FeatureSets.join(train, val))
        assert.deepStrictEqual(both, {
          figures: found.figures,
          c: found.c,
          fittedOn: "train",
          tried: [],
          atEdge: false,
          hasConverged: true
        })
        const short = { c: [found.c] as const, iterations: 1 }
        const cut = yield* logisticRegression({ ...config, logreg: short }, { train, tests: [test] })
        assert.isFalse(cut.hasConverged)
        assert.strictEqual(found.fittedOn, "train and val")
        const fixed = (validation: FeatureSet, tests: ReadonlyArray<FeatureSet>) =>
          logisticRegression(single, { train, validation, tests })
        assert.deepStrictEqual(yield* fixed(val, [test]), { ...both, fittedOn: "train and val" })
        const wrong = shifted(around("wrong", 300, 1.5))
        const misled = yield* fixed(wrong, [test])
        assert.deepStrictEqual(misled.figures, (yield* alone(FeatureSets.join(train, wrong))).figures)
        assert.isBelow(misled.figures[0]!.top1, (yield* alone(train)).figures[0]!.top1)
        assert.strictEqual((yield* fixed(val, [val])).fittedOn, "train")
        assert.deepStrictEqual(yield* fixed(train, [test]), yield* alone(train))
        const part = yield* logisticRegression(config, { train, validation: test, tests: [test] })
        assert.strictEqual(part.chosenOn, "a held-out part of train (6 of 60 images)")
        assert.strictEqual(part.fittedOn, "train")
        assert.deepStrictEqual(
          part.figures,
          (yield* logisticRegression({ ...config, logreg: { c: [part.c] } }, { train, tests: [test] })).figures
        )
        assert.isAbove(found.figures[0]!.top1, 0.6)
      }))
  })
})
