/** How long the asking thread is kept waiting while steps run in the engine's worker: delays of its event loop. */
import { Effect } from "effect"
import { monitorEventLoopDelay } from "node:perf_hooks"
import * as Presets from "../src/domain/config/presets/Presets.ts"
import * as Engine from "../src/layers/engine/Engine.ts"
import { pretraining } from "./steps.ts"

const STEPS = 40

const { batch, state, step } = pretraining(Presets.tiny, 64)
const program = Effect.gen(function*() {
  const engine = yield* Engine.Engine
  const handle = yield* engine.train(step, state())
  yield* handle.run(batch)
  const delay = monitorEventLoopDelay({ resolution: 1 })
  const times: Array<number> = []
  delay.enable()
  for (let i = 0; i < STEPS; i++) {
    const began = performance.now()
    yield* handle.run(batch)
    times.push(performance.now() - began)
  }
  delay.disable()
  const milliseconds = (nanoseconds: number) => Number((nanoseconds / 1e6).toFixed(1))
  return {
    engine: engine.name,
    stepMs: Number(times.toSorted((a, b) => a - b)[STEPS / 2]!.toFixed(1)),
    imagesPerSecond: Number((64_000 / times.toSorted((a, b) => a - b)[STEPS / 2]!).toFixed(1)),
    lagMs: {
      median: milliseconds(delay.percentile(50)),
      p99: milliseconds(delay.percentile(99)),
      "p99.9": milliseconds(delay.percentile(99.9)),
      max: milliseconds(delay.max)
    }
  }
})
console.log(JSON.stringify(await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(Engine.layerOnnx())))))
