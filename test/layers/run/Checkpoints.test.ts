import { NodePath, NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Layer, Option, PlatformError, Runtime } from "effect"
import * as Json from "../../../src/domain/values/Json.ts"
import * as Files from "../../../src/layers/files/Files.ts"
import * as Checkpoints from "../../../src/layers/run/Checkpoints.ts"
import * as HostTensor from "../../../src/shapes/HostTensor.ts"

const request: Checkpoints.Request = {
  stage: "pretrain",
  config: { optimizer: { lr: 0.003 }, batchSize: 8 },
  dataDigest: "data weights"
}

const snapshot = (step: number, stage = "pretrain"): Checkpoints.Snapshot => ({
  ...request,
  stage,
  step,
  epoch: 3,
  computedOn: [{ engine: "onnx cpu", version: "1", threads: 2, precision: "fp32", from: 1 }],
  configDigest: "config",
  weights: { "blocks.0.weight": HostTensor.make([2], "float32", Float32Array.of(step, NaN)) },
  optimizer: { "exp_avg.blocks.0.weight": HostTensor.make([2], "float32", Float32Array.of(-step, 1e-30)) },
  extra: { codes: [1, 2], best: 0.5 }
})

const withFolder = <A, E, R>(use: (folder: string, fs: FileSystem.FileSystem) => Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    return yield* use(yield* fs.makeTempDirectoryScoped(), fs)
  }).pipe(Effect.provide(NodeServices.layer))

const using = <A, E, R>(
  folder: string,
  use: (checkpoints: (typeof Checkpoints.Checkpoints)["Service"]) => Effect.Effect<A, E, R>,
  options?: Checkpoints.Options
) =>
  Effect.scoped(
    Checkpoints.Checkpoints.use(use).pipe(
      Effect.provide(Checkpoints.layer(folder, options), { local: true })
    )
  )

const usingDouble = <A, E, R>(
  folder: string,
  fs: FileSystem.FileSystem,
  use: (checkpoints: (typeof Checkpoints.Checkpoints)["Service"]) => Effect.Effect<A, E, R>
) =>
  Checkpoints.Checkpoints.use(use).pipe(Effect.provide(
    Checkpoints.layerNoDeps(folder).pipe(
      Layer.provide([NodePath.layer, Layer.succeed(FileSystem.FileSystem, fs)])
    ),
    { local: true }
  ))

const stepFolder = (folder: string, step: number) => `${folder}/pretrain/step-${String(step).padStart(8, "0")}`

