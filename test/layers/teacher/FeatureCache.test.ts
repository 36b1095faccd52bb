import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber, FileSystem, Logger, Path, PlatformError, Runtime } from "effect"
import { TestClock } from "effect/testing"
import { setImmediate } from "node:timers/promises"
import * as KeyedRandom from "../../../src/domain/values/KeyedRandom.ts"
import * as Files from "../../../src/layers/files/Files.ts"
import * as Lock from "../../../src/layers/files/Lock.ts"
import * as FeatureCache from "../../../src/layers/teacher/FeatureCache.ts"
import * as Teacher from "../../../src/layers/teacher/Teacher.ts"
import * as HostTensor from "../../../src/shapes/HostTensor.ts"

const about: FeatureCache.About = {
  teacher: "any",
  digest: "d",
  image: [4, 4],
  tokens: 2,
  width: 3,
  dtype: "float32"
}

const { uniform } = KeyedRandom.generator({ seed: 1, purpose: "features", epoch: 0, index: 0 })

const images = (count: number) =>
  HostTensor.make([count, 3, 4, 4], "float32", Float32Array.from({ length: count * 48 }, () => uniform()))
const features = (count: number) => Float32Array.from({ length: count * 6 }, () => uniform())

const given = images(7)
const keys = FeatureCache.keys(given)
const values = features(7)

const THREE = FeatureCache.bytes({ images: 3, ...about })

const folder = Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped())

const fill = (
  directory: string,
  options: Partial<FeatureCache.About> & FeatureCache.FillOptions = {},
  use: (writer: FeatureCache.Writer) => Effect.Effect<unknown, FeatureCache.FeatureCacheError> = (writer) =>
    writer.append(keys, values)
) => {
  const { check, computedOn, onDamaged, shardBytes = THREE, ...changed } = options
  const asked = {
    shardBytes,
    ...(computedOn && { computedOn }),
    ...(check && { check }),
    ...(onDamaged && { onDamaged })
  }
  return Effect.scoped(Effect.flatMap(FeatureCache.writer(directory, { ...about, ...changed }, asked), use))
}

const shards = Effect.fnUntraced(function*(directory: string) {
  const names = yield* (yield* FileSystem.FileSystem).readDirectory(directory)
  return names.filter((name) => name.endsWith(".bin")).toSorted()
})

const change = Effect.fnUntraced(function*(directory: string, name: string, to: (bytes: Uint8Array) => Uint8Array) {
  const fs = yield* FileSystem.FileSystem
  const file = (yield* Path.Path).join(directory, name)
  yield* fs.writeFile(file, to(yield* fs.readFile(file)))
})

const flipped = (bytes: Uint8Array) => bytes.with(bytes.length - 1, bytes.at(-1)! ^ 1)

const live = <E>(name: string, test: Effect.Effect<void, E, FileSystem.FileSystem | Path.Path>) =>
  it.effect(name, () => Effect.provide(test, NodeServices.layer))

