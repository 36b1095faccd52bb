import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, Layer, Schema } from "effect"
import { existsSync } from "node:fs"
import * as Stages from "../../src/jobs/Stages.ts"
import { Checkpoints } from "../../src/layers/run/Checkpoints.ts"
import * as Progress from "../../src/layers/run/Progress.ts"
import * as Runs from "../../src/layers/run/Runs.ts"
import * as RemoteRuns from "../../src/layers/storage/RemoteRuns.ts"
import * as SharedWork from "../../src/layers/storage/SharedWork.ts"
import { pretrain } from "../../src/pipelines/Pretrain.ts"
import { trainTokenizer } from "../../src/pipelines/TrainTokenizer.ts"
import { machine, micro } from "../pipelines/kit.ts"

export const EVERY = 5
export const STEPS = 25

const preset = micro({ duration: STEPS })
const options = { checkpointEvery: EVERY }

const slow = (millis: number) =>
  Layer.effect(
    Runs.Runs,
    Effect.map(Runs.Runs, (runs) => ({
      ...runs,
      log: (row: Runs.Row) => Effect.andThen(Effect.sleep(millis), runs.log(row))
    }))
  )

const telling = <A, E, R>(stage: string, self: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const steps = yield* (yield* Checkpoints).steps(stage)
    process.stdout.write(`${stage} begins with ${steps.map((step) => `step ${step}`).join(" ")}\n`)
    return yield* self
  })

const payload = Schema.Struct({ out: Schema.String, millis: Schema.Finite, gpu: Schema.Boolean })

export const SHARDS = 12

export const shared = Stages.workflow("Shared", {
  payload,
  title: ({ out }) => out,
  workers: () => 4,
  stages: ({ out }) => {
    const share = SharedWork.make(
      out,
      { shards: SHARDS, about: { test: "jobs" } },
      (shard, write) =>
        Effect.gen(function*() {
          yield* write(Uint8Array.of(shard))
          process.stdout.write(`begins shard ${shard}\n`)
          while (!existsSync(`${out}-open`)) yield* Effect.sleep(20)
          yield* write(Uint8Array.of(2 * shard))
        }),
      (step) =>
        Effect.flatMap(Progress.Progress, ({ report }) => report({ stage: "shards", step, total: SHARDS, metrics: {} }))
    )
    const run = Effect.provide(share, NodeServices.layer)
    return [{ name: "shards", run, help: run }]
  }
})

export const run = Stages.workflow("Micro", {
  payload,
  title: ({ out }) => out,
  needs: ({ gpu }) => ({ engine: "onnx", gpu, memoryGiB: 0 }),
  stages: ({ millis, out }) => {
    const layer = out.startsWith("s3:") ? RemoteRuns.layer : Runs.layer
    const services = Layer.merge(machine, Layer.provideMerge(slow(millis), layer(out, { config: { test: "jobs" } })))
    const tokenizer = trainTokenizer(preset.tokenizer, options)
    const whole = Effect.flatMap(tokenizer, (found) => pretrain(preset.pretrain, found, options))
    return [
      { name: "tokenizer", run: Effect.provide(telling("tokenizer", tokenizer), services) },
      { name: "pretrain", run: Effect.provide(telling("pretrain", whole), services) }
    ]
  }
})