const behaviour = (layer: (options?: Checkpoints.Options) => Layer.Layer<Checkpoints.Checkpoints, unknown>) => {
  const test = (
    name: string,
    body: Effect.Effect<void, unknown, Checkpoints.Checkpoints>,
    options?: Checkpoints.Options
  ) => it.effect(name, () => body.pipe(Effect.provide(layer(options))))

  test(
    "has nothing at first",
    Effect.gen(function*() {
      const checkpoints = yield* Checkpoints.Checkpoints
      assert.isTrue(Option.isNone(yield* checkpoints.latest(request)))
      const error = yield* Effect.flip(checkpoints.load({ ...request, step: 4 }))
      assert.strictEqual(error.reason._tag, "Missing")
      assert.strictEqual(error[Runtime.errorExitCode], 66)
    })
  )

  test(
    "returns every bit of what was saved",
    Effect.gen(function*() {
      const checkpoints = yield* Checkpoints.Checkpoints
      yield* checkpoints.save(snapshot(400))
      assert.deepStrictEqual(yield* checkpoints.load({ ...request, step: 400 }), snapshot(400))
      assert.deepStrictEqual(yield* checkpoints.latest(request), Option.some(snapshot(400)))
    })
  )

  test(
    "keeps the newest of each stage, two by default",
    Effect.gen(function*() {
      const checkpoints = yield* Checkpoints.Checkpoints
      for (const step of [9, 99, 100, 1000]) yield* checkpoints.save(snapshot(step))
      yield* checkpoints.save(snapshot(5, "tokenizer"))
      assert.deepStrictEqual(yield* checkpoints.steps("pretrain"), [100, 1000])
      assert.deepStrictEqual(yield* checkpoints.steps("tokenizer"), [5])
      assert.strictEqual(Option.getOrThrow(yield* checkpoints.latest(request)).step, 1000)
      yield* checkpoints.clear("pretrain")
      yield* checkpoints.clear("pretrain")
      assert.deepStrictEqual(yield* checkpoints.steps("pretrain"), [])
      assert.deepStrictEqual(yield* checkpoints.steps("tokenizer"), [5])
    })
  )

  test(
    "keeps as many as asked",
    Effect.gen(function*() {
      const checkpoints = yield* Checkpoints.Checkpoints
      for (const step of [1, 2, 3]) yield* checkpoints.save(snapshot(step))
      assert.deepStrictEqual(yield* checkpoints.steps("pretrain"), [3])
    }),
    { keep: 1 }
  )

  test(
    "replaces a step that is saved again",
    Effect.gen(function*() {
      const checkpoints = yield* Checkpoints.Checkpoints
      yield* checkpoints.save(snapshot(1))
      yield* checkpoints.save({ ...snapshot(1), epoch: 8 })
      assert.strictEqual((yield* checkpoints.load({ ...request, step: 1 })).epoch, 8)
    })
  )

  test(
    "refuses another config and other data, naming what differs",
    Effect.gen(function*() {
      const checkpoints = yield* Checkpoints.Checkpoints
      yield* checkpoints.save(snapshot(1))
      const error = yield* Effect.flip(
        checkpoints.latest({ ...request, config: { optimizer: { lr: 0.001 }, seed: 1 }, dataDigest: "data other" })
      )
      assert.strictEqual(error.reason._tag, "Foreign")
      assert.strictEqual(error[Runtime.errorExitCode], 73)
      assert.include(
        error.message,
        `optimizer.lr: the folder has 0.003, you ask for 0.001; batchSize: the folder has 8, you ask for none; ` +
          `seed: the folder has none, you ask for 1; ` +
          `teacher, tokenizer or first weights: the folder has "weights", you ask for "other"`
      )
      assert.include(error.message, "delete the folder to start the stage again")
    })
  )

  test(
    "is not touched by what happens to the arrays afterwards",
    Effect.gen(function*() {
      const checkpoints = yield* Checkpoints.Checkpoints
      const data = Float32Array.of(1)
      yield* checkpoints.save({ ...snapshot(1), weights: { w: HostTensor.make([1], "float32", data) } })
      data[0] = 2
      assert.deepStrictEqual((yield* checkpoints.load({ ...request, step: 1 })).weights["w"]?.data, Float32Array.of(1))
    })
  )
}

describe("Checkpoints in memory", () => {
  behaviour((options) => Checkpoints.layerMemory(options))
})