describe("FeatureCache", () => {
  live(
    "gives what was put in, in shards of one size",
    Effect.scoped(Effect.gen(function*() {
      const directory = yield* folder
      yield* fill(directory)
      assert.deepStrictEqual(yield* shards(directory), ["shard-00000.bin", "shard-00001.bin", "shard-00002.bin"])
      const cache = yield* FeatureCache.reader(directory)
      assert.deepStrictEqual([cache.images, cache.about], [7, about])
      assert.deepStrictEqual(yield* cache.read(keys), values)
      assert.deepStrictEqual(
        yield* cache.read([keys[5]!, keys[1]!]),
        Float32Array.of(...values.subarray(30, 36), ...values.subarray(6, 12))
      )
    }))
  )

  live(
    "takes the room that was told before",
    Effect.scoped(Effect.gen(function*() {
      for (const dtype of FeatureCache.DType.literals) {
        const directory = yield* folder
        yield* fill(directory, { dtype })
        const { join } = yield* Path.Path
        const fs = yield* FileSystem.FileSystem
        let size = 0n
        for (const name of yield* shards(directory)) size += (yield* fs.stat(join(directory, name))).size
        assert.strictEqual(Number(size), FeatureCache.bytes({ images: 7, ...about, dtype }))
      }
    }))
  )

  live(
    "keeps float16 to its precision, and refuses what is beyond it",
    Effect.scoped(Effect.gen(function*() {
      const directory = yield* folder
      yield* fill(directory, { dtype: "float16" })
      const found = yield* (yield* FeatureCache.reader(directory)).read(keys)
      assert.isTrue(found.every((value, i) => Math.abs(value - values[i]!) <= 2 ** -11 * Math.abs(values[i]!)))
      assert.notDeepEqual(found, values)
      const large = yield* Effect.flip(
        fill(yield* folder, { dtype: "float16" }, (writer) => writer.append(keys, values.with(4, 1e6)))
      )
      assert.strictEqual(large[Runtime.errorExitCode], 65)
      assert.include(
        large.message,
        "the teacher gave the feature 1000000 for image 0 of the batch, but float16 ends at 65504; store float32"
      )
    }))
  )

  live(
    "goes on after the last shard of a process that was killed",
    Effect.scoped(Effect.gen(function*() {
      const directory = yield* folder
      const fs = yield* FileSystem.FileSystem
      const { join } = yield* Path.Path
      yield* fill(directory, {}, (writer) => writer.append(keys.slice(0, 3), values.subarray(0, 18)))
      yield* fs.writeFile(join(directory, "shard-00001.bin"), new Uint8Array(5))
      yield* fs.writeFile(join(directory, `.tmp-${2 ** 22 + 7}-0-shard-00002.bin`), new Uint8Array(5))
      yield* fill(directory, {}, (writer) => {
        assert.deepStrictEqual(keys.map((key) => writer.has(key)), [true, true, true, false, false, false, false])
        return writer.append(keys, values)
      })
      assert.deepStrictEqual(
        (yield* fs.readDirectory(directory)).toSorted(),
        ["cache.json", "shard-00000.bin", "shard-00001.bin", "shard-00002.bin"]
      )
      assert.deepStrictEqual(yield* (yield* FeatureCache.reader(directory)).read(keys), values)
    }))
  )

  live(
    "remembers how far a series of steps was taken, no further than its shards go",
    Effect.scoped(Effect.gen(function*() {
      const directory = yield* folder
      yield* fill(directory, {}, (writer) =>
        Effect.gen(function*() {
          yield* writer.append(keys.slice(0, 2), values.subarray(0, 12))
          writer.reached("train", 1)
          assert.strictEqual(writer.walked("train"), 0)
          yield* writer.append(keys.slice(2, 5), values.subarray(12, 30))
          assert.strictEqual(writer.walked("train"), 1)
          writer.reached("train", 2)
        }))
      yield* fill(directory, {}, (writer) => {
        assert.deepStrictEqual([writer.walked("train"), writer.walked("other"), writer.images()], [2, 0, 5])
        return Effect.void
      })
    }))
  )

  live(
    "names a damaged shard, and computes it anew when told to",
    Effect.scoped(Effect.gen(function*() {
      for (
        const [damage, said] of [
          [flipped, "it does not have the SHA-256 that cache.json records"],
          [(bytes: Uint8Array) => bytes.subarray(1), "bytes instead of"]
        ] as const
      ) {
        const directory = yield* folder
        yield* fill(directory)
        yield* change(directory, "shard-00001.bin", damage)
        for (const use of [FeatureCache.reader(directory), fill(directory)]) {
          const error = yield* Effect.flip(use)
          assert.strictEqual(error[Runtime.errorExitCode], 65)
          assert.include(error.message, `feature cache ${directory}: shard-00001.bin is damaged (`)
          assert.include(error.message, said)
          assert.include(
            error.message,
            "fill the cache again by tokenizer cache, with --damaged recompute (in code onDamaged"
          )
        }
        yield* fill(directory, { onDamaged: "recompute" }, (writer) => {
          assert.deepStrictEqual(keys.map((key) => writer.has(key)), [true, true, true, false, false, false, true])
          return writer.append(keys, values)
        })
        assert.deepStrictEqual(yield* (yield* FeatureCache.reader(directory)).read(keys), values)
      }
    }))
  )

  live(
    "trusts sizes alone when told to, yet not files that are missing",
    Effect.scoped(Effect.gen(function*() {
      const directory = yield* folder
      yield* fill(directory)
      yield* change(directory, "shard-00002.bin", flipped)
      const read = yield* Effect.flatMap(FeatureCache.reader(directory, { check: "sizes" }), ({ read }) => read(keys))
      assert.deepStrictEqual(read.subarray(0, 41), values.subarray(0, 41))
      yield* (yield* FileSystem.FileSystem).remove(`${directory}/shard-00000.bin`)
      const error = yield* Effect.flip(FeatureCache.reader(directory, { check: "sizes" }))
      assert.include(error.message, "shard-00000.bin is damaged (it is missing)")
    }))
  )

  live(
    "says what it is not: no cache, another one, one in use, one without an image",
    Effect.scoped(Effect.gen(function*() {
      const directory = yield* folder
      const none = yield* Effect.flip(FeatureCache.reader(directory))
      assert.strictEqual(none[Runtime.errorExitCode], 66)
      assert.include(none.message, "there is no cache.json in it")

      yield* fill(directory)
      const other = yield* Effect.flip(fill(directory, { digest: "e", dtype: "float16" }))
      assert.strictEqual(other[Runtime.errorExitCode], 73)
      assert.include(
        other.message,
        "digest: the folder has \"d\", you ask for \"e\"; dtype: the folder has \"float32\""
      )
      yield* fill(directory, { teacher: "the same under another name" })

      const used = yield* Effect.flip(
        fill(directory, {}, () => fill(directory).pipe(Effect.provide(NodeServices.layer)))
      )
      assert.strictEqual(used.reason._tag, "Locked")

      const cache = yield* FeatureCache.reader(directory)
      const absent = yield* Effect.flip(cache.read([keys[0]!, ...FeatureCache.keys(images(1))]))
      assert.strictEqual(absent[Runtime.errorExitCode], 66)
      assert.include(absent.message, "it holds the features of 7 views, but not of this view of image 1 of the batch")

      yield* fill(directory, {}, () =>
        Effect.gen(function*() {
          const next = FeatureCache.nextWriter(directory, about, {}).pipe(
            Effect.scoped,
            Effect.provide(NodeServices.layer)
          )
          const waiting = yield* Effect.forkChild(Effect.orDie(Effect.flip(next)))
          while (waiting.pollUnsafe() === undefined) {
            yield* TestClock.adjust("1 second")
            yield* Effect.promise(() => setImmediate())
          }
          assert.strictEqual((yield* Fiber.join(waiting)).reason._tag, "Locked")
          assert.isAbove(yield* Clock.currentTimeMillis, 60_000)
        }))

      yield* change(directory, "cache.json", (bytes) => bytes.subarray(0, 40))
      const manifest = yield* Effect.flip(FeatureCache.reader(directory))
      assert.strictEqual(manifest[Runtime.errorExitCode], 65)
      assert.include(manifest.message, "cache.json is damaged")
    }))
  )

  live(
    "is taken from a worker that has lost its job, and that writes nothing more",
    Effect.scoped(Effect.gen(function*() {
      const directory = yield* folder
      const taken = Effect.provideService(fill(directory), Lock.TakeOver, true)
      const former = fill(
        directory,
        {},
        ({ append }) => Effect.andThen(Effect.provide(taken, NodeServices.layer), append(keys, values))
      )
      assert.isTrue(Files.isSuperseded(yield* Effect.flip(former)))
      assert.deepStrictEqual(yield* (yield* FeatureCache.reader(directory)).read(keys), values)
    }))
  )

  live(
    "refuses a manifest that counts below nothing, leaves the folder, or is nested without end",
    Effect.scoped(Effect.gen(function*() {
      const nested = "[".repeat(50_000) + "]".repeat(50_000)
      for (
        const [from, to, said] of [
          ["\"images\": 3", "\"images\": -3", "at least 1"],
          ["\"tokens\": 2", "\"tokens\": -2", "at least 1"],
          ["\"width\": 3", "\"width\": 0", "at least 1"],
          ["\"certain\": 1", "\"certain\": -1", "at least 0"],
          ["shard-00000.bin", "../shard-00000.bin", "shard-"],
          ["\"walks\"", `"more": ${nested}, "walks"`, "levels"]
        ] as const
      ) {
        const directory = yield* folder
        yield* fill(directory, {}, ({ append, reached }) => {
          reached("train", 1)
          return append(keys, values)
        })
        yield* change(directory, "cache.json", (bytes) => {
          const text = new TextDecoder().decode(bytes)
          assert.include(text, from)
          return new TextEncoder().encode(text.replace(from, to))
        })
        for (const use of [FeatureCache.reader(directory), fill(directory)]) {
          const error = yield* Effect.flip(use)
          assert.strictEqual(error[Runtime.errorExitCode], 65)
          assert.include(error.message, "cache.json is damaged (")
          assert.include(error.message, said)
        }
      }
      const directory = yield* folder
      yield* fill(directory)
      yield* change(
        directory,
        "cache.json",
        (bytes) =>
          new TextEncoder().encode(new TextDecoder().decode(bytes).replace("\"images\": 3", "\"images\": 300000000000"))
      )
      for (const check of ["contents", "sizes"] as const) {
        const error = yield* Effect.flip(FeatureCache.reader(directory, { check }))
        assert.include(error.message, "shard-00000.bin is damaged (it has 168 bytes instead of")
      }
    }))
  )

  live(
    "leaves nothing where nothing was stored",
    Effect.scoped(Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* folder
      const tooMuch = (place: string) =>
        Effect.flip(fill(place, {}, ({ reserve }) => reserve([{ series: "train", steps: 1e14, batchSize: 10 }])))
      yield* tooMuch(`${directory}/of/new`)
      assert.deepStrictEqual(yield* fs.readDirectory(directory), [])
      yield* fs.writeFileString(`${directory}/mine.txt`, "kept")
      yield* tooMuch(directory)
      assert.deepStrictEqual(yield* fs.readDirectory(directory), ["mine.txt"])
      yield* fill(directory, {}, ({ append }) => append(keys.slice(0, 4), values.subarray(0, 24)))
      const filled = yield* fs.readDirectory(directory)
      yield* tooMuch(directory)
      assert.deepStrictEqual(yield* fs.readDirectory(directory), filled)
      assert.include(filled, "cache.json")
    }))
  )

  live(
    "says before it starts when the disk has too little room",
    Effect.scoped(Effect.gen(function*() {
      const directory = yield* folder
      const row = FeatureCache.bytes({ images: 1, ...about })
      yield* fill(directory, {}, ({ append, reached, reserve }) =>
        Effect.gen(function*() {
          const train = { series: "train", steps: 5, batchSize: 4 }
          assert.strictEqual(yield* reserve([train, { series: "test", steps: 1, batchSize: 7 }]), 27 * row)
          yield* append(keys.slice(0, 4), values.subarray(0, 24))
          reached("train", 1)
        }))
      yield* change(directory, "shard-00000.bin", flipped)
      yield* fill(
        directory,
        { onDamaged: "recompute" },
        ({ reserve }) =>
          Effect.map(
            reserve([{ series: "train", steps: 5, batchSize: 4 }]),
            (needed) => assert.strictEqual(needed, 19 * row)
          )
      )
      const error = yield* Effect.flip(
        fill(directory, {}, ({ reserve }) => reserve([{ series: "train", steps: 1e14, batchSize: 10 }]))
      )
      assert.strictEqual(error[Runtime.errorExitCode], 74)
      assert.match(error.message, /the features need up to 5\.60e\+7 GB but the disk has [\d.e+]+ GB left/)
    }))
  )
})

