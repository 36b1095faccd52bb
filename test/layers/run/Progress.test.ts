import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Queue, Stdio, Terminal } from "effect"
import { TestClock, TestConsole } from "effect/testing"
import * as Progress from "../../../src/layers/run/Progress.ts"

const report = (step: number, more: Partial<Progress.Report> = {}) =>
  Effect.flatMap(
    Progress.Progress,
    (progress) => progress.report({ stage: "pretrain", step, total: 100, metrics: {}, ...more })
  )

const message = (text: string) => Effect.flatMap(Progress.Progress, (progress) => progress.message(text))

const terminal = (shown: Array<string>, columns = 120) =>
  Layer.succeed(
    Terminal.Terminal,
    Terminal.make({
      columns: Effect.succeed(columns),
      rows: Effect.succeed(24),
      size: Queue.unbounded(),
      readInput: Queue.unbounded(),
      readLine: Effect.succeed(""),
      display: (text) => Effect.sync(() => void shown.push(text))
    })
  )

const plain = (options?: Progress.Options) =>
  Progress.layerTerminal(options).pipe(Layer.provide([terminal([]), Stdio.layerTest({})]))

const interactive = (shown: Array<string>, columns?: number, options?: Progress.Options) =>
  Progress.layerTerminal(options).pipe(
    Layer.provide([terminal(shown, columns), Stdio.layerTest({ stdoutIsTerminal: Effect.succeed(true) })])
  )

describe("Progress", () => {
  it.effect("is silent by default", () =>
    Effect.gen(function*() {
      yield* report(1)
      yield* message("done")
      assert.deepStrictEqual(yield* TestConsole.logLines, [])
    }))

  it.effect("says all it knows in a line", () =>
    Effect.gen(function*() {
      yield* report(10, { metrics: { loss: 6.23456, lr: 0.0015 } })
      yield* TestClock.adjust("50 seconds")
      yield* report(20, { metrics: { loss: 5 }, imagesPerSecond: 51.26 })
      yield* TestClock.adjust("2 hours")
      yield* report(60)
      yield* report(100)
      assert.deepStrictEqual(yield* TestConsole.logLines, [
        "pretrain 10/100 (10%)  loss 6.235  lr 0.0015",
        "pretrain 20/100 (20%)  loss 5  51.3 images/s  6:40 left",
        "pretrain 60/100 (60%)  1:36:40 left",
        "pretrain 100/100 (100%)"
      ])
    }).pipe(Effect.provide(plain())))

  it.effect("prints a line every so many percent or seconds", () =>
    Effect.gen(function*() {
      for (let step = 1; step <= 50; step++) {
        yield* report(step)
        yield* TestClock.adjust("1 second")
      }
      const steps = (yield* TestConsole.logLines).map((line) => /(\d+)\/100/.exec(String(line))?.[1])
      assert.deepStrictEqual(steps, ["1", "11", "20", "30", "40", "50"])
    }).pipe(Effect.provide(plain({ every: "10 seconds", percent: 20 }))))

  it.effect("begins anew with every stage", () =>
    Effect.gen(function*() {
      yield* report(99)
      yield* report(1, { stage: "probe" })
      yield* message("finished")
      assert.deepStrictEqual(yield* TestConsole.logLines, ["pretrain 99/100 (99%)", "probe 1/100 (1%)", "finished"])
    }).pipe(Effect.provide(plain())))

  it.effect("leaves standard output to results when told to", () => {
    const shown: Array<string> = []
    return Effect.gen(function*() {
      yield* report(1)
      yield* message("finished")
      assert.deepStrictEqual(yield* TestConsole.errorLines, ["pretrain 1/100 (1%)", "finished"])
      assert.deepStrictEqual([...shown, ...(yield* TestConsole.logLines)], [])
    }).pipe(Effect.provide(interactive(shown, 120, { to: "stderr" })))
  })

  it.effect("redraws one bar on a terminal, at most ten times a second", () => {
    const shown: Array<string> = []
    return Effect.gen(function*() {
      for (let step = 25; step <= 50; step++) {
        yield* report(step)
        yield* TestClock.adjust("10 millis")
      }
      yield* report(100)
      const steps = shown.map((text) => /(\d+)\/100/.exec(text)?.[1])
      assert.deepStrictEqual(steps, ["25", "35", "45", "100", undefined])
      assert.strictEqual(shown[0], `\r${"pretrain "}${"█".repeat(6)}${"░".repeat(18)} 25/100 (25%)\u001B[K`)
      assert.strictEqual(shown.at(-1), "\n")
      assert.deepStrictEqual(yield* TestConsole.logLines, [])
    }).pipe(Effect.provide(interactive(shown)))
  })

  it.effect("keeps the bar below messages and within the terminal", () => {
    const shown: Array<string> = []
    return Effect.gen(function*() {
      yield* message("first")
      yield* report(50)
      yield* message("second")
      assert.deepStrictEqual(shown, [
        "\rfirst\u001B[K\n",
        "\rpretrain █████████\u001B[K",
        "\rsecond\u001B[K\n",
        "\rpretrain █████████\u001B[K"
      ])
    }).pipe(Effect.provide(interactive(shown, 19)))
  })

  it.effect("ends the line of a bar that is left open", () => {
    const shown: Array<string> = []
    return Effect.gen(function*() {
      yield* report(50).pipe(Effect.provide(interactive(shown)))
      assert.lengthOf(shown, 2)
      assert.strictEqual(shown[1], "\n")
    })
  })
})
