/**
 * The resident memory of many steps, with failing steps between them: `npm run bench -- lasting [--model tiny] [--batch 8]
 * [--steps 1000]`.
 *
 * Takes pretraining steps on TensorFlow. After every tenth step, one step has images of another size, and one has a label out of
 * range. Prints ten rows with the size in MiB.
 */
import { Effect } from "effect"
import { parseArgs } from "node:util"
import * as Presets from "../src/domain/config/presets/Presets.ts"
import * as Engine from "../src/layers/engine/Engine.ts"
import * as HostTensor from "../src/shapes/HostTensor.ts"
import { pretraining } from "./steps.ts"

const { values } = parseArgs({
  options: {
    model: { type: "string", default: "tiny" },
    batch: { type: "string", default: "8" },
    steps: { type: "string", default: "1000" }
  }
})

const FAILING_EVERY = 10
const ROWS = 10

const steps = Number(values.steps)
const print = (row: object) => void process.stdout.write(`${JSON.stringify(row)}\n`)

const program = Effect.gen(function*() {
  const preset = yield* Presets.preset(values.model)
  const { batch, state, step } = pretraining(preset, Number(values.batch))
  const handle = yield* (yield* Engine.Engine).train(step, state())
  const narrow: object = { ...batch, images: HostTensor.zeros([1, 1, 1, 1], "float32") }
  const wrong = [
    narrow as typeof batch,
    { ...batch, labels: { ...batch.labels, data: batch.labels.data.map(() => preset.tokenizer.codebook.size) } }
  ]
  const failed = new Map<string, number>()
  for (let taken = 1; taken <= steps; taken++) {
    yield* handle.run(batch)
    if (taken % FAILING_EVERY === 0) {
      for (const one of wrong) {
        const { reason } = yield* Effect.flip(handle.run(one))
        failed.set(reason._tag, (failed.get(reason._tag) ?? 0) + 1)
      }
    }
    if (taken % (steps / ROWS) === 0) {
      print({
        steps: taken,
        failed: Object.fromEntries(failed),
        mebibytes: Math.round(process.memoryUsage.rss() / 2 ** 20)
      })
    }
  }
})

await Effect.runPromise(Effect.scoped(program).pipe(Effect.provide(Engine.layerTensorFlow())))
