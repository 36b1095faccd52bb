import { Effect } from "effect"
import * as Files from "../../../src/layers/files/Files.ts"
import * as Checkpoints from "../../../src/layers/run/Checkpoints.ts"
import * as Runs from "../../../src/layers/run/Runs.ts"

const program = Effect.gen(function*() {
  const run = yield* Runs.Runs
  const checkpoints = yield* Checkpoints.Checkpoints
  for (let step = 1;; step++) {
    yield* run.log({ stage: "pretrain", step, by: "first" })
    const of = { stage: "pretrain", config: {}, dataDigest: "d", configDigest: "c", epoch: 0, computedOn: [] }
    yield* checkpoints.save({ ...of, step, weights: {}, optimizer: {}, extra: "first" })
    if (step === 3) console.log("ready")
  }
})

await program.pipe(
  Effect.provide(Runs.layer(process.argv[2]!, { config: {} })),
  Effect.catch((error) => {
    console.log(`${Files.isSuperseded(error)} ${error.message}`)
    return Effect.sync(() => process.exitCode = 73)
  }),
  Effect.runPromise
)
