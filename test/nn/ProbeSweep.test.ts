import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import * as ProbeSweep from "../../src/nn/finetune/ProbeSweep.ts"
import * as Dim from "../../src/shapes/Dim.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import * as Eager from "../parity/eager.ts"
import * as Vectors from "../properties/vectors.ts"

const problems = fc.record({
  seed: fc.nat(),
  images: fc.integer({ min: 2, max: 6 }),
  channels: fc.integer({ min: 1, max: 4 }),
  classes: fc.integer({ min: 2, max: 4 })
})

const heads = ProbeSweep.heads({ blocks: [1, 2], pooling: ["cls", "cls+mean"], rates: [0.5, 20] })

const sweepOf = (given: { seed: number; images: number; channels: number; classes: number }, batchNorm: boolean) => {
  const { channels, images, seed } = given
  const sizes = { heads, channels, classes: Dim.named("classes", given.classes), batchNorm }
  const batch = Dim.named("batch", images)
  const step = ProbeSweep.step(sizes, batch, { momentum: 0.9 })
  const batchOf = (number: number, change = (value: number, _row: number) => value) => ({
    features: Object.fromEntries(
      Object.entries(step.batch.features).map(([name, { shape }]) => {
        const { data } = Vectors.matrix(seed, `${name} ${number}`, images, shape[1])
        return [name, HostTensor.make(shape, "float32", data.map((x, i) => change(x, Math.floor(i / shape[1]))))]
      })
    ),
    labels: HostTensor.make(
      [batch],
      "int32",
      Int32Array.from({ length: images }, (_, i) => (i + seed) % given.classes)
    ),
    rate: HostTensor.scalar(1)
  })
  return { sizes, batch, step, batchOf, initial: ProbeSweep.initial(sizes, seed) }
}

describe("the sweep of probes", () => {
  it("keeps the running statistics of features, by PyTorch's rule", () =>
    fc.assert(
      fc.property(problems, (given) => {
        const { batchOf, initial, step } = sweepOf(given, true)
        const shown = batchOf(0)
        const { state } = Eager.train(step, initial, shown)
        for (const [name, { data, shape: [rows, width] }] of Object.entries(shown.features)) {
          for (let channel = 0; channel < width; channel++) {
            const own = Array.from({ length: rows }, (_, row) => data[row * width + channel]!)
            const mean = own.reduce((a, b) => a + b) / rows
            const variance = own.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (rows - 1)
            assert.closeTo(state.running![name]!.running_mean.data[channel]!, 0.1 * mean, 1e-5)
            assert.closeTo(state.running![name]!.running_var.data[channel]!, 0.9 + 0.1 * variance, 1e-4)
          }
        }
      }),
      { numRuns: 20 }
    ))

  it("sees the same through a batch norm, whatever the scale of features", () =>
    fc.assert(
      fc.property(problems, (given) => {
        const { batchOf, initial, step } = sweepOf({ ...given, images: given.images + 2 }, true)
        const [one, other] = [batchOf(0), batchOf(0, (value) => 50 * value - 7)].map((batch) =>
          Eager.train(step, initial, batch)
        )
        heads.forEach(({ name }) =>
          assert.closeTo(
            HostTensor.item(one!.metrics.losses[name]!),
            HostTensor.item(other!.metrics.losses[name]!),
            2e-3
          )
        )
      }),
      { numRuns: 20 }
    ))

  it("changes nothing in a step that is not finite", () => {
    for (const batchNorm of [false, true]) {
      const { batchOf, initial, step } = sweepOf({ seed: 1, images: 4, channels: 2, classes: 3 }, batchNorm)
      const { state } = Eager.train(step, initial, batchOf(0, (value, row) => row === 1 ? Number.NaN : value))
      assert.deepStrictEqual(state, initial)
    }
  })

  it("predicts as its logits", () =>
    fc.assert(
      fc.property(problems, fc.boolean(), (given, batchNorm) => {
        const { batch, batchOf, initial, sizes } = sweepOf(given, batchNorm)
        const { parameters, running } = initial
        const weights = { heads: parameters, ...(running === undefined ? {} : { running }) }
        const { features } = batchOf(3)
        const { predicted } = Eager.infer(ProbeSweep.predictions(sizes, batch), weights, { features })
        for (const head of heads) {
          const alone = { ...sizes, heads: [head] }
          const kind = ProbeSweep.nameOf(head.features)
          const { logits } = Eager.infer(
            ProbeSweep.logits(alone, batch),
            {
              heads: { [head.name]: parameters[head.name]! },
              ...(running === undefined ? {} : { running: { [kind]: running[kind]! } })
            },
            { features: { [kind]: features[kind]! } }
          )
          predicted[head.name]!.data.forEach((label, row) => {
            const own = Array.from(logits.data.subarray(row * given.classes, (row + 1) * given.classes))
            assert.strictEqual(label, own.indexOf(Math.max(...own)))
          })
        }
      }),
      { numRuns: 10 }
    ))
})