describe("a feature cache", () => {
  const onnx = { engine: "onnx cpu", version: "1.30.0", threads: 1, precision: "fp32" }

  live(
    "keeps what it was computed on, and says when it goes on elsewhere",
    Effect.scoped(Effect.gen(function*() {
      const directory = yield* folder
      const warnings: Array<string> = []
      const logger = Logger.make(({ message }) => void warnings.push(String(message)))
      const filled = (count: number, computedOn?: typeof onnx) =>
        fill(directory, { ...(computedOn && { computedOn }) }, (writer) => writer.append(keys.slice(0, count), values))
          .pipe(Effect.provide(Logger.layer([logger])))
      const known = Effect.map(FeatureCache.reader(directory), ({ computedOn }) => computedOn)
      yield* filled(2)
      assert.deepStrictEqual(yield* known, [])
      yield* filled(3, onnx)
      yield* filled(4, onnx)
      assert.deepStrictEqual([yield* known, warnings], [[onnx], []])
      yield* filled(4, { ...onnx, threads: 2 })
      assert.deepStrictEqual([yield* known, warnings], [[onnx], []])
      yield* filled(7, { ...onnx, threads: 2 })
      assert.deepStrictEqual(yield* known, [onnx, { ...onnx, threads: 2 }])
      assert.lengthOf(warnings, 1)
      assert.include(warnings[0], `feature cache ${directory}: until now it was computed on onnx cpu 1.30.0, 1 thread`)
      assert.include(warnings[0], "(threads: 1 then, 2 now)")
    }))
  )
})

