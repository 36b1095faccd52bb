import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Queue, Stream } from "effect"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Follow from "../../src/pipelines/runs/Follow.ts"
import type { State } from "../../src/pipelines/runs/Run.ts"
import * as RunCurves from "../../src/pipelines/runs/RunCurves.ts"
import { ended, start } from "./child.ts"

const STEPS = 16

describe("a run that another process trains", () => {
  it.live("is followed while it trains, is killed and goes on, as one curve", () =>
    Effect.gen(function*() {
      const folder = mkdtempSync(join(tmpdir(), "patchword-followed-"))
      yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(folder, { recursive: true, force: true })))
      const run = join(folder, "run")
      const events = yield* Queue.unbounded<Follow.Event>()
      yield* Follow.follow(run, { every: "100 millis", least: "5 millis" }).pipe(
        Stream.runForEach((event) => Queue.offer(events, event)),
        Effect.forkScoped
      )
      const known = new Map<string, number>()
      const learn = (stage: string, step: number, loss: unknown) =>
        void (typeof loss === "number" && known.set(`${stage} ${step}`, loss))
      const until = (isReached: (event: Follow.Event) => boolean) =>
        Queue.take(events).pipe(
          Effect.tap((event) =>
            Effect.sync(() => {
              if (event._tag === "Curves") {
                known.clear()
                for (const { metric, stage, steps, values } of event.curves) {
                  if (metric === "loss") Array.from(steps).forEach((step, i) => learn(stage, step, values[i]))
                }
              }
              if (event._tag === "Rows") { for (const { loss, stage, step } of event.rows) learn(stage, step, loss) }
            })
          ),
          Effect.repeat({ until: isReached }),
          Effect.timeout("60 seconds")
        )
      const isState = (state: State) => (event: Follow.Event) => event._tag === "Run" && event.run.state === state
      const train = () => start("test/e2e/resumeChild.ts", [run, "onnx", "2", String(STEPS)])

      const first = train()
      const gone = ended(first)
      yield* until(isState("running"))
      yield* until((event) => event._tag === "Rows" && event.rows.some(({ step }) => step >= 6))
      first.kill("SIGKILL")
      yield* Effect.promise(() => gone)
      yield* until(isState("stopped"))

      const second = ended(train())
      const checkpoint = yield* until(({ _tag }) => _tag === "Checkpoint")
      assert.include(checkpoint, { stage: "tokenizer" })
      yield* until(isState("finished"))
      assert.strictEqual((yield* Effect.promise(() => second)).code, 0)
      if (known.size < 2 * STEPS) yield* until(() => known.size === 2 * STEPS)

      const log = readFileSync(join(run, "log.jsonl"), "utf8").split("\n").slice(0, -1).map((line) => JSON.parse(line))
      assert.deepStrictEqual([...known], log.map(({ loss, stage, step }) => [`${stage} ${step}`, loss]))
      const { measured } = yield* RunCurves.read(run)
      for (const stage of ["tokenizer", "pretrain"]) {
        const curve = measured.find((one) => one.stage === stage && one.metric === "loss")!
        assert.deepStrictEqual(curve.steps, Array.from({ length: STEPS }, (_, i) => i + 1))
      }
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)), 180_000)
})
