import { assert, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import * as Engine from "../../src/layers/engine/Engine.ts"
import * as ThreadRanks from "../../src/layers/ranks/ThreadRanks.ts"
import { clusters } from "./clusters.ts"
import { type Arrays, type Case, close, listed, named } from "./compared.ts"
import { casesOf } from "./steps.ts"
import { wide } from "./wide.ts"

const STEPS = Array.from({ length: 10 }, (_, i) => i)

class Jobs extends Context.Service<Jobs, ReadonlyArray<ReadonlyArray<Engine.Engine["Service"]>>>()("Jobs") {}

const jobs = Layer.effect(
  Jobs,
  Effect.forEach([1, 2, 3], (size) =>
    Effect.forEach(
      ThreadRanks.origins(size),
      (ranks) => Effect.map(Layer.build(Engine.layerOnnx({ threads: 1, ranks })), Context.get(Engine.Engine)),
      { concurrency: "unbounded" }
    ), { concurrency: "unbounded" })
)

const trained = Effect.fnUntraced(
  function*<S, B, M>(engine: Engine.Engine["Service"], { batch, state, step }: Case<S, B, M>) {
    const handle = yield* engine.train(step, state(0))
    const metrics = yield* Effect.forEach(STEPS, (seed) => handle.run(batch(seed, seed)))
    const after = (yield* handle.snapshot).state
    return listed([...metrics.map((one) => named("metrics", one as object)), named("state", after as object)])
  },
  Effect.scoped
)

const together = Effect.fnUntraced(function*<S, B, M>(size: number, of: Case<S, B, M>) {
  const engines = (yield* Jobs)[size - 1]!
  return yield* Effect.forEach(engines, (engine) => trained(engine, of), { concurrency: "unbounded" })
})

const same = (found: Arrays, expected: Arrays) => {
  for (const [name, { data }] of expected) assert.deepStrictEqual(found.get(name)!.data, data, name)
}

const { decoder, finetune, plain, pretrain, segment, tokenizer } = casesOf({ image: 16, batch: 6, small: true })

layer(jobs)("ten steps of several ranks are those of one rank with the whole batch", (it) => {
  const agrees = <S, B, M>(name: string, of: Case<S, B, M>, sizes: ReadonlyArray<number> = [2, 3]) =>
    it.effect(name, () =>
      Effect.gen(function*() {
        const [alone] = yield* together(1, of)
        for (const size of sizes) {
          const [first, ...others] = yield* together(size, of)
          close(first!, alone!)
          for (const other of others) same(other, first!)
        }
      }))

  agrees("VQ-KD with revival", tokenizer)
  agrees("k-means", clusters, [2])
  agrees("pretraining", pretrain)
  agrees("pretraining without clipping", plain)
  agrees("fine-tuning", finetune)
  agrees("segmentation with batch norm", segment)
  agrees("a pixel decoder", decoder)
  agrees("a gradient that is transposed", wide)
  agrees("several steps of an update", casesOf({ image: 16, batch: 6, small: true, accumulate: 2 }).pretrain)

  it.effect("and the same bytes from run to run", () =>
    Effect.gen(function*() {
      const [first] = yield* together(3, tokenizer)
      const [second] = yield* together(3, tokenizer)
      same(first!, second!)
    }))
})
