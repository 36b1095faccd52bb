import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Option, Runtime } from "effect"
import * as InspectionText from "../../src/cli/terminal/InspectionText.ts"
import * as Files from "../../src/layers/files/Files.ts"
import * as Weights from "../../src/layers/weights/Weights.ts"
import { inspect } from "../../src/pipelines/artifacts/Inspect.ts"
import * as Network from "../../src/pipelines/trained/Network.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import { digestOf } from "../layers/weights/digestOf.ts"
import * as Torch from "../layers/weights/torch.ts"
import { micro } from "./kit.ts"

const ROW = `{"stage":"pretrain","step":1,"loss":2}\n`

const inRun = Effect.fnUntraced(function*(files: Readonly<Record<string, string>>) {
  const fs = yield* FileSystem.FileSystem
  const folder = yield* fs.makeTempDirectoryScoped()
  for (const [name, text] of Object.entries(files)) yield* fs.writeFileString(`${folder}/${name}`, text)
  return yield* inspect(folder)
}, Effect.provide(NodeServices.layer))

const inFile = Effect.fnUntraced(function*(name: string, bytes: Uint8Array) {
  const fs = yield* FileSystem.FileSystem
  const file = `${yield* fs.makeTempDirectoryScoped()}/${name}`
  yield* fs.writeFile(file, bytes)
  return yield* Effect.flip(inspect(file))
}, Effect.provide(NodeServices.layer))

describe("inspecting a file", () => {
  it.effect.each(
    [
      ["a.txt", Buffer.from("abc")],
      ["a.json", Buffer.from("{}")],
      ["empty.bin", Buffer.of()],
      ["a.png", Buffer.from("89504e470d0a1a0a0000000d49484452", "hex")],
      ["random.pth", Buffer.alloc(100, 0xa7)],
      ["random.safetensors", Buffer.alloc(100, 0xa7)]
    ] as const
  )("says of %s that it is of no known kind, and what was looked for", ([name, bytes]) =>
    Effect.gen(function*() {
      const error = yield* inFile(name, bytes)
      assert.strictEqual(error.reason._tag, "Unknown")
      assert.match(error.message, /is neither safetensors nor a checkpoint of PyTorch.*\.onnx; give safetensors/)
      assert.notMatch(error.message, /cut off|claims/)
      assert.strictEqual(error[Runtime.errorExitCode], 65)
    }))

  it.effect.each(
    [
      ["begun.safetensors", Buffer.of(8, 0, 0)],
      ["begun.bin", Buffer.from(`\u0020\0\0\0\0\0\0\0{"weight":`)]
    ] as const
  )("says of %s that it is cut off", ([name, bytes]) =>
    Effect.gen(function*() {
      assert.match((yield* inFile(name, bytes)).message, /is cut off: .*; copy the file again/)
    }))
})

const counting = Effect.fnUntraced(function*(file: string) {
  const fs = yield* FileSystem.FileSystem
  let bytes = 0
  const counted = (handle: FileSystem.File): FileSystem.File => {
    const of = (count: number) => Effect.sync(() => void (bytes += count))
    const over = {
      read: (into: Uint8Array, at: object) => Effect.tap(handle.read(into, at), of),
      readAlloc: (size: Parameters<FileSystem.File["readAlloc"]>[0]) =>
        Effect.tap(handle.readAlloc(size), (part) => of(Option.isSome(part) ? part.value.length : 0))
    }
    return Object.assign(Object.create(handle), over)
  }
  const slow = FileSystem.make({ ...fs, open: (path, options) => Effect.map(fs.open(path, options), counted) })
  const found = yield* Effect.provideService(inspect(file), FileSystem.FileSystem, slow)
  return { found, bytes }
})

describe("inspecting a checkpoint of PyTorch", () => {
  it.effect("reads it once, and tells its element types", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const folder = yield* fs.makeTempDirectoryScoped()
      const length = 2 ** 18
      const storage = { key: "0", type: "Half", data: new Uint16Array(length), length }
      const content = yield* Effect.promise(() =>
        Torch.file(Torch.stateDict({ w: { storage, shape: [length] } }), [storage])
      )
      yield* fs.writeFile(`${folder}/w.pth`, content)
      const { bytes, found } = yield* counting(`${folder}/w.pth`)
      assert.deepInclude(found, { tensors: 1, parameters: length, dtypes: { F16: length }, bytes: content.length })
      assert.deepInclude(found, { digest: Files.sha256(content) })
      assert.isAtLeast(bytes, content.length)
      assert.isBelow(bytes, content.length * 1.2)
    }).pipe(Effect.provide(NodeServices.layer)))

  it.effect("says that it is cut off", () =>
    Effect.gen(function*() {
      const storage = { key: "0", type: "Float", data: new Float32Array(8), length: 9 }
      const content = yield* Effect.promise(() =>
        Torch.file(Torch.stateDict({ w: { storage, shape: [9] } }), [storage])
      )
      assert.match((yield* inFile("w.pth", content)).message, /has 32 bytes but 36 are expected/)
    }))
})

