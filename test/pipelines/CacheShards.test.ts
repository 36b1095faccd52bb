import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, FileSystem, Layer, Runtime } from "effect"
import { hostname } from "node:os"
import { isDeepStrictEqual } from "node:util"
import { AugmentConfig } from "../../src/domain/config/AugmentConfig.ts"
import { TokenizerConfig } from "../../src/domain/config/TokenizerConfig.ts"
import * as Images from "../../src/layers/images/Images.ts"
import { Progress } from "../../src/layers/run/Progress.ts"
import * as FeatureCache from "../../src/layers/teacher/FeatureCache.ts"
import * as Teacher from "../../src/layers/teacher/Teacher.ts"
import { cacheFeatures, computeFeatures } from "../../src/pipelines/CacheFeatures.ts"
import { filesOf } from "../layers/run/files.ts"
import { engine, images, micro, recording, set, teacher } from "./kit.ts"

const STEPS = 5
const plain = micro({ duration: STEPS, warmup: 1 }).tokenizer
const repeated = new TokenizerConfig({
  ...plain,
  augment: new AugmentConfig({
    ...plain.augment,
    cropScale: [1, 1],
    cropRatio: [1, 1],
    flip: 0,
    jitter: { brightness: 0, contrast: 0, saturation: 0 }
  })
})
const ROW = FeatureCache.bytes({ images: 1, tokens: 16, width: 8, dtype: "float16" })
const options = { shardBytes: 20 * ROW, central: ["val"] }

const folder = Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped())

const calling = Effect.fnUntraced(function*<A, E, R>(use: Effect.Effect<A, E, R>, last = Infinity) {
  let calls = 0
  const original = yield* Teacher.Teacher
  const counted = Teacher.Teacher.of({
    ...original,
    features: (images) => Effect.suspend(() => ++calls > last ? Effect.interrupt : original.features(images))
  })
  const exit = yield* Effect.exit(Effect.provideService(use, Teacher.Teacher, counted))
  return { exit, calls }
})

const isCut = <A, E>(exit: Exit.Exit<A, E>) => Exit.isFailure(exit) && Exit.hasInterrupts(exit)

describe("A cache that several processes fill", () => {
  it.live.each([["views that never repeat", plain, 52], ["repeated views", repeated, 36]] as const)(
    "has the bytes of one process, wherever they are killed: %s",
    ([, config, count]) =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const [alone, shared, shards] = [yield* folder, yield* folder, yield* folder]
        assert.strictEqual((yield* cacheFeatures(config, alone, options)).images, count)
        const whole = filesOf(alone)
        const filling = cacheFeatures(config, shared, { ...options, shards })

        assert.isTrue(isCut((yield* calling(filling, 1)).exit))
        assert.deepStrictEqual(filesOf(shared), {})
        const claim = `${shards}/claim-00000.json`
        assert.isFalse(yield* fs.exists(claim))
        yield* fs.writeFileString(claim, JSON.stringify({ pid: 2 ** 22 + 7, host: hostname(), started: null }))

        const seen: Array<string> = []
        const stopping = recording(seen, ({ stage, step }) =>
          stage === "cache" && step === 4 ? Effect.interrupt : Effect.void)
        assert.isTrue(isCut(yield* Effect.exit(Effect.provideService(filling, Progress, stopping))))
        assert.includeMembers(seen, ["features 0", "features 2", "features 4", "features 5", "cache 2", "cache 4"])
        assert.strictEqual(filesOf(shared)["shard-00000.bin"], whole["shard-00000.bin"])
        assert.isFalse(isDeepStrictEqual(filesOf(shared), whole))

        const both = yield* calling(Effect.all([filling, filling], { concurrency: 2 }))
        assert.isTrue(Exit.isSuccess(both.exit))
        assert.strictEqual(both.calls, 2)
        assert.deepStrictEqual(Object.keys(filesOf(shared)), Object.keys(whole))
        assert.isTrue(isDeepStrictEqual(filesOf(shared), whole))
      }).pipe(
        Effect.scoped,
        Effect.provide(Layer.mergeAll(engine, Layer.provideMerge(teacher, images), NodeServices.layer))
      )
  )

  it.live("is computed once by all together, and takes no other work", () =>
    Effect.gen(function*() {
      const [shared, shards] = [yield* folder, yield* folder]
      const asked = { shardBytes: 10 * ROW, shards }
      const filling = cacheFeatures(plain, shared, asked)
      const helping = computeFeatures(plain, shards, asked)
      const all = yield* calling(Effect.all([helping, filling, filling], { concurrency: 3 }))
      assert.isTrue(Exit.isSuccess(all.exit))
      assert.strictEqual(all.calls, STEPS)
      const before = [filesOf(shared), filesOf(shards)]

      const other = Layer.fresh(Images.layerMemory([set("train", 25)]))
      for (
        const [refused, code, said] of [
          [Effect.provide(filling, other), 73, /it holds other work \(set: /],
          [cacheFeatures({ ...plain, seed: 7 }, shared, asked), 73, /it holds other work \(seed: /],
          [cacheFeatures(plain, shared, { ...asked, dtype: "float32" }), 73, /it holds other features \(dtype: /],
          [cacheFeatures(plain, shared, { ...asked, again: true }), 64, /again: expected no shared folder beside it/]
        ] as const
      ) {
        const error = yield* Effect.flip(refused)
        assert.match(error.message, said)
        assert.strictEqual(error[Runtime.errorExitCode], code)
      }
      assert.isTrue(isDeepStrictEqual([filesOf(shared), filesOf(shards)], before))
    }).pipe(
      Effect.scoped,
      Effect.provide(Layer.mergeAll(engine, Layer.provideMerge(teacher, images), NodeServices.layer))
    ))
})
