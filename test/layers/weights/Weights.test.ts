import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Option, Result, Runtime } from "effect"
import { version } from "../../../src/domain/values/Version.ts"
import * as Safetensors from "../../../src/domain/weights/Safetensors.ts"
import * as Weights from "../../../src/layers/weights/Weights.ts"
import * as HostTensor from "../../../src/shapes/HostTensor.ts"
import * as Torch from "./torch.ts"

const params = {
  blocks: [
    { weight: HostTensor.make([2, 3], "float32", Float32Array.of(1, 2, 3, 4, 5, 6)), bias: undefined },
    { weight: HostTensor.zeros([2, 3], "float32") }
  ],
  index: HostTensor.make([2], "int32", Int32Array.of(-1, 9))
}

const provenance = Weights.Provenance.make({
  stage: "pretrain",
  configDigest: "c0",
  dataDigest: "d0",
  teacherDigest: "t0",
  step: 400,
  seed: 7
})

const inFolder = <A, E>(
  use: (folder: string) => Effect.Effect<A, E, FileSystem.FileSystem | NodeServices.NodeServices>
) =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    return yield* use(yield* fs.makeTempDirectoryScoped())
  }).pipe(Effect.provide(NodeServices.layer))

describe("Weights", () => {
  it("records the version that the package has", () =>
    import("../../../package.json", { with: { type: "json" } }).then(({ default: manifest }) => {
      assert.strictEqual(version, manifest.version)
      assert.strictEqual(provenance.version, version)
    }))

  it.effect("returns what was written, with its provenance", () =>
    inFolder(Effect.fnUntraced(function*(folder) {
      const weights = Weights.make(Weights.flatten(params), provenance)
      yield* Weights.write(`${folder}/deep/w.safetensors`, weights)
      const read = yield* Weights.read(`${folder}/deep/w.safetensors`)
      assert.deepStrictEqual(read.tensors, weights.tensors)
      assert.deepStrictEqual(read.provenance, Option.some(provenance))
      const fs = yield* FileSystem.FileSystem
      assert.deepStrictEqual(yield* fs.readDirectory(`${folder}/deep`), ["w.safetensors"])
    })))

  it.effect("reads files from elsewhere, which have no provenance", () =>
    inFolder(Effect.fnUntraced(function*(folder) {
      const fs = yield* FileSystem.FileSystem
      yield* fs.writeFile(`${folder}/w`, Safetensors.encode(Weights.flatten(params), { format: "pt" }))
      assert.isTrue(Option.isNone((yield* Weights.read(`${folder}/w`)).provenance))
    })))

  it.effect("writes the names of others and reads them back as official ones", () =>
    inFolder(Effect.fnUntraced(function*(folder) {
      const tensors = {
        "patch_embed.proj.weight": HostTensor.zeros([2, 3, 4, 4], "float32"),
        "blocks.0.attn.qkv.weight": HostTensor.make([3, 1], "float32", Float32Array.of(1, 2, 3)),
        "head.bias": HostTensor.make([2], "float32", Float32Array.of(4, 5))
      }
      const weights = Weights.make(tensors, provenance)
      const network = "classifier"
      const names = [
        ["timm", "patch_embed.proj.weight,blocks.0.attn.qkv.weight,head.bias"],
        [
          "huggingface",
          "beit.embeddings.patch_embeddings.projection.weight,beit.encoder.layer.0.attention.attention.query.weight," +
          "beit.encoder.layer.0.attention.attention.key.weight,beit.encoder.layer.0.attention.attention.value.weight," +
          "classifier.bias"
        ]
      ] as const
      for (const [naming, expected] of names) {
        const file = `${folder}/${naming}.safetensors`
        yield* Weights.write(file, weights, { naming, network })
        assert.sameMembers(Object.keys((yield* Weights.read(file)).tensors), expected.split(","))
        const read = yield* Weights.read(file, { network })
        assert.deepStrictEqual(read.tensors, tensors)
        assert.deepStrictEqual(read.provenance, Option.some(provenance))
      }
    })))

  it.effect("takes what is wrapped by the same rule, whatever the file", () =>
    inFolder(Effect.fnUntraced(function*(folder) {
      const fs = yield* FileSystem.FileSystem
      const patches = HostTensor.make([1, 3, 1, 1], "float32", Float32Array.of(1, 2, 3))
      const head = HostTensor.make([2], "float32", Float32Array.of(4, 5))
      const file = Effect.fnUntraced(function*(names: ReadonlyArray<string>, ending: string) {
        const [first, second] = names
        const path = `${folder}/w.${ending}`
        if (ending === "safetensors") {
          yield* fs.writeFile(path, Safetensors.encode({ [first!]: patches, [second!]: head }))
          return path
        }
        const storages = [patches, head].map(({ data }, i) => ({
          key: `${i}`,
          type: "Float",
          data,
          length: data.length
        }))
        const state = Torch.stateDict({
          [first!]: { storage: storages[0]!, shape: patches.shape },
          [second!]: { storage: storages[1]!, shape: head.shape }
        })
        yield* fs.writeFile(path, yield* Effect.promise(() => Torch.file({ dict: [["model", state]] }, storages)))
        return path
      })
      const official = ["patch_embed.proj.weight", "head.bias"]
      const theirs = ["beit.embeddings.patch_embeddings.projection.weight", "classifier.bias"]
      for (const ending of ["safetensors", "pth"]) {
        for (const prefix of ["", "module.", "_orig_mod.", "backbone.", "model.", "module._orig_mod.model."]) {
          for (const names of [official, theirs]) {
            const path = yield* file(names.map((name) => prefix + name), ending)
            const { tensors } = yield* Weights.read(path, { network: "classifier" })
            assert.deepStrictEqual({ ...tensors }, { "patch_embed.proj.weight": patches, "head.bias": head }, prefix)
          }
        }
        const headless = yield* file(theirs.map((name) => name.replace("beit.", "")), ending)
        const model = yield* Weights.read(headless, { network: "pretrained" })
        assert.include(Object.keys(model.tensors), "patch_embed.proj.weight")
        const apart = yield* Weights.read(yield* file(["backbone.patch_embed.proj.weight", "head.bias"], ending), {
          network: "classifier"
        })
        assert.sameMembers(Object.keys(apart.tensors), official)
        const foreign = yield* file(["visual.trunk.patch_embed.proj.weight", "visual.head.bias"], ending)
        const { message } = yield* Effect.flip(Weights.read(foreign, { network: "classifier" }))
        assert.include(message, "visual.trunk.patch_embed.proj.weight")
      }
    })))

  it.effect("names tensors that hold no numbers, in reading and in writing", () =>
    inFolder(Effect.fnUntraced(function*(folder) {
      const fs = yield* FileSystem.FileSystem
      const broken = {
        a: HostTensor.make([2], "float32", Float32Array.of(1, NaN)),
        b: HostTensor.make([1], "float32", Float32Array.of(-Infinity)),
        c: HostTensor.make([1], "float32", Float32Array.of(0)),
        index: HostTensor.make([1], "int32", Int32Array.of(7))
      }
      const file = `${folder}/w.safetensors`
      yield* fs.writeFile(file, Safetensors.encode(broken))
      const read = yield* Effect.flip(Weights.read(file))
      assert.strictEqual(read.reason._tag, "NotFinite")
      assert.strictEqual(read[Runtime.errorExitCode], 65)
      assert.include(read.message, `${file}: tensor a holds NaN (element 1), as do 1 other tensors`)
      const looked = yield* Weights.read(file, { anyNumber: true })
      assert.deepStrictEqual(looked.tensors, broken as Weights.Tensors)

      const written = yield* Effect.flip(Weights.write(`${folder}/out`, Weights.make({ b: broken.b })))
      assert.include(written.message, "tensor b holds -Infinity (element 0)")
      assert.isFalse(yield* fs.exists(`${folder}/out`))
      yield* Weights.writeBatch(`${folder}/out`, Weights.make(broken))
      assert.isTrue(yield* fs.exists(`${folder}/out`))

      const clip = { "visual.conv1.weight": broken.c, "transformer.attn_mask": broken.b }
      yield* fs.writeFile(file, Safetensors.encode(clip))
      const { tensors } = yield* Weights.read(file, { network: "clip" })
      assert.deepStrictEqual(Object.keys(tensors), ["visual.conv1.weight"])
    })))

  it.effect("fails typed on headers and indices that no file of weights has", () =>
    inFolder(Effect.fnUntraced(function*(folder) {
      const fs = yield* FileSystem.FileSystem
      const nested = "[".repeat(20_000) + "]".repeat(20_000)
      const header = new TextEncoder().encode(`{"w":{"dtype":"F32","shape":${nested},"data_offsets":[0,0]}}`)
      const bytes = new Uint8Array(8 + header.length)
      new DataView(bytes.buffer).setBigUint64(0, BigInt(header.length), true)
      bytes.set(header, 8)
      yield* fs.writeFile(`${folder}/deep.safetensors`, bytes)
      const deep = yield* Effect.flip(Weights.read(`${folder}/deep.safetensors`))
      assert.strictEqual(deep.reason._tag, "SafetensorsError")
      assert.include(deep.message, "at most 64 levels")

      yield* fs.writeFile(`${folder}/a.safetensors`, Safetensors.encode({ w: HostTensor.zeros([1], "float32") }))
      for (const name of ["constructor", "__proto__"]) {
        const map = `{"weight_map":{"w":"a.safetensors",${JSON.stringify(name)}:"a.safetensors"}}`
        yield* fs.writeFileString(`${folder}/m.safetensors.index.json`, map)
        const absent = yield* Effect.flip(Weights.read(`${folder}/m.safetensors.index.json`))
        assert.include(absent.message, `${name} should be in a.safetensors, but is not`)
      }
    })))

  it.effect("refuses names of no naming, and networks that others do not have", () =>
    inFolder(Effect.fnUntraced(function*(folder) {
      const file = `${folder}/w.safetensors`
      yield* Weights.write(file, Weights.make({ x: HostTensor.zeros([1], "float32") }))
      const unknown = yield* Effect.flip(Weights.read(file, { network: "dino" }))
      assert.strictEqual(unknown.reason._tag, "NamingError")
      assert.strictEqual(unknown[Runtime.errorExitCode], 65)
      assert.include(unknown.message, `${file}: the tensors are named in no known way`)
      const absent = yield* Effect.flip(
        Weights.write(file, Weights.make({}), { naming: "timm", network: "pretrained" })
      )
      assert.strictEqual(absent.reason._tag, "NamingError")
    })))

  it.effect("names the file and what is wrong with it", () =>
    inFolder(Effect.fnUntraced(function*(folder) {
      const fs = yield* FileSystem.FileSystem
      const missing = yield* Effect.flip(Weights.read(`${folder}/none`))
      assert.strictEqual(missing[Runtime.errorExitCode], 66)
      assert.include(missing.message, `${folder}/none`)

      const bytes = Safetensors.encode(Weights.flatten(params))
      for (const length of [0, 7, 30, bytes.length - 1]) {
        yield* fs.writeFile(`${folder}/cut.safetensors`, bytes.subarray(0, length))
        const cut = yield* Effect.flip(Weights.read(`${folder}/cut.safetensors`))
        assert.strictEqual(cut.reason._tag, "SafetensorsError")
        assert.strictEqual(cut[Runtime.errorExitCode], 65)
        assert.include(cut.message, `${folder}/cut.safetensors`)
      }

      yield* fs.writeFile(`${folder}/odd`, Safetensors.encode({}, { "patchword.provenance": "{}" }))
      const odd = yield* Effect.flip(Weights.read(`${folder}/odd`))
      assert.strictEqual(odd.reason._tag, "ProvenanceInvalid")
      assert.strictEqual(odd[Runtime.errorExitCode], 65)
    })))

  it.effect("says what to do when a file cannot be written", () =>
    inFolder(Effect.fnUntraced(function*(folder) {
      const fs = yield* FileSystem.FileSystem
      yield* fs.writeFileString(`${folder}/file`, "")
      const error = yield* Effect.flip(Weights.write(`${folder}/file/w`, Weights.make({})))
      assert.strictEqual(error[Runtime.errorExitCode], 74)
    })))

  it("fills a record of typed shapes", () => {
    const spec = {
      blocks: [{ weight: { shape: [2, 3], dtype: "float32" } }, { weight: { shape: [2, 3], dtype: "float32" } }],
      index: { shape: [2], dtype: "int32" }
    } as const
    const filled = Result.getOrThrow(Weights.conform(spec, Weights.make(Weights.flatten(params))))
    const weight: HostTensor.HostTensor<readonly [2, 3], "float32"> = filled.blocks[0].weight
    assert.strictEqual(weight.data, params.blocks[0]!.weight.data)
    assert.deepStrictEqual(Weights.flatten(filled), Weights.flatten(params))
  })

  it("lists every tensor that does not fit at once", () => {
    const spec = {
      "a": { shape: [2], dtype: "float32" },
      "b": { shape: [2, 2], dtype: "float32" },
      "c": { shape: [], dtype: "bool" },
      "same": { shape: [1], dtype: "int32" }
    } as const
    const given = Weights.make({
      b: HostTensor.zeros([4], "float32"),
      c: HostTensor.zeros([], "int32"),
      same: HostTensor.zeros([1], "int32"),
      extra: HostTensor.zeros([3], "float32")
    })
    const error = Result.getOrThrow(Result.flip(Weights.conform(spec, given, "w.safetensors")))
    assert.strictEqual(error[Runtime.errorExitCode], 65)
    assert.strictEqual(
      error.message,
      "weights w.safetensors: the tensors do not fit the network (1 missing: a [2] float32; " +
        "1 unexpected: extra [3] float32; 2 of another shape: b is [4] float32, expected [2, 2] float32, " +
        "c is [] int32, expected [] bool); use weights of the same architecture"
    )
  })

  it("renames and leaves out", () => {
    const weights = Weights.make(
      { "encoder.x": HostTensor.zeros([1], "float32"), head: HostTensor.zeros([2], "float32") },
      provenance
    )
    const renamed = Weights.rename(weights, (name) => /^encoder\.(.*)$/.exec(name)?.[1])
    assert.deepStrictEqual(Object.keys(renamed.tensors), ["x"])
    assert.deepStrictEqual(renamed.provenance, Option.some(provenance))
  })
})
