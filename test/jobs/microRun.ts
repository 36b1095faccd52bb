import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, Layer, Schema } from "effect"
import { existsSync, readdirSync } from "node:fs"
import { join } from "node:path"
import * as Stages from "../../src/jobs/Stages.ts"
import * as Progress from "../../src/layers/run/Progress.ts"
import * as Runs from "../../src/layers/run/Runs.ts"
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

const checkpoints = (out: string, stage: string): ReadonlyArray<string> => {
  const folder = join(out, "checkpoints", stage)
  return existsSync(folder) ? readdirSync(folder).toSorted() : []
}

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
    const services = Layer.merge(
      machine,
      Layer.provideMerge(slow(millis), Runs.layer(out, { config: { test: "jobs" } }))
    )
    const told = (stage: string) =>
      Effect.sync(() => process.stdout.write(`${stage} begins with ${checkpoints(out, stage).join(" ")}\n`))
    const tokenizer = trainTokenizer(preset.tokenizer, options)
    return [
      { name: "tokenizer", run: Effect.andThen(told("tokenizer"), Effect.provide(tokenizer, services)) },
      {
        name: "pretrain",
        run: Effect.andThen(
          told("pretrain"),
          Effect.provide(Effect.flatMap(tokenizer, (found) => pretrain(preset.pretrain, found, options)), services)
        )
      }
    ]
  }
})
