import { afterAll, assert, describe, layer } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, Metric, Option, Tracer } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Images } from "../../src/layers/images/Images.ts"
import { Progress } from "../../src/layers/run/Progress.ts"
import * as Runs from "../../src/layers/run/Runs.ts"
import * as Export from "../../src/pipelines/artifacts/Export.ts"
import * as Evaluate from "../../src/pipelines/evaluate/Evaluate.ts"
import { features } from "../../src/pipelines/evaluate/Features.ts"
import { knn } from "../../src/pipelines/evaluate/Knn.ts"
import { probe } from "../../src/pipelines/evaluate/Probe.ts"
import { pretrain } from "../../src/pipelines/Pretrain.ts"
import * as Backbone from "../../src/pipelines/trained/Backbone.ts"
import * as EvaluationMetrics from "../../src/pipelines/training/EvaluationMetrics.ts"
import { trainTokenizer } from "../../src/pipelines/TrainTokenizer.ts"
import { machine, micro, recording } from "./kit.ts"

const preset = micro({ duration: 4, warmup: 1 })

const folder = mkdtempSync(join(tmpdir(), "patchword-spans-"))
const run = join(folder, "run")

const program = Effect.gen(function*() {
  const tokenizer = yield* trainTokenizer(preset.tokenizer, { checkpointEvery: 2 })
  const backbone = yield* pretrain(preset.pretrain, tokenizer, { checkpointEvery: 2 })
  const test = yield* (yield* Images).load("test")
  yield* Evaluate.evaluateTokenizer(tokenizer, test)
  yield* features(backbone, [test], preset.probe)
}).pipe(Effect.provide(Runs.layer(run, { config: { preset: "micro" } }), { local: true }))

const spansOf = <A, E, R>(self: Effect.Effect<A, E, R>) => {
  const spans: Array<Tracer.NativeSpan> = []
  const tracer = Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    }
  })
  return Effect.as(Effect.withTracer(self, tracer), spans)
}

const failed = (spans: ReadonlyArray<Tracer.NativeSpan>) =>
  spans.flatMap(({ name, status }) => {
    if (status._tag === "Started") return [`${name} has not ended`]
    return Exit.isFailure(status.exit) && !Cause.hasInterruptsOnly(status.exit.cause) ? [`${name} failed`] : []
  })

const depth = (span: Tracer.AnySpan): number =>
  span._tag === "Span" ? 1 + Option.match(span.parent, { onNone: () => -1, onSome: depth }) : 0

const tree = (spans: ReadonlyArray<Tracer.NativeSpan>) =>
  spans.map((span) => "  ".repeat(depth(span)) + span.name.replace(/^patchword\./, ""))

const attributes = (spans: ReadonlyArray<Tracer.NativeSpan>, name: string) => {
  const found = spans.findLast((span) => span.name === name)
  return Object.fromEntries(found?.attributes ?? [])
}

describe("the spans of a run", () => {
  afterAll(() => rmSync(folder, { recursive: true }))

  layer(machine)((it) => {
    it.effect("say what it does, and none fails on a first start, on a resume or when all is done", () =>
      Effect.gen(function*() {
        const reached = yield* Deferred.make<void>()
        const progress = recording(
          [],
          ({ stage, step }) => stage === "pretrain" && step === 3 ? Deferred.succeed(reached, undefined) : Effect.void
        )
        const interrupted = Effect.gen(function*() {
          const fiber = yield* Effect.forkChild(Effect.provideService(program, Progress, progress))
          yield* Deferred.await(reached)
          yield* Fiber.interrupt(fiber)
        })
        const first = yield* spansOf(interrupted)
        assert.deepStrictEqual(failed(first), [])
        assert.deepStrictEqual(tree(first).slice(0, 18), [
          "trainTokenizer",
          "  Runs.result",
          "  Runs.weights",
          "  train",
          "    Checkpoints.latest",
          "      Checkpoints.steps",
          "    Runs.rewind",
          "    Runs.computesOn",
          "    Runs.saveSample",
          "      Weights.writeBatch",
          "    train.save",
          "      Checkpoints.save",
          "        Checkpoints.steps",
          "    Runs.saveSample",
          "      Weights.writeBatch",
          "  Runs.saveWeights",
          "    Weights.write",
          "  Runs.done"
        ])
        assert.deepStrictEqual(attributes(first, "patchword.trainTokenizer"), {
          "patchword.stage": "tokenizer",
          "patchword.split": "train",
          "patchword.images": 24,
          "patchword.teacher": "hog"
        })

        const resumed = yield* spansOf(program)
        assert.deepStrictEqual(failed(resumed), [])
        assert.deepStrictEqual(tree(resumed), [
          "trainTokenizer",
          "  Runs.result",
          "  Runs.weights",
          "    Weights.read",
          "pretrain",
          "  Runs.weights",
          "    Weights.read",
          "  Runs.result",
          "  Runs.weights",
          "  train",
          "    Checkpoints.latest",
          "      Checkpoints.steps",
          "      Checkpoints.load",
          "    Runs.rewind",
          "    Runs.computesOn",
          "    Runs.saveSample",
          "      Weights.writeBatch",
          "  Runs.saveWeights",
          "    Weights.write",
          "  Runs.done",
          "evaluateTokenizer",
          "features"
        ])
        assert.deepStrictEqual(attributes(resumed, "patchword.train"), {
          "patchword.stage": "pretrain",
          "patchword.steps": 4,
          "patchword.steps_before": 3,
          "patchword.batch_size": 8,
          "patchword.engine": "onnx cpu, 1 thread",
          "patchword.run": run
        })
        assert.deepStrictEqual(attributes(resumed, "patchword.evaluateTokenizer"), {
          "patchword.split": "test",
          "patchword.images": 12,
          "patchword.engine": "onnx cpu, 1 thread"
        })

        assert.deepStrictEqual(failed(yield* spansOf(program)), [])
      }))

    it.effect("say on what an evaluation looks, and its metrics count the images", () =>
      Effect.gen(function*() {
        const { load } = yield* Images
        const sets = [yield* load("train"), yield* load("test")]
        const { images } = EvaluationMetrics.of("test")
        const { count } = yield* Metric.value(images)
        const backbone = Backbone.untrained(preset.pretrain, 16)
        const spans = yield* spansOf(Effect.gen(function*() {
          const [train, test] = yield* features(backbone, sets, preset.probe)
          yield* knn(preset.knn, train!, [test!])
          yield* probe(preset.probe, { train: train!, tests: [test!] })
          yield* Export.onnx({ _tag: "Backbone", ...backbone }, "features")
        }))
        assert.deepStrictEqual(attributes(spans, "patchword.features"), {
          "patchword.splits": ["train", "test"],
          "patchword.images": 36,
          "patchword.engine": "onnx cpu, 1 thread"
        })
        for (const name of ["patchword.knn", "patchword.probe"]) {
          assert.deepStrictEqual(attributes(spans, name), {
            "patchword.split": "train",
            "patchword.splits": ["test"],
            "patchword.images": 12,
            "patchword.engine": "onnx cpu, 1 thread"
          })
        }
        assert.deepStrictEqual(attributes(spans, "patchword.Export.onnx"), {
          "patchword.what": "features",
          "patchword.network": "Backbone"
        })
        assert.strictEqual((yield* Metric.value(images)).count, count + 12)
      }))
  })
})
