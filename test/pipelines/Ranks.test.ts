import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Context, Deferred, Effect, FileSystem, Layer, Logger } from "effect"
import * as Presets from "../../src/domain/config/presets/Presets.ts"
import { SegmentationConfig } from "../../src/domain/config/SegmentationConfig.ts"
import { VitConfig } from "../../src/domain/config/VitConfig.ts"
import * as Engine from "../../src/layers/engine/Engine.ts"
import * as Images from "../../src/layers/images/Images.ts"
import * as Ranks from "../../src/layers/ranks/Ranks.ts"
import type { Checkpoints } from "../../src/layers/run/Checkpoints.ts"
import { Progress } from "../../src/layers/run/Progress.ts"
import * as RankedRuns from "../../src/layers/run/RankedRuns.ts"
import * as Runs from "../../src/layers/run/Runs.ts"
import { pretrain } from "../../src/pipelines/Pretrain.ts"
import { segment } from "../../src/pipelines/Segment.ts"
import { trainTokenizer } from "../../src/pipelines/TrainTokenizer.ts"
import type * as HostTensor from "../../src/shapes/HostTensor.ts"
import * as Tree from "../../src/shapes/Tree.ts"
import { machine, micro, recording, sets } from "./kit.ts"
import { scenes } from "./scenes.ts"
import { together } from "./together.ts"

const STEPS = 5

const { pretrain: config } = micro({ duration: STEPS, batchSize: 6 })
const plain = { ...config, aggregation: null }

const scene = new SegmentationConfig({
  ...Presets.tiny.segmentation!,
  vit: new VitConfig({ ...config.vit, depth: 4, relativePositions: "perBlock" }),
  taps: [1, 2, 3, 4],
  head: "upernet",
  channels: 8,
  batchSize: 6,
  steps: STEPS,
  warmup: 2
})

type Services = Engine.Engine | Images.Images | Runs.Runs | Checkpoints
type Stage = Effect.Effect<unknown, unknown, Services>

interface Step {
  readonly number: number
  readonly rank: number
  readonly bytes: ReadonlyMap<string, string>
}

const bytesOf = (batch: object) =>
  new Map(
    Tree.leaves<HostTensor.Any>(batch).filter(([path]) => /^(?:images|mask|labels|dropPath|dropout)/.test(path)).map((
      [path, { data }]
    ) => [path, Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("hex")])
  )

const seeing = (steps: Array<Step>, rank: number) => (engine: Engine.Engine["Service"]): Engine.Engine["Service"] => ({
  ...engine,
  train: (step, state, before = 0) =>
    Effect.map(engine.train(step, state, before), (handle) => {
      let number = before
      return {
        ...handle,
        run: (batch, asked) => {
          steps.push({ number: ++number, rank, bytes: bytesOf(batch as object) })
          return handle.run(batch, asked)
        }
      }
    })
})

const joined = (steps: ReadonlyArray<Step>) =>
  Array.from({ length: STEPS }, (_, i) => {
    const shares = steps.filter(({ number }) => number === i + 1).toSorted((a, b) => a.rank - b.rank)
    const names = [...shares[0]!.bytes.keys()]
    return Object.fromEntries(names.map((name) => [name, shares.map(({ bytes }) => bytes.get(name)).join("")]))
  })

interface Part {
  readonly size: number
  readonly until?: number
}

const trained = Effect.fnUntraced(function*(stage: Stage, ...parts: ReadonlyArray<Part>) {
  const directory = yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped()
  const steps: Array<Step> = []
  const warnings: Array<string> = []
  const logger = Logger.make(({ message }) => void warnings.push(String(message)))
  for (const { size, until } of parts) {
    yield* Effect.forEach(
      together(size),
      Effect.fnUntraced(function*(own) {
        const reached = yield* Deferred.make<void>()
        const progress = recording(
          [],
          ({ step }) =>
            step === until ? Effect.andThen(Deferred.succeed(reached, undefined), Effect.never) : Effect.void
        )
        const engine = Layer.effect(
          Engine.Engine,
          Effect.map(
            Layer.build(Engine.layerOnnx({ threads: 1 })),
            (context) => seeing(steps, own.rank)(Context.get(context, Engine.Engine))
          )
        )
        const services = Layer.merge(engine, RankedRuns.layer(directory, { config: {}, stages: {} }))
        yield* Effect.raceFirst(stage, Deferred.await(reached)).pipe(
          Effect.provide(services),
          Effect.provideService(Progress, progress),
          Effect.provideService(Ranks.Ranks, own),
          Effect.provide(own.rank === 0 ? Logger.layer([logger]) : Logger.layer([]))
        )
      }, Effect.scoped),
      { concurrency: "unbounded" }
    )
  }
  const { computedOn, readLog } = yield* Effect.service(Runs.Runs).pipe(
    Effect.provide(Runs.layer(directory, { config: {}, stages: {} }))
  )
  return { batches: joined(steps), log: yield* readLog, warnings, computedOn: yield* computedOn }
}, Effect.scoped)

const close = (found: ReadonlyArray<Runs.Row>, expected: ReadonlyArray<Runs.Row>) => {
  assert.strictEqual(found.length, STEPS)
  expected.forEach((row, i) => {
    for (const key of ["loss", "gradientNorm", "lr"]) {
      assert.closeTo(
        found[i]![key] as number,
        row[key] as number,
        1e-4 * Math.abs(row[key] as number),
        `${key} ${i + 1}`
      )
    }
  })
}

layer(Layer.merge(machine, NodeServices.layer))("a run of several ranks", (it) => {
  it.effect("goes on with another number of ranks to the same images, losses and order", () =>
    Effect.gen(function*() {
      const tokenizer = yield* Effect.provide(
        trainTokenizer(micro({ duration: 2, warmup: 1 }).tokenizer),
        Runs.layerMemory()
      )
      const stage = pretrain(plain, tokenizer)
      const whole = yield* trained(stage, { size: 1 })
      assert.deepStrictEqual(whole.warnings, [])
      const fewer = yield* trained(stage, { size: 2, until: 3 }, { size: 1 })
      const more = yield* trained(stage, { size: 1, until: 2 }, { size: 2, until: 4 }, { size: 3 })
      for (const { batches, log } of [fewer, more]) {
        assert.deepStrictEqual(batches, whole.batches)
        close(log, whole.log)
      }
      assert.deepStrictEqual(fewer.computedOn.map(({ ranks }) => ranks), [2, undefined])
      assert.deepStrictEqual(more.computedOn.map(({ ranks }) => ranks), [undefined, 2, 3])
      assert.lengthOf(fewer.warnings, 1)
      assert.match(fewer.warnings[0]!, /\(ranks: 2 then, 1 now\)\. Results differ by rounding/)
      assert.match(more.warnings.join("\n"), /ranks: 1 then, 2 now.*\n.*ranks: 2 then, 3 now/)
    }).pipe(Effect.provide(Images.layerMemory(sets))), 60_000)

  it.effect("makes a share of the views of segmentation on each", () =>
    Effect.gen(function*() {
      const stage = segment(scene, undefined)
      const [whole, two] = [yield* trained(stage, { size: 1 }), yield* trained(stage, { size: 2 })]
      assert.deepStrictEqual(two.batches, whole.batches)
      close(two.log, whole.log)
    }).pipe(Effect.provide(Images.layerMemory([scenes("train", 12)]))), 60_000)
})
