import { Effect, Layer } from "effect"
import { Runs } from "../../src/layers/Runs.ts"
import { pretrain } from "../../src/pipelines/Pretrain.ts"
import { trainTokenizer } from "../../src/pipelines/TrainTokenizer.ts"
import { machine, micro } from "../pipelines/kit.ts"

const preset = micro({ duration: 30 })

const program = Effect.gen(function*() {
  const tokenizer = yield* trainTokenizer(preset.tokenizer, { checkpointEvery: 4 })
  yield* pretrain(preset.pretrain, tokenizer, { checkpointEvery: 4 })
})

await Effect.runPromise(
  program.pipe(Effect.provide(Layer.merge(machine, Runs.layer(process.argv[2]!, { config: { test: "resume" } }))))
)
