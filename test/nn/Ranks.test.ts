import { assert, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import * as Engine from "../../src/layers/engine/Engine.ts"
import type { CollectivesOrigin } from "../../src/layers/ranks/Collectives.ts"
import * as ThreadRanks from "../../src/layers/ranks/ThreadRanks.ts"
import { onNewest } from "../layers/pjrt/cpuPlugin.ts"
import { clusters } from "./clusters.ts"
import { type Arrays, type Case, close, listed, named } from "./compared.ts"
import { casesOf } from "./steps.ts"
import { wide } from "./wide.ts"

/** Time for XLA to compile the parts of a step, in milliseconds. */
const COMPILED = 180_000

const STEPS = Array.from({ length: 10 }, (_, i) => i)

type Service = Engine.Engine["Service"]

class Jobs extends Context.Service<Jobs, {
  readonly alone: Service
  readonly ranks: ReadonlyMap<number, ReadonlyArray<Service>>
}>()("Jobs") {}

const engineOf = (engine: Layer.Layer<Engine.Engine, Engine.EngineError>) =>
  Effect.map(Layer.build(engine), Context.get(Engine.Engine))

/** An engine of one rank, and the engines of jobs of several sizes. */
const jobs = (engine: (ranks: CollectivesOrigin) => Parameters<typeof engineOf>[0], sizes: ReadonlyArray<number>) =>
  Layer.effect(
    Jobs,
    Effect.all({
      alone: engineOf(Engine.layerOnnx({ threads: 1 })),
      ranks: Effect.map(
        Effect.forEach(sizes, (size) =>
          Effect.map(
            Effect.forEach(ThreadRanks.origins(size), (ranks) => engineOf(engine(ranks)), { concurrency: "unbounded" }),
            (engines) => [size, engines] as const
          ), { concurrency: "unbounded" }),
        (entries) => new Map(entries)
      )
    }, { concurrency: "unbounded" })
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

const together = <S, B, M>(engines: ReadonlyArray<Service>, of: Case<S, B, M>) =>
  Effect.forEach(engines, (engine) => trained(engine, of), { concurrency: "unbounded" })

const same = (found: Arrays, expected: Arrays) => {
  for (const [name, { data }] of expected) assert.deepStrictEqual(found.get(name)!.data, data, name)
}

const { decoder, finetune, plain, pretrain, segment, tokenizer } = casesOf({ image: 16, batch: 6, small: true })

const agrees = <S, B, M>(name: string, of: Case<S, B, M>, sizes: ReadonlyArray<number> = [2]) =>
  [
    name,
    Effect.gen(function*() {
      const { alone, ranks } = yield* Jobs
      const expected = yield* trained(alone, of)
      for (const [size, engines] of ranks) {
        if (!sizes.includes(size)) continue
        const [first, ...others] = yield* together(engines, of)
        close(first!, expected)
        for (const other of others) same(other, first!)
      }
    })
  ] as const

const transposed = agrees("a gradient that is transposed", wide)
const kMeans = agrees("k-means", clusters)

layer(jobs((ranks) => Engine.layerOnnx({ threads: 1, ranks }), [2, 3]))(
  "ten steps of several ranks are those of one",
  (it) => {
    const cases = [
      agrees("VQ-KD with revival", tokenizer, [2, 3]),
      kMeans,
      agrees("pretraining", pretrain, [2, 3]),
      agrees("segmentation with batch norm", segment),
      transposed,
      agrees("pretraining without clipping", plain),
      agrees("fine-tuning", finetune),
      agrees("a pixel decoder", decoder),
      agrees("several steps of an update", casesOf({ image: 16, batch: 6, small: true, accumulate: 2 }).pretrain)
    ]
    for (const [name, effect] of cases) it.effect(name, () => effect)

    it.effect("to the rounding of gradients in bf16, with exact losses", () =>
      Effect.gen(function*() {
        const exact = (yield* together((yield* Jobs).ranks.get(2)!, wide))[0]!
        const engines = yield* Effect.forEach(
          ThreadRanks.origins(2),
          (ranks) => engineOf(Engine.layerOnnx({ threads: 1, ranks, wire: "bf16" })),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(engines.map(({ about }) => about.wire), ["bf16", "bf16"])
        const [first, second] = yield* together(engines, wide)
        same(second!, first!)
        const numbers = (name: string) =>
          [first!, exact].map((arrays) => arrays.get(name)!.data[0]!) as [number, number]
        assert.strictEqual(...numbers("0 metrics.loss"))
        const [rounded, norm] = numbers("0 metrics.norm")
        assert.notStrictEqual(rounded, norm)
        assert.closeTo(rounded, norm, norm * 2 ** -8)
      }).pipe(Effect.scoped))

    it.effect("and the same bytes from run to run", () =>
      Effect.gen(function*() {
        const engines = (yield* Jobs).ranks.get(3)!
        const [first] = yield* together(engines, wide)
        const [second] = yield* together(engines, wide)
        same(first!, second!)
      }))
  }
)

onNewest("XLA", () => {
  layer(jobs((ranks) => Engine.layerXla({ ranks }), [2]))("ten steps of several ranks are those of one", (it) => {
    for (const [name, effect] of [kMeans, transposed]) it.effect(name, () => effect, COMPILED)
  })
})
