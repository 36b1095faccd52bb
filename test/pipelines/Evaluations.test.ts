import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as Keyed from "../../src/domain/Keyed.ts"
import type { FeatureSet } from "../../src/pipelines/FeatureSet.ts"
import { knn } from "../../src/pipelines/Knn.ts"
import { probe } from "../../src/pipelines/Probe.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import { engine, micro } from "./kit.ts"

const preset = micro()
const WIDTH = 4

const rows = (count: number, width: number, values: ArrayLike<number>): FeatureSet["features"] =>
  HostTensor.make([count, width], "float32", Float32Array.from(values))

const around = (purpose: string, count: number, distance: number): FeatureSet => {
  const { normal } = Keyed.generator({ seed: 0, purpose, epoch: 0, index: 0 })
  const labels = Int32Array.from({ length: count }, (_, row) => row % 3)
  const values = Float32Array.from(
    { length: count * WIDTH },
    (_, i) => (i % WIDTH === labels[Math.floor(i / WIDTH)] ? distance : 0) + normal()
  )
  return { labels, features: rows(count, WIDTH, values) }
}

const shifted = ({ features, labels }: FeatureSet): FeatureSet => ({
  features,
  labels: labels.map((label) => (label + 1) % 3)
})

const scaled = ({ features, labels }: FeatureSet): FeatureSet => ({
  labels,
  features: HostTensor.make(features.shape, "float32", features.data.map((value) => value * 1000 + 5))
})

describe("evaluations", () => {
  layer(engine)((it) => {
    it.effect("the probe separates what is separable, whatever its scale", () =>
      Effect.gen(function*() {
        const data = { train: around("train", 60, 12), validation: around("val", 30, 12) }
        const tests = [around("test", 300, 12), shifted(around("test", 300, 12))]
        const near = yield* probe(preset.probe, 3, { ...data, tests })
        assert.deepStrictEqual(near.accuracies, [1, 0])
        const far = yield* probe(preset.probe, 3, {
          train: scaled(data.train),
          validation: scaled(data.validation),
          tests: tests.map(scaled)
        })
        assert.deepStrictEqual(far.accuracies, [1, 0])
      }))

    it.effect("the probe takes the regularisation that is best on the validation set, the first of equals", () =>
      Effect.gen(function*() {
        const train = around("train", 60, 12)
        const config = { ...preset.probe, l2: [1e-3, 1e6] as const }
        const { l2 } = yield* probe(config, 3, { train, validation: around("val", 30, 12), tests: [] })
        assert.strictEqual(l2, 1e-3)
        const other = yield* probe({ ...config, l2: [1e6, 1e-3] }, 3, {
          train: around("train", 61, 1.5),
          validation: around("val", 300, 1.5),
          tests: []
        })
        assert.strictEqual(other.l2, 1e-3)
      }))

    it.effect("the nearest neighbour of a copy is its original", () =>
      Effect.gen(function*() {
        const bank = around("bank", 300, 0)
        const config = { ...preset.knn, neighbours: 1 }
        assert.deepStrictEqual(yield* knn(config, 3, bank, [bank, shifted(bank)]), [1, 0])
      }))

    it.effect("near neighbours outvote far ones", () =>
      Effect.gen(function*() {
        const bank: FeatureSet = {
          labels: Int32Array.of(0, 1, 1),
          features: rows(3, 2, [1, 0, 0.6, 0.8, 0.6, -0.8])
        }
        const query: FeatureSet = {
          labels: Int32Array.of(0),
          features: rows(1, 2, [3, 0])
        }
        const vote = (neighbours: number, temperature: number) =>
          Effect.map(knn({ ...preset.knn, neighbours, temperature }, 2, bank, [query]), ([accuracy]) => accuracy)
        assert.strictEqual(yield* vote(3, 0.1), 1)
        assert.strictEqual(yield* vote(3, 10), 0)
        assert.strictEqual(yield* vote(1, 10), 1)
        assert.strictEqual(yield* vote(100, 0.1), 1)
      }))
  })
})
