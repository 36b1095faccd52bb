import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import * as Metrics from "../../src/domain/evaluation/Metrics.ts"
import * as Codebook from "../../src/domain/method/Codebook.ts"

const counts = fc.array(fc.nat(1000), { minLength: 1, maxLength: 64 })
const used = counts.filter((all) => all.some((n) => n > 0))
const codes = fc.int32Array({ min: 0, max: 31, maxLength: 200 })

describe("Codebook", () => {
  it("has a perplexity from 1 to its usage", () => {
    fc.assert(fc.property(used, (all) => {
      const perplexity = Codebook.perplexity(all)
      assert.isAtLeast(perplexity, 1 - 1e-12)
      assert.isAtMost(perplexity, Codebook.usage(all) * (1 + 1e-12))
      assert.closeTo(Math.log(perplexity), Codebook.entropy(all), 1e-9)
    }))
  })

  it("has a perplexity that neither order nor scale nor unused codes change", () => {
    fc.assert(fc.property(used, fc.integer({ min: 1, max: 50 }), (all, factor) => {
      const other = [...all.toReversed().map((n) => n * factor), 0]
      assert.closeTo(Codebook.perplexity(other), Codebook.perplexity(all), 1e-9 * Codebook.perplexity(all))
    }))
  })

  it("splits all codes into used and dead", () => {
    fc.assert(fc.property(counts, (all) => {
      assert.strictEqual(Codebook.usage(all) + Codebook.dead(all).length, all.length)
      assert.isTrue(Codebook.dead(all).every((code) => all[code] === 0))
      assert.strictEqual(Codebook.mostUsed(all, all.length).length, Codebook.usage(all))
    }))
  })

  it("counts every position once", () => {
    fc.assert(fc.property(codes, (all) => {
      const counted = Codebook.count(all, 32)
      assert.strictEqual(counted.reduce((a, b) => a + b, 0), all.length)
      assert.strictEqual(Codebook.usage(counted), new Set(all).size)
    }))
  })

  it("sees no churn in equal codes and as much forwards as backwards", () => {
    fc.assert(fc.property(codes, fc.infiniteStream(fc.nat(31)), (before, stream) => {
      assert.deepStrictEqual(Codebook.churn(before, before), { changed: 0, appeared: [], vanished: [] })
      const after = before.map(() => Number(stream.next().value))
      const [forwards, backwards] = [Codebook.churn(before, after), Codebook.churn(after, before)]
      assert.strictEqual(forwards.changed, backwards.changed)
      assert.deepStrictEqual(forwards.appeared, backwards.vanished)
      assert.isTrue(forwards.appeared.every((code) => after.includes(code) && !before.includes(code)))
    }))
  })
})

describe("Metrics", () => {
  const scored = fc.tuple(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 20 })).chain(([classes, rows]) =>
    fc.record({
      classes: fc.constant(classes),
      logits: fc.float32Array({ minLength: rows * classes, maxLength: rows * classes, noNaN: true }),
      labels: fc.int32Array({ minLength: rows, maxLength: rows, min: 0, max: classes - 1 })
    })
  )

  it("has a top-k accuracy that grows with k up to 1, and top-1 is that of the predictions", () => {
    fc.assert(fc.property(scored, ({ classes, labels, logits }) => {
      const accuracies = Array.from({ length: classes }, (_, i) => Metrics.topK(logits, labels, classes, i + 1))
      assert.isTrue(accuracies.slice(1).every((accuracy, i) => accuracy >= accuracies[i]!))
      assert.strictEqual(accuracies.at(-1), 1)
      const right = Metrics.predictions(logits, classes).filter((c, i) => c === labels[i]).length
      assert.strictEqual(accuracies[0], right / labels.length)
    }))
  })

  it("has a confusion matrix whose rows are the labels and whose diagonal is the accuracy", () => {
    fc.assert(fc.property(scored, ({ classes, labels, logits }) => {
      const counts = Metrics.confusion(Metrics.predictions(logits, classes), labels, classes)
      assert.strictEqual(counts.reduce((a, b) => a + b, 0), labels.length)
      const diagonal = Array.from({ length: classes }, (_, i) => counts[i * classes + i]!).reduce((a, b) => a + b, 0)
      assert.closeTo(diagonal / labels.length, Metrics.topK(logits, labels, classes, 1), 1e-12)
      const mean = Metrics.meanClassAccuracy(counts, classes)
      assert.isTrue(mean >= 0 && mean <= 1)
    }))
  })
})
