import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import * as Mixup from "../../src/domain/method/Mixup.ts"
import * as KeyedRandom from "../../src/domain/values/KeyedRandom.ts"
import * as Gradient from "../../src/shapes/Gradient.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import * as Loss from "../../src/shapes/Loss.ts"
import { constant, type Tensor } from "../../src/shapes/Tensor.ts"
import * as Eager from "../parity/eager.ts"
import * as Vectors from "./vectors.ts"

const problem = fc.record({
  seed: fc.nat(),
  rows: fc.integer({ min: 1, max: 6 }),
  classes: fc.integer({ min: 2, max: 8 }),
  smoothing: fc.integer({ min: 0, max: 99 }).map((percent) => percent / 100)
}).map(({ classes, rows, seed, smoothing }) => {
  const { integer } = KeyedRandom.generator({ seed, purpose: "labels", epoch: 0, index: 0 })
  return {
    smoothing,
    logits: Vectors.matrix(seed, "logits", rows, classes),
    labels: Int32Array.from({ length: rows }, () => integer(0, classes - 1))
  }
})

const expected = (logits: Vectors.Matrix, labels: Int32Array, smoothing: number): number => {
  const losses = Vectors.rows(logits).map((row, at) => {
    const normal = Math.log(row.reduce((sum, x) => sum + Math.exp(x), 0))
    const share = (k: number) => smoothing / row.length + (k === labels[at] ? 1 - smoothing : 0)
    return row.reduce((sum, x, k) => sum + share(k) * (normal - x), 0)
  })
  return losses.reduce((sum, x) => sum + x, 0) / losses.length
}

const valueAndGradient = (logits: Vectors.Matrix, loss: (logits: Tensor<[number, number]>) => Tensor<[]>) =>
  Eager.eagerly(
    { logits },
    (given: { readonly logits: Tensor<[number, number]> }) =>
      Gradient.valueAndGradient((x: typeof given) => ({ loss: loss(x.logits), aux: {} }), given)
  )

describe("label smoothing", () => {
  it("spreads its share over all classes, in the value and in the gradient", () => {
    fc.assert(fc.property(problem, ({ labels, logits, smoothing }) => {
      const [rows, classes] = logits.shape
      const labelled = HostTensor.make([rows], "int32", labels)
      const smoothed = Mixup.targets(labels, { share: 1, box: null }, { classes, smoothing })
      const targets = HostTensor.make([rows, classes], "float32", smoothed)
      const own = valueAndGradient(logits, (x) => Loss.crossEntropy(x, constant(labelled), smoothing))
      const soft = valueAndGradient(logits, (x) => Loss.softCrossEntropy(x, constant(targets)))
      assert.closeTo(HostTensor.item(own.loss), expected(logits, labels, smoothing), 1e-5)
      assert.closeTo(HostTensor.item(own.loss), HostTensor.item(soft.loss), 1e-5)
      own.gradients.logits.data.forEach((x, at) => assert.closeTo(x, soft.gradients.logits.data[at]!, 1e-5))
    }))
  })
})
