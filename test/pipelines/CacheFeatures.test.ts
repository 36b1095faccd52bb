import { NodeServices } from "@effect/platform-node"
import { assert, describe, layer } from "@effect/vitest"
import { Effect, Exit, FileSystem, Layer, Runtime } from "effect"
import { TokenizerConfig } from "../../src/domain/config/TokenizerConfig.ts"
import { VitConfig } from "../../src/domain/config/VitConfig.ts"
import { interruptedAt } from "../../src/laws/Interruption.ts"
import * as Images from "../../src/layers/images/Images.ts"
import type { ImageSet } from "../../src/layers/images/reading/ImageSet.ts"
import { Progress } from "../../src/layers/run/Progress.ts"
import * as Runs from "../../src/layers/run/Runs.ts"
import * as FeatureCache from "../../src/layers/teacher/FeatureCache.ts"
import * as Teacher from "../../src/layers/teacher/Teacher.ts"
import { cacheFeatures } from "../../src/pipelines/CacheFeatures.ts"
import { evaluateTokenizer } from "../../src/pipelines/evaluate/Evaluate.ts"
import { trainTokenizer } from "../../src/pipelines/TrainTokenizer.ts"
import { engine, images, micro, recording, set, sets, teacher } from "./kit.ts"

const STEPS = 5
const config = micro({ duration: STEPS, warmup: 1 }).tokenizer

const folder = Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped())

const trained = Effect.gen(function*() {
  const { tensors } = yield* trainTokenizer(config)
  return { tensors, log: yield* (yield* Runs.Runs).readLog }
}).pipe(Effect.provide(Runs.layerMemory(), { local: true }))

const fromCache = (directory: string) => Effect.provide(trained, Teacher.layerCached(directory), { local: true })

const counting = Effect.fnUntraced(function*<A, E, R>(use: Effect.Effect<A, E, R>) {
  let calls = 0
  const original = yield* Teacher.Teacher
  const counted = Teacher.Teacher.of({
    ...original,
    features: (images) => Effect.suspend(() => (calls++, original.features(images)))
  })
  const exit = yield* Effect.exit(Effect.provideService(use, Teacher.Teacher, counted))
  return { exit, calls }
})

const taught = Effect.provide(Layer.provide(teacher, images), { local: true })