describe("FeatureCache on a disk that fails", () => {
  live(
    "claims no images that no shard holds",
    Effect.scoped(Effect.gen(function*() {
      const directory = yield* folder
      const fs = yield* FileSystem.FileSystem
      let failing = false
      const breaking = {
        ...fs,
        rename: (from: string, to: string) =>
          failing && to.endsWith("cache.json")
            ? Effect.fail(PlatformError.systemError({ _tag: "Unknown", module: "FileSystem", method: "rename" }))
            : fs.rename(from, to)
      }
      yield* fill(directory, {}, (writer) =>
        Effect.gen(function*() {
          writer.reached("walk", 1)
          failing = true
          assert.isTrue(Exit.isFailure(yield* Effect.exit(writer.append(keys, values))))
          failing = false
        })).pipe(Effect.provideService(FileSystem.FileSystem, breaking))
      yield* fill(directory, {}, (writer) =>
        Effect.sync(() => {
          assert.strictEqual(writer.walked("walk"), 1)
          assert.deepStrictEqual(keys.slice(0, 3).map(writer.has), [true, true, true])
        }))
      assert.deepStrictEqual(yield* (yield* FeatureCache.reader(directory)).read(keys.slice(0, 3)), values.slice(0, 18))
    }))
  )
})

describe("Teacher.layerCached", () => {
  const cached = (directory: string) =>
    Effect.provide(Teacher.Teacher.useSync((teacher) => teacher), Teacher.layerCached(directory), { local: true })

  live(
    "is the teacher without it",
    Effect.scoped(Effect.gen(function*() {
      const [exact, half] = [yield* folder, yield* folder]
      yield* fill(exact)
      yield* fill(half, { dtype: "float16" })
      const teacher = yield* cached(exact)
      assert.deepStrictEqual([teacher.name, teacher.width, teacher.digest], ["any", 3, "d"])
      const { data, shape } = yield* teacher.features(given)
      assert.deepStrictEqual([shape, data], [[7, 2, 3], values])
      assert.notStrictEqual((yield* cached(half)).digest, "d")

      const other = yield* Effect.flip(teacher.features(HostTensor.zeros([1, 3, 4, 8], "float32")))
      assert.strictEqual(other[Runtime.errorExitCode], 65)
      assert.include(other.message, "teacher any: the images have the shape [1, 3, 4, 8]")
      const absent = yield* Effect.flip(teacher.features(images(1)))
      assert.strictEqual(absent[Runtime.errorExitCode], 66)
      const none = yield* Effect.flip(cached(yield* folder))
      assert.strictEqual(none[Runtime.errorExitCode], 66)
    }))
  )
})
