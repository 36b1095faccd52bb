import { NodePath, NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, FileSystem, Layer, Logger, Option, PlatformError, Runtime } from "effect"
import { TestClock } from "effect/testing"
import { hostname } from "node:os"
import type { Json } from "../../../src/domain/values/Json.ts"
import * as Checkpoints from "../../../src/layers/run/Checkpoints.ts"
import * as Runs from "../../../src/layers/run/Runs.ts"
import * as Weights from "../../../src/layers/weights/Weights.ts"
import * as HostTensor from "../../../src/shapes/HostTensor.ts"

const config = { pretrain: { optimizer: { lr: 0.003 }, steps: 10 } }

const withFolder = <A, E, R>(use: (folder: string, fs: FileSystem.FileSystem) => Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    return yield* use(`${yield* fs.makeTempDirectoryScoped()}/run`, fs)
  }).pipe(Effect.provide(NodeServices.layer))

const using = <A, E, R>(
  folder: string,
  use: (run: (typeof Runs.Runs)["Service"]) => Effect.Effect<A, E, R>,
  asked: Json = config,
  stages?: Readonly<Record<string, string>>
) =>
  Effect.scoped(
    Runs.Runs.use(use).pipe(
      Effect.provide(Runs.layer(folder, { config: asked, ...(stages && { stages }) }), { local: true })
    )
  )

const begin = ({ log }: (typeof Runs.Runs)["Service"]) => log({ stage: "a", step: 0 })

const refusal = (folder: string, asked: Json = config) =>
  using(folder, begin, asked).pipe(
    Effect.flip,
    Effect.map((error) => {
      assert.instanceOf(error, Runs.RunsError)
      return error
    })
  )

const start = (pid: number, fs: FileSystem.FileSystem) =>
  fs.readFileString(`/proc/${pid}/stat`).pipe(
    Effect.map((stat) => stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]!)
  )

const train = Effect.fnUntraced(function*(stage: string, from: number, to: number) {
  const run = yield* Runs.Runs
  for (let step = from; step <= to; step++) {
    yield* run.log({ stage, step, loss: 1 / step, lr: 0.1 })
    yield* run.timing({ stage, step, imagesPerSecond: 50 })
  }
})

const behaviour = (layer: Layer.Layer<Runs.Runs | Checkpoints.Checkpoints, unknown>) => {
  const test = (name: string, body: Effect.Effect<void, unknown, Runs.Runs | Checkpoints.Checkpoints>) =>
    it.effect(name, () => body.pipe(Effect.provide(layer, { local: true })))

  test(
    "returns the rows in order",
    Effect.gen(function*() {
      const run = yield* Runs.Runs
      yield* run.log({ step: 1, stage: "a", loss: 0.5, note: "x", missing: null })
      yield* run.log({ stage: "b", step: 1, loss: NaN })
      assert.deepStrictEqual(yield* run.readLog, [
        { stage: "a", step: 1, loss: 0.5, note: "x", missing: null },
        { stage: "b", step: 1, loss: null }
      ])
    })
  )

  test(
    "drops the rows of one stage from a step on",
    Effect.gen(function*() {
      const run = yield* Runs.Runs
      yield* train("tokenizer", 1, 3)
      yield* train("pretrain", 1, 3)
      assert.strictEqual(yield* run.rewind("pretrain", 2), 1)
      assert.deepStrictEqual((yield* run.readLog).map(({ stage, step }) => `${stage} ${step}`), [
        "tokenizer 1",
        "tokenizer 2",
        "tokenizer 3",
        "pretrain 1"
      ])
    })
  )

  test(
    "keeps the results and weights of finished stages",
    Effect.gen(function*() {
      const run = yield* Runs.Runs
      assert.isTrue(Option.isNone(yield* run.result("probe")))
      assert.isTrue(Option.isNone(yield* run.weights("probe")))
      const weights = Weights.make({ w: HostTensor.make([1], "float32", Float32Array.of(2)) })
      yield* run.saveWeights("probe", weights)
      yield* run.done("probe", { accuracy: 0.7 })
      assert.deepStrictEqual(yield* run.result("probe"), Option.some({ accuracy: 0.7 }))
      assert.deepStrictEqual(yield* run.weights("probe"), Option.some(weights))
      assert.isTrue(Option.isNone(yield* run.result("other")))
    })
  )

  test(
    "makes no path of what is no name of a stage",
    Effect.gen(function*() {
      const run = yield* Runs.Runs
      const checkpoints = yield* Checkpoints.Checkpoints
      const stage = "../outside"
      const nothing = Weights.make({})
      const asked: ReadonlyArray<
        Effect.Effect<unknown, Runs.RunsError | Checkpoints.CheckpointsError | Weights.WeightsError>
      > = [
        run.result(stage),
        run.done(stage, 1),
        run.weights(stage),
        run.saveWeights(stage, nothing),
        run.saveBatch(stage, 1, nothing),
        checkpoints.steps(stage),
        checkpoints.read(stage, 1),
        checkpoints.latest({ stage, config, dataDigest: "d" })
      ]
      for (const error of yield* Effect.forEach(asked, (one) => Effect.flip(one))) {
        assert(error.reason._tag === "StageNameInvalid")
        assert.match(error.message, /^a stage cannot be named "..\/outside"/)
      }
    })
  )

  test(
    "brings its checkpoints",
    Effect.gen(function*() {
      const checkpoints = yield* Checkpoints.Checkpoints
      assert.isTrue(Option.isNone(yield* checkpoints.latest({ stage: "a", config, dataDigest: "d" })))
    })
  )
}