describe("cacheFeatures", () => {
  layer(Layer.mergeAll(engine, images, NodeServices.layer))((it) => {
    it.effect("lets a training without a teacher give the same bytes, or as float16 has them", () =>
      Effect.gen(function*() {
        const [exact, half] = [yield* folder, yield* folder]
        const { cached, rounded, truth } = yield* Effect.gen(function*() {
          return {
            truth: yield* trained,
            cached: yield* cacheFeatures(config, exact, { dtype: "float32" }),
            rounded: yield* cacheFeatures(config, half)
          }
        }).pipe(taught)
        assert.strictEqual(cached.images, STEPS * 8)
        assert.strictEqual(rounded.bytes, STEPS * 8 * (16 * 8 * 2 + 32))

        const same = yield* fromCache(exact)
        assert.deepStrictEqual(same.log, truth.log)
        assert.deepStrictEqual(same.tensors, truth.tensors)

        const near = yield* fromCache(half)
        near.log.forEach(({ loss }, i) => {
          const exactly = Number(truth.log[i]!["loss"])
          assert.closeTo(Number(loss), exactly, 1e-3 * Math.abs(exactly))
        })
        assert.notDeepEqual(near.tensors, truth.tensors)
      }).pipe(Effect.scoped))

    it.effect("goes on where it was interrupted, and computes nothing twice", () =>
      Effect.gen(function*() {
        const directory = yield* folder
        const seen: Array<string> = []
        const stopping = recording(seen, ({ step }) => step === 2 ? Effect.interrupt : Effect.void)
        const cut = yield* counting(
          Effect.provideService(cacheFeatures(config, directory, { shardBytes: 3000 }), Progress, stopping)
        )
        assert.isTrue(Exit.isFailure(cut.exit) && Exit.hasInterrupts(cut.exit))
        assert.deepStrictEqual([seen, cut.calls], [["cache 1", "cache 2"], 2])

        const rest = yield* counting(
          Effect.provideService(cacheFeatures(config, directory, { shardBytes: 3000 }), Progress, recording(seen))
        )
        assert.strictEqual(rest.calls, STEPS - 2)
        assert.deepStrictEqual(seen.slice(2), ["cache 3", "cache 4", "cache 5"])

        const more = yield* counting(cacheFeatures(config, directory, { steps: STEPS + 1 }))
        assert.strictEqual(more.calls, 1)
        const none = yield* counting(cacheFeatures(config, directory))
        assert.strictEqual(none.calls, 0)
        assert.strictEqual((yield* fromCache(directory)).log.length, STEPS)
      }).pipe(taught, Effect.scoped))

    it.effect("holds the same features, wherever it was interrupted", () =>
      Effect.gen(function*() {
        const [whole, broken] = [yield* folder, yield* folder]
        const options = { shardBytes: 3000, central: ["val"] }
        yield* cacheFeatures(config, whole, options)
        for (
          const [point, call] of [["before", 1], ["in", 1], ["in", 2], ["before", 2], ["in", 3], ["in", 1]] as const
        ) {
          const filling = cacheFeatures(config, broken, options)
          assert.isTrue(yield* interruptedAt({ point: `${point} features`, call }, filling), `${point} ${call}`)
        }
        const cached = yield* cacheFeatures(config, broken, options)
        assert.strictEqual(cached.images, (yield* FeatureCache.reader(whole)).images)
        assert.deepStrictEqual(yield* fromCache(broken), yield* fromCache(whole))
      }).pipe(taught, Effect.provide(Runs.layerMemory(), { local: true }), Effect.scoped))

    it.effect("holds the central views of evaluations too", () =>
      Effect.gen(function*() {
        const directory = yield* folder
        const evaluated = Effect.gen(function*() {
          const tokenizer = yield* trainTokenizer(config)
          return yield* evaluateTokenizer(tokenizer, sets[1]!)
        }).pipe(Effect.provide(Runs.layerMemory(), { local: true }))
        const cache = (steps: number) =>
          counting(cacheFeatures(config, directory, { steps, central: ["val"], dtype: "float32" }))
        const only = yield* cache(0)
        assert.strictEqual(only.calls, 2)
        assert.strictEqual((yield* FeatureCache.reader(directory)).images, 12)
        assert.strictEqual((yield* cache(STEPS)).calls, STEPS)
        const { cosine, perplexity } = yield* evaluated
        const found = yield* Effect.provide(evaluated, Teacher.layerCached(directory), { local: true })
        assert.closeTo(found.cosine, cosine, 1e-6)
        assert.strictEqual(found.perplexity, perplexity)
      }).pipe(taught, Effect.scoped))

    it.effect("computes anew what was damaged, when told to", () =>
      Effect.gen(function*() {
        const directory = yield* folder
        const fs = yield* FileSystem.FileSystem
        yield* cacheFeatures(config, directory, { shardBytes: 8 * (16 * 8 * 2 + 32) })
        yield* fs.writeFile(`${directory}/shard-00001.bin`, new Uint8Array(3))
        const refused = yield* Effect.flip(cacheFeatures(config, directory))
        assert.strictEqual(refused[Runtime.errorExitCode], 65)
        assert.include(refused.message, "shard-00001.bin is damaged (it has 3 bytes instead of 2304)")
        const { calls, exit } = yield* counting(cacheFeatures(config, directory, { onDamaged: "recompute" }))
        assert.isTrue(Exit.isSuccess(exit))
        assert.strictEqual(calls, 1)
        assert.strictEqual((yield* FeatureCache.reader(directory)).images, STEPS * 8)
      }).pipe(taught, Effect.scoped))

    it.effect("looks at all views again when told that images were replaced under the same digest", () =>
      Effect.gen(function*() {
        const directory = yield* folder
        const before = set("train", 24)
        const after: ImageSet = { ...set("train", 24), image: (index) => before.image((index + 3) % 24) }
        const replaced = Layer.fresh(Images.layerMemory([{ ...after, digest: before.digest }]))
        yield* cacheFeatures(config, directory)
        const heard: Array<string> = []
        const listening = { ...recording([]), message: (text: string) => Effect.sync(() => void heard.push(text)) }
        const filled = (again: boolean) =>
          counting(
            cacheFeatures(config, directory, { again }).pipe(
              Effect.provideService(Progress, listening),
              Effect.provide(replaced)
            )
          )
        assert.strictEqual((yield* filled(false)).calls, 0)
        assert.match(heard[0]!, /0 steps to go after 5 that were taken before/)
        const absent = yield* Effect.flip(fromCache(directory).pipe(Effect.provide(replaced)))
        assert.include(absent.message, "fill it by tokenizer cache --again")
        assert.isAbove((yield* filled(true)).calls, 0)
        assert.match(heard[1]!, /5 steps to go, 5 of them again/)
        assert.strictEqual((yield* filled(true)).calls, 0)
        assert.strictEqual((yield* fromCache(directory).pipe(Effect.provide(replaced))).log.length, STEPS)
      }).pipe(taught, Effect.scoped))

    it.effect("takes nothing that has no direction, or would have none in float16, and names the image", () =>
      Effect.gen(function*() {
        const scaled = (factor: number, row: number) =>
          Teacher.Teacher.use((original) =>
            Effect.succeed(Teacher.Teacher.of({
              ...original,
              features: (images) =>
                Effect.tap(original.features(images), ({ data }) =>
                  Effect.sync(() =>
                    data.subarray(8 * row, 8 * (row + 1)).forEach((x, i, all) => (all[i] = x * factor))
                  ))
            }))
          )
        const caching = (factor: number, dtype: FeatureCache.DType, to: string) =>
          cacheFeatures(config, to, { dtype }).pipe(
            Effect.provideServiceEffect(Teacher.Teacher, scaled(factor, 16 + 5))
          )
        for (const dtype of FeatureCache.DType.literals) {
          for (const factor of [0, NaN]) {
            const directory = yield* folder
            const error = yield* Effect.flip(caching(factor, dtype, directory))
            assert.strictEqual(error[Runtime.errorExitCode], 65)
            assert.match(error.message, /teacher hog: the features of patch 5 of image \d+ (hold NaN|are all 0)/)
            assert.match((yield* Effect.flip(FeatureCache.reader(directory))).message, /there is no cache\.json in it/)
          }
        }
        const small = yield* Effect.flip(caching(1e-7, "float16", yield* folder))
        assert.strictEqual(small[Runtime.errorExitCode], 65)
        assert.match(small.message, /patch 5 of image \d+ are too small for float16 \(length .*store float32/)
        yield* caching(1e-7, "float32", yield* folder)
      }).pipe(taught, Effect.scoped))

    it.effect("refuses a training that sees other views, a teacher of other patches, and a disk that is too small", () =>
      Effect.gen(function*() {
        const directory = yield* folder
        yield* cacheFeatures(config, directory, { steps: 1 })
        const absent = yield* Effect.flip(fromCache(directory))
        assert.strictEqual(absent[Runtime.errorExitCode], 66)
        assert.match(absent.message, /it holds the features of 8 views, but not of this view of image \d+/)

        const coarse = new TokenizerConfig({ ...config, encoder: new VitConfig({ ...config.encoder, patchSize: 16 }) })
        const other = yield* Effect.flip(cacheFeatures(coarse, yield* folder))
        assert.strictEqual(other[Runtime.errorExitCode], 64)
        assert.include(
          other.message,
          "encoder.patchSize: expected a size that gives the 16 patches of the teacher hog in 32 pixels, got 16"
        )

        const { calls, exit } = yield* counting(cacheFeatures(config, yield* folder, { steps: 1e12 }))
        assert.isTrue(Exit.isFailure(exit))
        assert.strictEqual(calls, 0)
      }).pipe(taught, Effect.scoped))
  })
})