describe("Checkpoints in a folder", () => {
  behaviour((options) =>
    Layer.unwrap(Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      return Checkpoints.layer(`${yield* fs.makeTempDirectoryScoped()}/new`, options)
    })).pipe(Layer.provide(NodeServices.layer))
  )

  it.effect("has the layout of the design and records the digests", () =>
    withFolder(Effect.fnUntraced(function*(folder, fs) {
      yield* using(folder, ({ save }) => save(snapshot(400)))
      assert.deepStrictEqual(yield* fs.readDirectory(`${folder}/pretrain`), ["step-00000400"])
      assert.deepStrictEqual((yield* fs.readDirectory(stepFolder(folder, 400))).toSorted(), [
        "optimizer.safetensors",
        "state.json",
        "weights.safetensors"
      ])
      const text = yield* fs.readFileString(`${stepFolder(folder, 400)}/state.json`)
      assert.match(text, /"weights.safetensors": "[0-9a-f]{64}"/)
    })))

  for (const file of ["weights.safetensors", "optimizer.safetensors", "state.json"]) {
    it.effect(`fails on any flipped byte of ${file}, and never skips the checkpoint`, () =>
      withFolder(Effect.fnUntraced(function*(folder, fs) {
        yield* using(folder, ({ save }) => Effect.andThen(save(snapshot(400)), save(snapshot(600))))
        const path = `${stepFolder(folder, 600)}/${file}`
        const bytes = yield* fs.readFile(path)
        for (let at = 0; at < bytes.length; at += 7) {
          const broken = Uint8Array.from(bytes)
          broken[at]! ^= 0x11
          yield* fs.writeFile(path, broken)
          const error = yield* using(folder, ({ latest }) => Effect.flip(latest(request)))
          assert.strictEqual(error.reason._tag, "Damaged")
          assert.strictEqual(error[Runtime.errorExitCode], 65)
          assert.include(error.message, `${stepFolder(folder, 600)}: ${file} is damaged`)
          assert.include(error.message, "delete this folder to continue from the checkpoint before it")
        }
        yield* fs.remove(stepFolder(folder, 600), { recursive: true })
        assert.deepStrictEqual(yield* using(folder, ({ latest }) => latest(request)), Option.some(snapshot(400)))
      })))

    it.effect(`fails on a truncated and on a missing ${file}`, () =>
      withFolder(Effect.fnUntraced(function*(folder, fs) {
        yield* using(folder, ({ save }) => save(snapshot(600)))
        const path = `${stepFolder(folder, 600)}/${file}`
        yield* fs.truncate(path, Number((yield* fs.stat(path)).size) - 2)
        const cut = yield* using(folder, ({ latest }) => Effect.flip(latest(request)))
        assert.include(cut.message, `${file} is damaged`)
        yield* fs.remove(path)
        const gone = yield* using(folder, ({ latest }) => Effect.flip(latest(request)))
        assert.strictEqual(gone.reason._tag, "Damaged")
        assert.include(gone.message, `${file} is damaged`)
      })))
  }

  const resealed = Effect.fnUntraced(
    function*(fs: FileSystem.FileSystem, path: string, changes: Readonly<Record<string, unknown>>) {
      const state = { ...JSON.parse(yield* fs.readFileString(path)).state, ...changes }
      yield* fs.writeFileString(path, JSON.stringify({ sha256: Files.sha256(Json.canonical(state)), state }))
    }
  )

  it.effect.each(
    [
      ["a negative step", { step: -400 }],
      ["a negative epoch", { epoch: -1 }],
      ["half a step", { step: 400.5 }],
      ["another folder's step", { step: 200 }],
      ["another stage", { stage: "finetune" }],
      ["a number for a digest", { configDigest: 7 }],
      ["threads in words", { computedOn: [{ ...snapshot(400).computedOn[0], threads: "two" }] }]
    ] as const
  )("refuses a state with %s", ([, changes]) =>
    withFolder(Effect.fnUntraced(function*(folder, fs) {
      yield* using(folder, ({ save }) => save(snapshot(400)))
      yield* resealed(fs, `${stepFolder(folder, 400)}/state.json`, changes)
      const error = yield* using(folder, ({ latest }) => Effect.flip(latest(request)))
      assert.strictEqual(error.reason._tag, "Damaged")
      assert.include(error.message, "state.json is damaged")
    })))

  it.effect.each(
    [["[", "]"], [`{"state":`, "}"], [`{"state": {"a":`, "}}"]] as const
  )("refuses thousands of %s", ([open, close]) =>
    withFolder(Effect.fnUntraced(function*(folder, fs) {
      yield* using(folder, ({ save }) => save(snapshot(400)))
      const text = `${open.repeat(10_000)}1${close.repeat(10_000)}`
      yield* fs.writeFileString(`${stepFolder(folder, 400)}/state.json`, text)
      const error = yield* using(folder, ({ latest }) => Effect.flip(latest(request)))
      assert.strictEqual(error.reason._tag, "Damaged")
      assert.include(error.message, "at most 64 levels")
    })))

  it.effect("reads the state of an earlier version, which did not say what it was computed on", () =>
    withFolder(Effect.fnUntraced(function*(folder, fs) {
      yield* using(folder, ({ save }) => save(snapshot(400)))
      yield* resealed(fs, `${stepFolder(folder, 400)}/state.json`, { computedOn: undefined })
      assert.deepStrictEqual(
        yield* using(folder, ({ latest }) => latest(request)),
        Option.some({ ...snapshot(400), computedOn: [] })
      )
    })))

  it.effect("ignores and sweeps what dead writers left", () =>
    withFolder(Effect.fnUntraced(function*(folder, fs) {
      yield* using(folder, ({ save }) => save(snapshot(400)))
      const dead = `${folder}/pretrain/.tmp-999999999-0-step-00000600`
      const own = `${folder}/pretrain/.tmp-${process.pid}-0-step-00000600`
      const alive = `${folder}/pretrain/.tmp-${process.ppid}-0-step-00000600`
      for (const left of [dead, own, alive]) yield* fs.makeDirectory(left)
      const latest = yield* using(folder, (checkpoints) => checkpoints.latest(request))
      assert.strictEqual(Option.getOrThrow(latest).step, 400)
      assert.deepStrictEqual((yield* fs.readDirectory(`${folder}/pretrain`)).toSorted(), [
        `.tmp-${process.ppid}-0-step-00000600`,
        "step-00000400"
      ])
    })))

  it.effect("leaves alone what this process is writing", () =>
    withFolder(Effect.fnUntraced(function*(folder, fs) {
      const double = FileSystem.FileSystem.of({
        ...fs,
        open: (path, options) =>
          path.includes("/state.")
            ? Effect.andThen(Effect.orDie(using(folder, () => Effect.void)), fs.open(path, options))
            : fs.open(path, options)
      })
      yield* usingDouble(folder, double, ({ save }) => save(snapshot(400)))
      assert.deepStrictEqual(yield* using(folder, ({ latest }) => latest(request)), Option.some(snapshot(400)))
    })))

  it.effect("puts back a checkpoint whose replacement never came", () =>
    withFolder(Effect.fnUntraced(function*(folder, fs) {
      yield* using(folder, ({ save }) => save(snapshot(400)))
      yield* fs.rename(stepFolder(folder, 400), `${folder}/pretrain/.replaced-step-00000400`)
      assert.deepStrictEqual(yield* using(folder, ({ latest }) => latest(request)), Option.some(snapshot(400)))
      yield* fs.makeDirectory(`${folder}/pretrain/.replaced-step-00000400`)
      assert.deepStrictEqual(yield* using(folder, ({ latest }) => latest(request)), Option.some(snapshot(400)))
      assert.deepStrictEqual(yield* fs.readDirectory(`${folder}/pretrain`), ["step-00000400"])
    })))

  const full = PlatformError.systemError({
    _tag: "Unknown",
    module: "FileSystem",
    method: "writeAll",
    cause: Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" })
  })

  it.effect("keeps the old checkpoint when the disk is full", () =>
    withFolder(Effect.fnUntraced(function*(folder, fs) {
      yield* using(folder, ({ save }) => save(snapshot(400)))
      for (const [failing, name] of [["writeAll", "weights"], ["sync", "optimizer"], ["writeAll", "state"]] as const) {
        const double = FileSystem.FileSystem.of({
          ...fs,
          open: (path, options) =>
            Effect.map(fs.open(path, options), (file) =>
              options?.flag !== "w" || !path.includes(`/${name}.`) ? file : Object.create(file, {
                [failing]: {
                  value: failing === "sync" ? Effect.fail(full) : () =>
                    Effect.fail(full)
                }
              }))
        })
        const error = yield* usingDouble(folder, double, ({ save }) =>
          Effect.flip(save(snapshot(600))))
        assert.strictEqual(error[Runtime.errorExitCode], 74)
        assert.include(error.message, `${stepFolder(folder, 600)}/${name}.`)
        assert.include(error.message, "the disk is full")
        assert.deepStrictEqual(yield* fs.readDirectory(`${folder}/pretrain`), ["step-00000400"])
        assert.deepStrictEqual(yield* using(folder, ({ latest }) => latest(request)), Option.some(snapshot(400)))
      }
    })))

  it.effect("leaves the old checkpoint when a save is interrupted", () =>
    withFolder(Effect.fnUntraced(function*(folder, fs) {
      yield* using(folder, ({ save }) => save(snapshot(400)))
      const double = FileSystem.FileSystem.of({
        ...fs,
        open: (path, options) => path.includes("/state.") ? Effect.interrupt : fs.open(path, options)
      })
      const exit = yield* usingDouble(folder, double, ({ save }) => Effect.exit(save(snapshot(400))))
      assert.strictEqual(exit._tag, "Failure")
      assert.deepStrictEqual(yield* fs.readDirectory(`${folder}/pretrain`), ["step-00000400"])
      assert.deepStrictEqual(yield* using(folder, ({ latest }) => latest(request)), Option.some(snapshot(400)))
    })))
})