describe("Runs in memory", () => {
  behaviour(Runs.layerMemory())
})

describe("Runs in a folder", () => {
  behaviour(
    Layer.unwrap(Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      return Runs.layer(`${yield* fs.makeTempDirectoryScoped()}/run`, { config })
    })).pipe(Layer.provide(NodeServices.layer))
  )

  it.effect("has the layout of the design", () =>
    withFolder(Effect.fnUntraced(function*(folder, fs) {
      yield* using(
        folder,
        Effect.fnUntraced(function*(run) {
          assert.deepStrictEqual(run.directory, Option.some(folder))
          yield* run.log({ stage: "a", step: 1 })
          yield* run.timing({ stage: "a", step: 1 })
          yield* run.done("a", 1)
          yield* run.writeReport({ a: 1 }, "<html></html>")
          assert.include(yield* fs.readDirectory(folder), "lock")
        })
      )
      assert.deepStrictEqual((yield* fs.readDirectory(folder)).toSorted(), [
        "checkpoints",
        "config.json",
        "environment.json",
        "log.jsonl",
        "report.html",
        "report.json",
        "stages",
        "timings.jsonl"
      ])
      assert.deepStrictEqual(JSON.parse(yield* fs.readFileString(`${folder}/config.json`)), config)
      assert.deepStrictEqual(JSON.parse(yield* fs.readFileString(`${folder}/report.json`)), { a: 1 })
      assert.strictEqual(yield* fs.readFileString(`${folder}/report.html`), "<html></html>")
      assert.strictEqual(
        yield* fs.readFileString(`${folder}/timings.jsonl`),
        `{"stage":"a","step":1,"at":"1970-01-01T00:00:00.000Z"}\n`
      )
      const environment = JSON.parse(yield* fs.readFileString(`${folder}/environment.json`))
      assert.strictEqual(environment.node, process.version)
      assert.match(environment.packages.effect, /^4\./)
      assert.match(environment.packages["onnxruntime-node"], /^1\./)
    })))

  const onnx = { engine: "onnx cpu", version: "1.30.0", threads: 1, precision: "fp32" }
  const openvino = { engine: "openvino", version: "2026.0", threads: 2, precision: "bf16" }

  const blank = Effect.fnUntraced(function*(folder: string, fs: FileSystem.FileSystem) {
    yield* fs.makeDirectory(`${folder}/image-lists`)
    yield* fs.writeFileString(`${folder}/image-lists/files-0.json`, "{}")
  })

  it.effect("leaves nothing where nothing was done", () =>
    withFolder(Effect.fnUntraced(function*(folder, fs) {
      const failed = yield* using(folder, (run) =>
        run.computesOn(onnx).pipe(Effect.andThen(blank(folder, fs)), Effect.andThen(Effect.fail("no such split"))))
        .pipe(
          Effect.flip
        )
      assert.strictEqual(failed, "no such split")
      assert.isFalse(yield* fs.exists(folder))
      yield* fs.makeDirectory(folder)
      yield* using(folder, () =>
        blank(folder, fs))
      assert.deepStrictEqual(yield* fs.readDirectory(folder), [])
    })))

  it.effect("leaves no folder above it that it created, and every other one", () =>
    withFolder(Effect.fnUntraced(function*(folder, fs) {
      yield* using(`${folder}/of/one`, () => Effect.void)
      assert.isFalse(yield* fs.exists(folder))
      yield* using(`${folder}/of/one`, () => fs.writeFileString(`${folder}/mine.txt`, ""))
      assert.deepStrictEqual(yield* fs.readDirectory(folder), ["mine.txt"])
      yield* fs.makeDirectory(`${folder}/of`)
      yield* using(`${folder}/of/one`, () => Effect.void)
      assert.deepStrictEqual(yield* fs.readDirectory(`${folder}/of`), [])
    })))

  it.effect("takes another config where a process was killed before it did anything", () =>
    withFolder(Effect.fnUntraced(function*(folder, fs) {
      const { copy } = fs
      yield* using(folder, () => copy(folder, `${folder}-killed`))
      yield* fs.remove(`${folder}-killed/lock`)
      yield* using(`${folder}-killed`, begin, {})
      assert.strictEqual(yield* fs.readFileString(`${folder}-killed/config.json`), "{}\n")
    })))

  it.effect.each(["config.json", "config.json image-lists", "config.json data environment.json stages"])(
    "refuses, and does not remove, %s of another program",
    (names) =>
      withFolder(Effect.fnUntraced(function*(folder, fs) {
        yield* fs.makeDirectory(folder)
        for (const name of names.split(" ")) {
          if (name.includes(".")) yield* fs.writeFileString(`${folder}/${name}`, "[]")
          else yield* fs.makeDirectory(`${folder}/${name}`, { recursive: true })
        }
        yield* refusal(folder)
        assert.deepStrictEqual((yield* fs.readDirectory(folder)).toSorted(), names.split(" "))
      }))
  )

  it.effect("has the log of an unbroken run after a resumption", () =>
    withFolder(Effect.fnUntraced(function*(folder, fs) {
      const unbroken = `${folder}-unbroken`
      const inRun = (directory: string, body: Effect.Effect<void, unknown, Runs.Runs>) =>
        using(directory, (run) => Effect.provideService(body, Runs.Runs, run))
      yield* inRun(unbroken, Effect.andThen(train("tokenizer", 1, 4), train("pretrain", 1, 9)))
      yield* inRun(folder, Effect.andThen(train("tokenizer", 1, 4), train("pretrain", 1, 7)))
      yield* fs.writeFileString(`${folder}/log.jsonl`, `{"stage":"pretrain","st`, { flag: "a" })
      yield* inRun(
        folder,
        Runs.Runs.use(({ rewind }) => rewind("pretrain", 5)).pipe(Effect.andThen(train("pretrain", 5, 9)))
      )
      assert.strictEqual(
        yield* fs.readFileString(`${folder}/log.jsonl`),
        yield* fs.readFileString(`${unbroken}/log.jsonl`)
      )
    })))

  it.effect("refuses another config, naming the keys that differ", () =>
    withFolder(Effect.fnUntraced(function*(folder, fs) {
      yield* using(folder, begin)
      const error = yield* refusal(folder, { pretrain: { optimizer: { lr: 0.001 }, steps: 10 } })
      assert.strictEqual(error.reason._tag, "OtherConfig")
      assert.strictEqual(error[Runtime.errorExitCode], 73)
      assert.include(error.message, folder)
      assert.include(error.message, "pretrain.optimizer.lr: the folder has 0.003, you ask for 0.001")
      assert.notInclude(error.message, "--")
      assert.notInclude(error.message, "steps")
      assert.notInclude(yield* fs.readDirectory(folder), "lock")
      yield* using(folder, begin, { pretrain: { steps: 10, optimizer: { lr: 0.003 } } })
    })))

  it.effect("says that its folder was removed while it is at work", () =>
    withFolder(Effect.fnUntraced(function*(folder, fs) {
      const row = { stage: "tokenizer", step: 1 }
      const errors = yield* using(folder, ({ log, timing }) =>
        Effect.gen(function*() {
          yield* log(row)
          yield* fs.remove(folder, { recursive: true })
          yield* TestClock.adjust("2 seconds")
          return yield* Effect.all([Effect.flip(log(row)), Effect.flip(timing(row))])
        }))
      for (const error of errors) {
        assert.strictEqual(error.reason._tag, "FolderGone")
        assert.strictEqual(error[Runtime.errorExitCode], 74)
        assert.include(error.message, `run folder ${folder}: the folder of the run is gone`)
      }
      assert.isFalse(yield* fs.exists(folder))
    })))

  it.effect("takes other settings for a stage that has not begun, and says so", () =>
    withFolder(Effect.fnUntraced(function*(folder, fs) {
      const asked = (tokenizer: number, pretrain: number, knn = 1, seed = 0) => ({ tokenizer, pretrain, knn, seed })
      const stages = { tokenizer: "tokenizer", pretrain: "pretrain", knn: "knn" }
      const told: Array<string> = []
      const opened = (config: Json) =>
        using(folder, ({ done }) => done("tokenizer", 1), config, stages).pipe(
          Effect.provide(Logger.layer([Logger.make(({ message }) => void told.push(String(message)))]))
        )
      yield* opened(asked(1, 1))
      yield* opened(asked(1, 2))
      assert.deepStrictEqual(told, [
        `run folder ${folder}: takes other settings for what has not begun (pretrain: 1 before, 2 now)`
      ])
      assert.deepStrictEqual(JSON.parse(yield* fs.readFileString(`${folder}/config.json`)), asked(1, 2))
      for (const other of [asked(2, 2), asked(2, 3), asked(1, 2, 1, 5)]) {
        assert.match((yield* Effect.flip(opened(other))).message, /(tokenizer|seed): the folder has/)
      }
      yield* fs.makeDirectory(`${folder}/checkpoints/pretrain/step-00000001`, { recursive: true })
      yield* fs.makeDirectory(`${folder}/results`)
      yield* fs.writeFileString(`${folder}/results/knn-val-0.json`, "")
      for (const other of [asked(1, 3), asked(1, 2, 2)]) {
        assert.match((yield* Effect.flip(opened(other))).message, /(pretrain|knn): the folder has/)
      }
      assert.lengthOf(told, 1)
    })))

  it.effect.each([
    "stages/segment.json",
    "stages/segment-frozen-random.json",
    "checkpoints/segment-random/step-00000001"
  ])(
    "keeps the settings of a part whose stage has another name and left %s",
    (left) =>
      withFolder(Effect.fnUntraced(function*(folder, fs) {
        const opened = (steps: number) => using(folder, begin, { segmentation: { steps } }, { segmentation: "segment" })
        yield* opened(6)
        yield* fs.makeDirectory(`${folder}/${left}`, { recursive: true })
        const before = yield* fs.readFileString(`${folder}/config.json`)
        assert.match((yield* Effect.flip(opened(7))).message, /segmentation\.steps: the folder has 6/)
        assert.strictEqual(yield* fs.readFileString(`${folder}/config.json`), before)
      }))
  )

  it.effect("has its former settings after a command that fails before the stage begins", () =>
    withFolder(Effect.fnUntraced(function*(folder, fs) {
      const stages = { tokenizer: "tokenizer", pretrain: "pretrain" }
      const asked = (tokenizer: number, pretrain: number) => ({ tokenizer, pretrain })
      yield* using(folder, begin, asked(1, 1), stages)
      const opened = (use: (run: (typeof Runs.Runs)["Service"]) => Effect.Effect<void, unknown>) =>
        Effect.exit(using(folder, use, asked(2, 2), stages))
      yield* opened(() => Effect.fail("no images"))
      const kept = Effect.map(fs.readFileString(`${folder}/config.json`), (text) => JSON.parse(text) as unknown)
      assert.deepStrictEqual(yield* kept, asked(1, 1))
      yield* opened(({ done }) => Effect.andThen(done("tokenizer", 1), Effect.fail("no images")))
      assert.deepStrictEqual(yield* kept, asked(2, 1))
    })))

  it.effect("refuses a folder that is no run and leaves it alone", () =>
    withFolder(Effect.fnUntraced(function*(folder, fs) {
      yield* fs.makeDirectory(folder)
      yield* fs.writeFileString(`${folder}/thesis.tex`, "")
      const error = yield* refusal(folder)
      assert.strictEqual(error.reason._tag, "NotARun")
      assert.strictEqual(error[Runtime.errorExitCode], 73)
      assert.include(error.message, "thesis.tex")
      assert.deepStrictEqual(yield* fs.readDirectory(folder), ["thesis.tex"])
    })))

  it.effect("names the file and line that are damaged", () =>
    withFolder(Effect.fnUntraced(function*(folder, fs) {
      yield* using(folder, ({ log }) => log({ stage: "a", step: 1 }))
      yield* fs.writeFileString(`${folder}/log.jsonl`, "{}\n", { flag: "a" })
      const log = yield* using(folder, ({ readLog }) => Effect.flip(readLog))
      assert.strictEqual(log[Runtime.errorExitCode], 65)
      assert.match(log.message, /log\.jsonl is damaged \(line 2: /)
      yield* fs.writeFileString(`${folder}/config.json`, "{")
      const error = yield* refusal(folder)
      assert.strictEqual(error.reason._tag, "Unreadable")
      assert.include(error.message, "config.json")
    })))

  it.effect.each(["config.json", "environment.json", "log.jsonl", "stages/a.json"])(
    "refuses thousands of brackets in %s, and names it",
    (name) =>
      withFolder(Effect.fnUntraced(function*(folder, fs) {
        yield* using(folder, begin)
        yield* fs.writeFileString(`${folder}/${name}`, `${"[".repeat(100_000)}${"]".repeat(100_000)}\n`)
        const all = (run: (typeof Runs.Runs)["Service"]) => Effect.andThen(run.readLog, run.result("a"))
        const error = yield* Effect.flip(using(folder, all))
        assert.instanceOf(error, Runs.RunsError)
        assert.strictEqual(error[Runtime.errorExitCode], 65)
        assert.match(error.message, new RegExp(`${name}.* is damaged .*at most 64 levels`))
      }))
  )

  it.effect.each(
    [
      ["environment.json", "[1]"],
      [
        "environment.json",
        `{"computedOn": [{"engine": "onnx cpu", "version": "1", "threads": "two", "precision": "fp32"}]}`
      ],
      ["environment.json", `{"computedOn": 3}`],
      ["log.jsonl", `{"stage": "a", "step": "one"}`],
      ["log.jsonl", `{"stage": "a", "step": -1}`]
    ] as const
  )(
    "refuses in %s what was never written there: %s",
    ([name, text]) =>
      withFolder(Effect.fnUntraced(function*(folder, fs) {
        yield* using(folder, begin)
        yield* fs.writeFileString(`${folder}/${name}`, `${text}\n`)
        const error = yield* Effect.flip(using(folder, ({ readLog }) => readLog))
        assert.instanceOf(error, Runs.RunsError)
        assert.strictEqual(error.reason._tag, "Unreadable")
        assert.include(error.message, name)
      }))
  )

  const warned = Effect.fnUntraced(function*<A, E, R>(self: Effect.Effect<A, E, R>) {
    const warnings: Array<string> = []
    const logger = Logger.make(({ message }) => void warnings.push(String(message)))
    yield* self.pipe(Effect.provide(Logger.layer([logger])))
    return warnings
  })

  it.effect("keeps what it was computed on, and says when that changes and what it costs", () =>
    withFolder(Effect.fnUntraced(function*(folder, fs) {
      const begun = (now: typeof onnx) => using(folder, (run) => Effect.andThen(run.computesOn(now), begin(run)))
      assert.deepStrictEqual(yield* warned(Effect.andThen(begun(onnx), begun(onnx))), [])
      const [warning = "", ...more] = yield* warned(begun(openvino))
      assert.deepStrictEqual(more, [])
      assert.include(warning, `run folder ${folder}: until now it was computed on onnx cpu 1.30.0, 1 thread, fp32`)
      assert.include(warning, `threads: 1 then, 2 now; precision: "fp32" then, "bf16" now`)
      assert.include(warning, "differ by rounding")
      assert.deepStrictEqual(yield* using(folder, ({ computedOn }) => computedOn), [onnx, openvino])
      const environment = JSON.parse(yield* fs.readFileString(`${folder}/environment.json`))
      assert.deepStrictEqual([environment.node, environment.computedOn], [process.version, [onnx, openvino]])
      assert.deepStrictEqual(yield* warned(using(folder, begin)), [])
    })))

  it.effect("reads the environment of an earlier version, which did not say it", () =>
    withFolder(Effect.fnUntraced(function*(folder, fs) {
      yield* using(folder, begin)
      assert.notInclude(yield* fs.readFileString(`${folder}/environment.json`), "computedOn")
      assert.deepStrictEqual(yield* warned(using(folder, ({ computesOn }) => computesOn(onnx))), [])
      assert.deepStrictEqual(yield* using(folder, ({ computedOn }) => computedOn), [onnx])
    })))

  it.effect("warns when the environment has changed", () =>
    withFolder(Effect.fnUntraced(function*(folder, fs) {
      yield* using(folder, begin)
      const path = `${folder}/environment.json`
      const text = yield* fs.readFileString(path)
      yield* fs.writeFileString(path, text.replace(process.version, "v1.2.3"))
      const warnings = yield* warned(using(folder, begin))
      assert.lengthOf(warnings, 1)
      assert.include(warnings[0], `node: "v1.2.3" then, "${process.version}" now`)
    })))

  it.effect("is closed to a second user while it is open", () =>
    withFolder(Effect.fnUntraced(function*(folder) {
      yield* using(
        folder,
        Effect.fnUntraced(function*(run) {
          const error = yield* refusal(folder)
          assert.strictEqual(error.reason._tag, "Locked")
          assert.strictEqual(error[Runtime.errorExitCode], 73)
          assert.include(error.message, "another part of this process is using it")
          yield* run.log({ stage: "a", step: 1 })
        })
      )
      assert.lengthOf(yield* using(folder, ({ readLog }) => readLog), 1)
    })))

  it.effect("lets one of two simultaneous users in", () =>
    withFolder(Effect.fnUntraced(function*(folder, fs) {
      yield* fs.makeDirectory(folder)
      yield* fs.writeFileString(`${folder}/lock`, JSON.stringify({ pid: 999999999, host: hostname(), started: null }))
      const release = yield* Deferred.make<void>()
      let settled = 0
      const settle = Effect.suspend(() => ++settled === 4 ? Deferred.succeed(release, undefined) : Effect.void)
      const exits = yield* Effect.forEach(
        [1, 2, 3, 4],
        () =>
          Effect.exit(
            using(folder, () => Effect.andThen(settle, Deferred.await(release))).pipe(Effect.tapError(() => settle))
          ),
        { concurrency: "unbounded" }
      )
      assert.lengthOf(exits.filter(Exit.isSuccess), 1)
    })))

  it.effect.each([
    ["a dead process", 999999999, hostname(), null],
    ["an earlier process with our number", process.pid, hostname(), "1"],
    ["an earlier process with the number of a living one", process.ppid, hostname(), "1"]
  ])("takes over the lock of %s", ([, pid, host, started]) =>
    withFolder(Effect.fnUntraced(function*(folder, fs) {
      yield* fs.makeDirectory(folder)
      yield* fs.writeFileString(`${folder}/lock`, JSON.stringify({ pid, host, started }))
      yield* using(
        folder,
        Effect.fnUntraced(function*() {
          const held = JSON.parse(yield* fs.readFileString(`${folder}/lock`))
          assert.strictEqual(held.pid, process.pid)
          assert.strictEqual(held.started, yield* start(process.pid, fs))
        })
      )
      assert.notInclude(yield* fs.readDirectory(folder), "lock")
    })))

  it.effect("takes over a lock that was never written to the end", () =>
    withFolder(Effect.fnUntraced(function*(folder, fs) {
      yield* fs.makeDirectory(folder)
      yield* fs.writeFileString(`${folder}/lock`, "")
      yield* using(folder, begin)
    })))

  it.effect.each([
    ["a living process", process.ppid, hostname()],
    ["a process on another machine", 999999999, "elsewhere"]
  ])("respects the lock of %s", ([, pid, host]) =>
    withFolder(Effect.fnUntraced(function*(folder, fs) {
      yield* fs.makeDirectory(folder)
      yield* fs.writeFileString(`${folder}/lock`, JSON.stringify({ pid, host, started: null }))
      const error = yield* refusal(folder)
      assert.include(error.message, `process ${pid} on ${host}`)
      assert.deepStrictEqual(yield* fs.readDirectory(folder), ["lock"])
    })))

  it.effect("says that the disk is full", () =>
    withFolder(Effect.fnUntraced(function*(folder, fs) {
      const full = PlatformError.systemError({
        _tag: "Unknown",
        module: "FileSystem",
        method: "writeFile",
        cause: Object.assign(new Error("ENOSPC"), { code: "ENOSPC" })
      })
      const double = FileSystem.FileSystem.of({
        ...fs,
        open: (path, options) =>
          Effect.map(fs.open(path, options), (file) =>
            path.endsWith("log.jsonl") ? Object.assign(file, { writeAll: () => Effect.fail(full) }) : file)
      })
      const error = yield* Runs.Runs.use(({ log }) =>
        Effect.flip(log({ stage: "a", step: 1 }))
      ).pipe(Effect.provide(
        Runs.layerNoDeps(folder, { config }).pipe(
          Layer.provide([NodePath.layer, Layer.succeed(FileSystem.FileSystem, double)])
        )
      ))
      assert.strictEqual(error[Runtime.errorExitCode], 74)
      assert.include(error.message, "log.jsonl: the disk is full")
    })))
})