describe("inspecting what a run leaves", () => {
  it.effect.each(
    [
      [
        "Checkpoint",
        "state.json",
        JSON.stringify({
          sha256: "",
          state: { format: 1, version: "0.1.0", stage: "pretrain", step: 400, epoch: 3 }
        }),
        { stage: "pretrain", step: 400, version: "0.1.0" }
      ],
      [
        "FeatureCache",
        "cache.json",
        JSON.stringify({
          format: 1,
          about: { teacher: "hog", digest: "", image: [48, 48], tokens: 36, width: 48, dtype: "float16" },
          shards: [1, 2].map((images) => ({ file: `shard-0000${images}.bin`, images, sha256: "" })),
          walks: {}
        }),
        { teacher: "hog", images: 3, shards: 2, width: 48 }
      ]
    ] as const
  )("tells a %s", ([tag, file, text, expected]) =>
    Effect.gen(function*() {
      const found = yield* inRun({ [file]: text })
      assert.deepInclude(found, { _tag: tag, ...expected })
    }))

  it.effect("tells a configuration by its stages", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const file = `${yield* fs.makeTempDirectoryScoped()}/mine.yaml`
      yield* fs.writeFileString(file, "pretrain:\n  seed: 1\nknn: {}\n")
      assert.deepInclude(yield* inspect(file), { _tag: "Config", stages: ["pretrain", "knn"] })
    }).pipe(Effect.provide(NodeServices.layer)))

  it.effect("digests a file of weights and what it holds", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const file = `${yield* fs.makeTempDirectoryScoped()}/own.safetensors`
      const weights = Weights.make(
        { weight: HostTensor.make([2], "float32", Float32Array.of(1, 2)) },
        new Weights.Provenance({ stage: "mine", configDigest: "", dataDigest: "", step: 1, seed: 0 })
      )
      yield* Weights.write(file, weights)
      const found = yield* inspect(file)
      assert.deepInclude(found, {
        digest: Files.sha256(yield* fs.readFile(file)),
        weightsDigest: digestOf(weights.tensors)
      })
    }).pipe(Effect.provide(NodeServices.layer)))

  it.effect("says why weights cannot be used, instead of what for", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const folder = yield* fs.makeTempDirectoryScoped()
      const file = `${folder}/stages/tokenizer.safetensors`
      yield* fs.makeDirectory(`${folder}/stages`)
      const config = micro().tokenizer
      const model = { _tag: "Tokenizer", config, teacherWidth: 8 } as const
      const { tensors } = Network.untrained({ ...model, tensors: {} })
      const { dim, size } = config.codebook
      const codes = HostTensor.make([size, dim], "float32", new Float32Array(size * dim).fill(1))
      const all: Weights.Tensors = { ...tensors, "quantize.embedding.weight": codes }
      const provenance = new Weights.Provenance({
        stage: "tokenizer",
        configDigest: "",
        dataDigest: "",
        step: 1,
        seed: 0,
        model
      })
      const found = Effect.fnUntraced(function*(given: Weights.Tensors, change: (bytes: Uint8Array) => void) {
        yield* Weights.write(file, Weights.make(given, provenance))
        const bytes = yield* fs.readFile(file)
        change(bytes)
        yield* fs.writeFile(file, bytes)
        const [one, run] = [yield* inspect(file), yield* inspect(folder)]
        assert(one._tag === "Weights" && run._tag === "Run")
        assert.strictEqual(run.uses.length, one.uses.length)
        return { problem: one.problem, uses: one.uses.length, text: InspectionText.lines(run).join("\n") }
      })
      const whole = yield* found(all, () => undefined)
      assert.isUndefined(whole.problem)
      assert.isAbove(whole.uses, 3)
      const diverged = yield* found(all, (bytes) => bytes.set([0, 0, 0xc0, 0x7f], bytes.length - 4))
      assert.match(diverged.problem!, /holds NaN.*nothing can be computed from it; use weights from before/)
      assert.strictEqual(diverged.uses, 0)
      assert.include(diverged.text, "holds NaN")
      const { "encoder.cls_token": _, ...others } = all
      const lacking = yield* found(others, () => undefined)
      assert.match(lacking.problem!, /encoder\.cls_token/)
      assert.strictEqual(lacking.uses, 0)
    }).pipe(Effect.provide(NodeServices.layer)))
})

describe("inspecting a run", () => {
  it.effect("takes one at work, and one of an earlier version", () =>
    Effect.gen(function*() {
      const found = yield* inRun({ "log.jsonl": `${ROW}{"stage":"pre`, "environment.json": `{"node":"v22"}` })
      assert(found._tag === "Run")
      assert.deepStrictEqual(found.stages.map(({ lastBatch }) => lastBatch?.step), [1])
      assert.deepStrictEqual(found.computedOn, [])
    }))

  it.effect.each(
    [
      ["log.jsonl, line 2,", { "log.jsonl": `${ROW}{}\n` }],
      ["log.jsonl, line 1,", { "log.jsonl": `${"[".repeat(100_000)}${"]".repeat(100_000)}\n` }],
      ["environment.json", { "log.jsonl": ROW, "environment.json": "[".repeat(100_000) }],
      ["environment.json", { "log.jsonl": ROW, "environment.json": `{"computedOn": [1]}` }]
    ] as const
  )("names what is damaged: %s", ([name, files]) =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(inRun(files))
      assert.include(error.message, `${name} is damaged`)
      assert.strictEqual(error[Runtime.errorExitCode], 65)
    }))
})
