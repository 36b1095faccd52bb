import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { readFileSync } from "node:fs"
import * as Config from "../../src/domain/config/Config.ts"
import { tiny } from "../../src/domain/config/presets/Presets.ts"
import * as DemoExpectations from "../../src/domain/evaluation/DemoExpectations.ts"
import * as Report from "../../src/domain/evaluation/Report.ts"
import { report } from "../e2e/sample.ts"

const refused = (change: object) => Effect.flip(Config.decode(Report.Report, "report.json")({ ...report, ...change }))

describe("Report", () => {
  it.effect("survives its file", () =>
    Effect.gen(function*() {
      const text = yield* Schema.encodeEffect(Report.ReportJson)(report)
      assert.deepStrictEqual(yield* Schema.decodeEffect(Report.ReportJson)(text), report)
      assert.strictEqual(JSON.parse(text).rendition["3d"].probe.pretrained, 0.447)
    }))

  it.effect("refuses accuracies that are no shares, by name", () =>
    Effect.gen(function*() {
      const error = yield* refused({ probe: { random: 0.36, tokenizer: 0.4, pretrained: 45.2 } })
      assert.deepStrictEqual(error.problems, [{
        path: "probe.pretrained",
        message: "expected a number from 0 to 1, got 45.2"
      }])
    }))

  it.effect("refuses a report without a count of each split", () =>
    Effect.gen(function*() {
      const { val: _, ...counts } = report.counts
      assert.deepStrictEqual((yield* refused({ counts })).problems.map(({ path }) => path), ["counts.val"])
    }))

  it.effect("refuses expectations of figures that it does not have", () =>
    Effect.gen(function*() {
      const figures = [
        { figure: "tokenizer.cosine", atLeast: 0.5 },
        { figure: "probe.pretrained", above: "probe.untrained", by: 0 },
        { figure: "seed.constructor", atLeast: 0 }
      ]
      const { problems } = yield* refused({ expected: { figures, curves: [] } })
      assert.deepStrictEqual(problems.map(({ path }) => path), ["expected.figures.1", "expected.figures.2"])
      assert.match(problems[0].message, /"probe\.untrained"/)
    }))

  it.effect("refuses more codes than the codebook has", () =>
    Effect.gen(function*() {
      const { problems } = yield* refused({ tokenizer: { ...report.tokenizer, usage: 257 } })
      assert.deepStrictEqual(problems.map(({ path }) => path), ["tokenizer.usage"])
      assert.match(problems[0].message, /at most the 256 codes/)
    }))

  it("expects the demo to end in the time that the README tells", () => {
    const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8")
    const minutes = Number(/A run takes [\d.]+ to (\d+) minutes/.exec(readme)?.[1])
    assert.deepInclude(DemoExpectations.figures, { figure: "seconds", atMost: 60 * minutes })
  })

  it("finds figures by their paths", () => {
    assert.strictEqual(Report.figure(report, "rendition.flat.finetune.random"), 0.383)
    assert.strictEqual(Report.figure(report, "knn.tokenizer"), undefined)
    assert.strictEqual(Report.figure(report, "preset"), undefined)
    assert.strictEqual(Report.figure(report, "preset.length"), undefined)
    assert.closeTo(Report.figure(report, "seconds")!, 409.3, 1e-9)
    assert.strictEqual(Report.figure(report, "seconds.tokenizer"), 52.8)
  })

  it("judges what was expected", () => {
    const missed = Report.verdicts(report).filter(({ reached }) => !reached)
    assert.strictEqual(Report.verdicts(report).length, 10)
    assert.deepStrictEqual(
      missed.map(({ baseline, expectation, measured }) => [expectation.figure, measured, baseline]),
      [
        ["rendition.3d.finetune.pretrained", 0.409, 0.383]
      ]
    )
  })

  it("takes equality for a bound that was reached, but not for a gain", () => {
    const figures: Readonly<Record<string, number>> = { a: 0.3, b: 0.25, c: 0.3 }
    const reached = (expectation: Report.Expectation) => Report.judge(expectation, (path) => figures[path]!).reached
    assert.isTrue(reached({ figure: "a", atLeast: 0.3 }))
    assert.isTrue(reached({ figure: "a", atMost: 0.3 }))
    assert.isFalse(reached({ figure: "a", atMost: 0.29 }))
    assert.isFalse(reached({ figure: "b", atLeast: 0.26 }))
    assert.isTrue(reached({ figure: "a", above: "b", by: 0.05 }))
    assert.isFalse(reached({ figure: "a", above: "b", by: 0.051 }))
    assert.isFalse(reached({ figure: "a", above: "c", by: 0 }))
  })

  it("knows how uncertain an accuracy is", () => {
    assert.closeTo(Report.deviation(0.5, 100), 0.05, 1e-12)
    assert.strictEqual(Report.deviation(0.5, 0), 0)
  })

  it("expects the curves of the demo to the last step of its preset", () => {
    const lasts = DemoExpectations.curves.map(({ metric, points, stage }) => [stage, metric, points.at(-1)!.step])
    const steps = { tokenizer: tiny.tokenizer.optimizer.duration, pretrain: tiny.pretrain.optimizer.duration }
    assert.deepStrictEqual(lasts, [
      ...["loss", "cosine", "usage", "perplexity"].map((metric) => ["tokenizer", metric, steps.tokenizer]),
      ...["loss_1", "accuracy_1"].map((metric) => ["pretrain", metric, steps.pretrain])
    ])
    assert.isTrue(
      DemoExpectations.curves.every(({ points }) => points.every(({ high, low }) => 0 <= low && low < high))
    )
  })

  it("expects curves of the demo that rise or fall within what is possible, each a band of its own width", () => {
    const { codebook: { size } } = tiny.tokenizer
    const most: Readonly<Record<string, number>> = {
      loss: 1,
      cosine: 1,
      usage: size,
      perplexity: size,
      loss_1: Math.log(size),
      accuracy_1: 1
    }
    const widths = DemoExpectations.curves.map(({ metric, points }) => {
      const highs = points.map(({ high }) => high)
      const [first, last] = metric.startsWith("loss") ? [highs.toReversed(), points.toReversed()] : [highs, points]
      assert.deepStrictEqual(first, first.toSorted((a, b) => a - b))
      assert.strictEqual(new Set(first).size, first.length)
      assert.isBelow(last.at(-1)!.low, most[metric]!)
      const steps = points.map(({ step }) => step)
      assert.deepStrictEqual(steps, [...new Set(steps)].toSorted((a, b) => a - b))
      assert.isTrue(steps.every((step) => step > 0 && step % 25 === 0))
      for (const { high, low } of points) assert.closeTo(high - low, highs[0]! - points[0]!.low, 1e-9)
      return Number((highs[0]! - points[0]!.low).toFixed(3))
    })
    assert.deepStrictEqual(widths, [0.06, 0.06, 50, 40, 0.3, 0.05])
  })
})
