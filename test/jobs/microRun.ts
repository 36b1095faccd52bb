import { Effect, Layer, Schema } from "effect"
import { existsSync, readdirSync } from "node:fs"
import { join } from "node:path"
import * as Stages from "../../src/jobs/Stages.ts"
import * as Runs from "../../src/layers/run/Runs.ts"
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

export const run = Stages.workflow("Micro", {
  payload: Schema.Struct({ out: Schema.String, millis: Schema.Finite, gpu: Schema.Boolean }),
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
