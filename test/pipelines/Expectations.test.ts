import { assert, describe, it } from "@effect/vitest"
import * as DemoExpectations from "../../src/domain/evaluation/DemoExpectations.ts"
import * as Expectations from "../../src/pipelines/report/Expectations.ts"
import { report } from "../e2e/sample.ts"

const judged = (...figures: typeof DemoExpectations.figures) =>
  Expectations.lines({ ...report, expected: { figures, curves: [] } })

describe("what was expected of a run", () => {
  it("is said of learning where all of it was reached", () => {
    assert.deepStrictEqual(judged(...DemoExpectations.figures), ["All 8 figures of learning are as expected."])
  })

  it("is said beside what was found", () => {
    assert.deepStrictEqual(Expectations.lines(report), [
      "1 of 9 figures of learning are not as expected:",
      "  new concepts, 3D style, fine-tuning, pretrained: 40.9 %; expected at least +3.0 over random initialisation (38.3 %)"
    ])
    assert.deepStrictEqual(judged({ figure: "tokenizer.usage", atLeast: 250 }), [
      "1 of 1 figures of learning are not as expected:",
      "  tokenizer, codes used: 240; expected at least 250"
    ])
  })

  it("is a note where a busy machine took its time", () => {
    const expected = [...DemoExpectations.figures.slice(0, -1), { figure: "seconds", atMost: 300 }]
    assert.deepStrictEqual(judged(...expected), [
      "All 8 figures of learning are as expected.",
      "time: 6 min 49 s. Expected: at most 5 min. A slow or busy machine takes longer and learns the same."
    ])
  })

  it("is nothing where nothing was expected", () => {
    assert.deepStrictEqual(judged(), [])
  })
})
