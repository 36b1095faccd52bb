import { Console, Effect } from "effect"
import { writeSync } from "node:fs"
import * as Engine from "../../../src/layers/engine/Engine.ts"
import * as Ranks from "../../../src/layers/ranks/Ranks.ts"
import * as Elementwise from "../../../src/shapes/Elementwise.ts"
import * as HostTensor from "../../../src/shapes/HostTensor.ts"
import type { Inference } from "../../../src/shapes/Step.ts"
import type { Tensor } from "../../../src/shapes/Tensor.ts"
import { picking, picks } from "./picking.ts"

const [library = "", started = "", plugin = ""] = process.argv.slice(2)

type Row = Tensor<[2]>

const doubled: Inference<object, { readonly x: Row }, { readonly y: Row }> = {
  name: "doubled",
  weights: {},
  batch: { x: { shape: [2], dtype: "float32" } },
  run: (_, { x }) => ({ y: Elementwise.scale(x, 2) })
}

const say = (value: unknown) => Effect.sync(() => void writeSync(1, `${JSON.stringify(value)}\n`))

const program = Effect.gen(function*() {
  const { barrier, rank } = yield* Ranks.Ranks
  const { about, infer, memory, name, train } = yield* Engine.Engine
  const found = yield* Effect.scoped(Effect.gen(function*() {
    const handle = yield* train(picking, { w: HostTensor.scalar(7) })
    yield* say({ rank, pid: process.pid })
    const sums = yield* Effect.forEach([1, 2], () => handle.run(picks(0, 2, 3, 5)))
    const { state, steps } = yield* handle.snapshot
    const { run } = yield* infer(doubled, {})
    const { y } = yield* run({ x: HostTensor.make([2], "float32", Float32Array.of(rank, 3)) })
    return {
      sums: sums.map(({ sum }) => HostTensor.item(sum)),
      w: HostTensor.item(state.w),
      steps,
      y: Array.from(y.data)
    }
  }))
  yield* barrier
  const { collectives, engine, ranks } = about
  yield* say({ rank, ...found, name, engine, ranks, collectives, memory: yield* memory })
}).pipe(Effect.provide(Engine.layerXla({ platform: "cuda", plugin, collectives: "inside" })))

const told = Effect.catch(program, (error) =>
  Effect.andThen(
    Console.error(error.message),
    Effect.sync(() => {
      process.exitCode = 3
    })
  ))

await Effect.runPromise(
  Effect.provide(told, Ranks.layerMpi({ library, started: Number(started), limit: "3 seconds" }))
)
