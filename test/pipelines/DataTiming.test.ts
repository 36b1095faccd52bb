import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import * as DataTiming from "../../src/pipelines/training/DataTiming.ts"

describe("DataTiming", () => {
  it.effect("asks for a row after the first step, every ten seconds, and seldom in a long run", () =>
    Effect.gen(function*() {
      const timing = yield* DataTiming.make
      const asked: Array<number> = []
      for (let second = 1; second <= 4000; second++) {
        const bytes = timing.made({})
        yield* timing.begun
        yield* TestClock.adjust("1 second")
        yield* timing.done(bytes)
        if (!timing.due()) continue
        assert.strictEqual(timing.row(second).seconds, second)
        asked.push(second)
      }
      assert.deepStrictEqual(asked.slice(0, 4), [1, 11, 21, 31])
      const gaps = asked.slice(1).map((at, i) => at - asked[i]!)
      assert.isTrue(gaps.every((gap, i) => gap >= 10 && gap <= Math.max(10, asked[i + 1]! / 100 + 1)))
      assert.isAtLeast(gaps.at(-1)!, 39)
    }))
})
