import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Option, Result, Runtime } from "effect"
import * as Safetensors from "../../src/domain/Safetensors.ts"
import { version } from "../../src/domain/Version.ts"
import * as Weights from "../../src/layers/Weights.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"

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
    import("../../package.json", { with: { type: "json" } }).then(({ default: manifest }) => {
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

  it.effect("refuses names of no naming, and networks that others do not have", () =>
    inFolder(Effect.fnUntraced(function*(folder) {
      const file = `${folder}/w.safetensors`
      yield* Weights.write(file, Weights.make({ x: HostTensor.zeros([1], "float32") }))
      const unknown = yield* Effect.flip(Weights.read(file, { network: "dino" }))
      assert.strictEqual(unknown.reason._tag, "NamingError")
      assert.strictEqual(unknown[Runtime.errorExitCode], 65)
      assert.include(unknown.message, `${file}: the names are of no known naming`)
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
        yield* fs.writeFile(`${folder}/cut`, bytes.subarray(0, length))
        const cut = yield* Effect.flip(Weights.read(`${folder}/cut`))
        assert.strictEqual(cut.reason._tag, "SafetensorsError")
        assert.strictEqual(cut[Runtime.errorExitCode], 65)
        assert.include(cut.message, `${folder}/cut`)
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
      "weights w.safetensors: the tensors are not those of the network (1 missing: a [2] float32; " +
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
