import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import * as LogisticRegression from "../../src/domain/evaluation/LogisticRegression.ts"
import * as Vectors from "./vectors.ts"

const problems = fc.record({
  seed: fc.nat(),
  count: fc.integer({ min: 1, max: 40 }),
  width: fc.integer({ min: 1, max: 7 }),
  classes: fc.integer({ min: 2, max: 5 }),
  l2: fc.double({ min: 0, max: 2, noNaN: true })
})

describe("LogisticRegression", () => {
  it("is the regularised likelihood, and its gradient is the slope", () =>
    fc.assert(
      fc.property(problems, ({ classes, count, l2, seed, width }) => {
        const features = Vectors.matrix(seed, "features", count, width).data
        const labels = Int32Array.from({ length: count }, (_, row) => (row * 7 + seed) % classes)
        const examples = { features, labels, width, classes }
        const point = Float64Array.from(Vectors.matrix(seed, "point", 1, (width + 1) * classes).data)
        const { gradient, value } = LogisticRegression.evaluate(examples, point, l2)
        const logits = LogisticRegression.logits(examples, point)
        let expected = 0
        for (let row = 0; row < count; row++) {
          const own = Array.from({ length: classes }, (_, k) => {
            let sum = point[classes * width + k]!
            for (let i = 0; i < width; i++) sum += features[row * width + i]! * point[k * width + i]!
            assert.closeTo(logits[row * classes + k]!, sum, 1e-4)
            return sum
          })
          const total = own.reduce((sum, logit) => sum + Math.exp(logit), 0)
          expected += (Math.log(total) - own[labels[row]!]!) / count
        }
        expected += l2 / 2 * point.subarray(0, classes * width).reduce((sum, x) => sum + x * x, 0)
        assert.closeTo(value, expected, 1e-9)
        const place = seed % point.length
        const at = (by: number) =>
          LogisticRegression.evaluate(examples, point.map((x, i) => (i === place ? x + by : x)), l2).value
        assert.closeTo(gradient[place]!, (at(1e-5) - at(-1e-5)) / 2e-5, 1e-6)
      }),
      { numRuns: 50 }
    ))

  it("pauses in long sums, and is the same", () => {
    const [count, width, classes] = [4096, 64, 80]
    const features = Vectors.matrix(1, "features", count, width).data
    const labels = Int32Array.from({ length: count }, (_, row) => row % classes)
    const examples = { features, labels, width, classes }
    const run = LogisticRegression.steps(examples, LogisticRegression.start(examples), 0)
    let pauses = 0
    let next = run.next()
    while (next.done !== true) {
      pauses++
      next = run.next()
    }
    assert.isAtLeast(pauses, 2)
    assert.closeTo(next.value.value, Math.log(classes), 1e-9)
  })
})
