import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import * as LinearProbe from "../../src/nn/finetune/LinearProbe.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import * as Eager from "../parity/eager.ts"
import * as Vectors from "../properties/vectors.ts"

const problems = fc.record({
  seed: fc.nat(),
  examples: fc.integer({ min: 1, max: 12 }),
  width: fc.integer({ min: 1, max: 5 }),
  classes: fc.integer({ min: 2, max: 5 }),
  l2: fc.double({ min: 0, max: 2, noNaN: true })
})

describe("the objective of the linear probe", () => {
  it("is the regularised likelihood, with its gradient", () => {
    fc.assert(fc.property(problems, ({ classes, examples, l2, seed, width }) => {
      const features = Vectors.matrix(seed, "features", examples, width)
      const weight = Vectors.matrix(seed, "weight", classes, width)
      const bias = Vectors.matrix(seed, "bias", 1, classes).data
      const labels = Int32Array.from({ length: examples }, (_, row) => (row * 7 + seed) % classes)
      const { gradient, loss } = Eager.infer(
        LinearProbe.objective<number, number, number>(examples, width, classes),
        { features, labels: HostTensor.make<[number], "int32">([examples], "int32", labels) },
        {
          classifier: { weight, bias: HostTensor.make<[number], "float32">([classes], "float32", bias) },
          l2: HostTensor.scalar(l2)
        }
      )
      const rows = Vectors.rows(features)
      const shares = rows.map((row) => {
        const exponentials = Vectors.rows(weight).map((column, at) => Math.exp(Vectors.dot(column, row) + bias[at]!))
        const sum = exponentials.reduce((a, b) => a + b)
        return exponentials.map((x) => x / sum)
      })
      const mean = (values: ReadonlyArray<number>) => values.reduce((a, b) => a + b) / values.length
      const squares = weight.data.reduce((sum, x) => sum + x * x, 0)
      const surprise = mean(shares.map((share, row) => -Math.log(share[labels[row]!]!)))
      assert.closeTo(HostTensor.item(loss), surprise + l2 / 2 * squares, 1e-4)
      const excess = shares.map((share, row) => share.map((p, at) => p - (labels[row] === at ? 1 : 0)))
      gradient.bias.data.forEach((x, at) => assert.closeTo(x, mean(excess.map((row) => row[at]!)), 1e-5))
      gradient.weight.data.forEach((x, at) => {
        const [column, channel] = [Math.floor(at / width), at % width]
        const pull = mean(excess.map((row, place) => row[column]! * rows[place]![channel]!))
        assert.closeTo(x, pull + l2 * weight.data[at]!, 1e-5)
      })
    }))
  })
})
