/**
 * What the number of threads changes in what training steps compute: bits, and how far the gradients of the first step and
 * the losses of all are from those of one thread.
 */
import { Effect } from "effect"
import * as Presets from "../src/domain/config/presets/Presets.ts"
import * as Engine from "../src/layers/engine/Engine.ts"
import * as HostTensor from "../src/shapes/HostTensor.ts"
import * as Tree from "../src/shapes/Tree.ts"
import { pretraining } from "./steps.ts"

const cases = [
  ["tiny", Presets.tiny, 8, 100],
  ["tiny", Presets.tiny, 64, 20],
  ["base", Presets.base, 2, 2]
] as const

const runs = [[1, 1], [2, 1], [2, 2], [3, 1]] as const

const trained = ([, preset, size, steps]: (typeof cases)[number], threads: number) =>
  Effect.gen(function*() {
    const { batch, state, step } = pretraining(preset, size)
    const handle = yield* (yield* Engine.Engine).train(step, state())
    const losses: Array<number> = []
    losses.push(HostTensor.item((yield* handle.run(batch)).loss))
    const { first } = (yield* handle.snapshot).state
    while (losses.length < steps) losses.push(HostTensor.item((yield* handle.run(batch)).loss))
    return { gradients: Tree.leaves<HostTensor.HostTensor<ReadonlyArray<number>, "float32">>(first), losses }
  }).pipe(Effect.scoped, Effect.provide(Engine.layerOnnx({ threads })))

type Trained = Effect.Success<ReturnType<typeof trained>>

const compare = (found: Trained, expected: Trained) => {
  const others = new Map(found.gradients)
  let [count, differing, most] = [0, 0, 0]
  for (const [path, { data }] of expected.gradients) {
    const other = others.get(path)!.data
    const rms = Math.hypot(...data.subarray(0, 10_000)) / Math.sqrt(Math.min(data.length, 10_000))
    count += data.length
    for (let i = 0; i < data.length; i++) {
      if (data[i] === other[i]) continue
      differing++
      most = Math.max(most, Math.abs(data[i]! - other[i]!) / rms)
    }
  }
  const apart = expected.losses.map((loss, i) => Math.abs(loss - found.losses[i]!) / loss)
  return [
    `${(100 * differing / count).toFixed(1)} % of the first gradients differ, by at most ${most.toExponential(1)} rms`,
    `the first loss by ${apart[0]!.toExponential(1)}`,
    `${apart.length} losses by at most ${Math.max(...apart).toExponential(1)}`
  ].join("; ")
}

for (const one of cases) {
  const [name, , size] = one
  for (const [threads, others] of runs) {
    const [found, expected] = [
      await Effect.runPromise(trained(one, threads)),
      await Effect.runPromise(trained(one, others))
    ]
    process.stdout.write(`${name}, batch ${size}, threads ${threads} against ${others}: ${compare(found, expected)}\n`)
  }
}
