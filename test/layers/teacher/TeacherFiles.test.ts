import { NodeServices } from "@effect/platform-node"
import { assert, describe, layer } from "@effect/vitest"
import { Effect, FileSystem, Layer, Logger, Result, Runtime } from "effect"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as Float16 from "../../../src/domain/values/Float16.ts"
import * as ElementType from "../../../src/domain/weights/ElementType.ts"
import * as Naming from "../../../src/domain/weights/Naming.ts"
import * as Safetensors from "../../../src/domain/weights/Safetensors.ts"
import * as Engine from "../../../src/layers/engine/Engine.ts"
import * as Teacher from "../../../src/layers/teacher/Teacher.ts"
import * as Weights from "../../../src/layers/weights/Weights.ts"
import * as HostTensor from "../../../src/shapes/HostTensor.ts"
import * as Eager from "../../parity/eager.ts"
import * as Torch from "../weights/torch.ts"

const state = (name: string): Weights.Tensors => {
  const fixture = Eager.fixture(name)
  return Object.fromEntries(
    fixture.keys("state").map((key) => {
      const { shape } = fixture.tensor(`state/${key}`)
      return [key, HostTensor.make(shape, "float32", fixture.numbers(`state/${key}`))]
    })
  )
}

const clip = state("teacher_clip")
const dino = state("teacher_dino")

const heads = { heads: 2 }

const digest = (made: Layer.Layer<Teacher.Teacher, unknown, Engine.Engine>) =>
  Effect.provide(Teacher.Teacher.useSync((teacher) => teacher.digest), made, { local: true })

const features = <S extends number>(
  made: Layer.Layer<Teacher.Teacher, unknown, Engine.Engine>,
  images: HostTensor.HostTensor<[2, 3, S, S], "float32">
) => Effect.provide(Teacher.Teacher.use((teacher) => teacher.features(images)), made, { local: true })

const refused = (made: ReturnType<typeof Teacher.layerClip>) =>
  Effect.gen(function*() {
    const error = yield* Effect.flip(Effect.provide(Teacher.Teacher.useSync(() => 0), made, { local: true }))
    assert.strictEqual(error[Runtime.errorExitCode], 65)
    return error.message
  })

const folder = Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped())

const written = Effect.fnUntraced(function*(content: Uint8Array | string, name = "teacher") {
  const file = `${yield* folder}/${name}`
  const fs = yield* FileSystem.FileSystem
  yield* typeof content === "string" ? fs.writeFileString(file, content) : fs.writeFile(file, content)
  return file
})

const narrow = {
  F16: (values: Float32Array) => Float16.encode(values),
  BF16: (values: Float32Array) => Uint16Array.from(new Uint32Array(values.slice().buffer), (bits) => bits >>> 16)
}

const encoded = (tensors: Weights.Tensors, dtype: keyof typeof narrow) => {
  const parts = Object.entries(tensors).map(([name, { data, shape }]) => ({
    name,
    shape,
    bytes: new Uint8Array(narrow[dtype](Float32Array.from(data)).buffer)
  }))
  let end = 0
  const header = Object.fromEntries(parts.map(({ bytes, name, shape }) => [
    name,
    { dtype, shape, data_offsets: [end, end += bytes.length] }
  ]))
  const text = Buffer.from(JSON.stringify(header))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(text.length))
  return Buffer.concat([length, text, ...parts.map(({ bytes }) => bytes)])
}

const checkpoint = (tensors: Weights.Tensors) => {
  const storages = Object.fromEntries(
    Object.entries(tensors).map(([name, { data }], i) => [
      name,
      { key: String(i), type: "Float", data, length: data.length } satisfies Torch.Storage
    ])
  )
  const views = Object.entries(tensors).map(([name, { shape }]) => [name, { storage: storages[name]!, shape }] as const)
  return Effect.promise(() => Torch.file(Torch.stateDict(Object.fromEntries(views)), Object.values(storages)))
}

const sharded = Effect.fnUntraced(function*(tensors: Weights.Tensors, index: (map: Record<string, string>) => unknown) {
  const directory = yield* folder
  const fs = yield* FileSystem.FileSystem
  const names = Object.keys(tensors)
  const map = Object.fromEntries(names.map((name, i) => [name, `model-0000${i % 2 + 1}-of-00002.safetensors`]))
  for (const shard of new Set(Object.values(map))) {
    const own = names.filter((name) => map[name] === shard)
    yield* fs.writeFile(
      `${directory}/${shard}`,
      Safetensors.encode(Object.fromEntries(own.map((name) => [name, tensors[name]!])))
    )
  }
  const file = `${directory}/model.safetensors.index.json`
  yield* fs.writeFileString(file, JSON.stringify({ metadata: { total_size: 1 }, weight_map: index(map) }))
  return file
})

describe("the files of teachers", () => {
  layer(Layer.merge(Engine.layerOnnx({ threads: 1 }), NodeServices.layer))((it) => {
    it.effect.each(
      [
        ["clip", "hf_clip_vision", "teacher_clip", Teacher.layerClip],
        ["dino", "hf_dino_vit", "teacher_dino", Teacher.layerDino]
      ] as const
    )("of Hugging Face give the official features: %s", ([, theirs, ours, made]) =>
      Effect.gen(function*() {
        const file = yield* written(Safetensors.encode(state(theirs)))
        const fixture = Eager.fixture(ours)
        const images = HostTensor.make([2, 3, 32, 32], "float32", fixture.numbers("input/images01"))
        const { data } = yield* features(made(file, heads), images)
        Eager.close("target", data, fixture.numbers("out/target"), { relative: 2e-5 })
        assert.strictEqual(yield* digest(made(file, heads)), yield* digest(made(Weights.make(state(ours)), heads)))
      }).pipe(Effect.scoped))

    it.effect("are the same teacher under all of its names, in shards and as checkpoints", () =>
      Effect.gen(function*() {
        const official = yield* digest(Teacher.layerDino(Weights.make(dino), heads))
        const files = [
          yield* sharded(state("hf_dino_vit"), (map) => map),
          yield* sharded(dino, (map) => map),
          yield* written(yield* checkpoint(dino))
        ]
        for (const file of files) assert.strictEqual(yield* digest(Teacher.layerDino(file, heads)), official, file)
        const timm = Result.getOrThrow(Naming.to("timm", clip, "clip"))
        assert.strictEqual(
          yield* digest(Teacher.layerClip(Weights.make(timm), heads)),
          yield* digest(Teacher.layerClip(Weights.make(clip), heads))
        )
      }).pipe(Effect.scoped))

    it.effect.each(["F16", "BF16"] as const)("are widened from %s", (dtype) =>
      Effect.gen(function*() {
        const file = yield* written(encoded(clip, dtype))
        const widened = Object.fromEntries(
          Object.entries(clip).map(([name, { data, shape }]) => {
            const { decode } = ElementType.DTYPES[dtype]!
            const narrowed = new Uint8Array(narrow[dtype](Float32Array.from(data)).buffer)
            return [name, { ...Result.getOrThrow(decode(narrowed)), shape }]
          })
        ) as Weights.Tensors
        assert.strictEqual(
          yield* digest(Teacher.layerClip(file, heads)),
          yield* digest(Teacher.layerClip(Weights.make(widened), heads))
        )
        assert.closeTo(Number(widened["visual.proj"]!.data[0]), Number(clip["visual.proj"]!.data[0]), 1e-2)
      }).pipe(Effect.scoped))

    it.effect("are read as OpenAI published CLIP, as a compiled program with a text tower", () =>
      Effect.gen(function*() {
        const place = (name: string) => fileURLToPath(new URL(`../weights/fixtures/${name}`, import.meta.url))
        const expected = JSON.parse(readFileSync(place("torch_script.json"), "utf8")).features
        const values = Float32Array.from({ length: 2 * 3 * 8 * 8 }, (_, i) => i * 37 % 101 / 100)
        const images = HostTensor.make([2, 3, 8, 8], "float32", values)
        const { data, shape } = yield* features(Teacher.layerClip(place("torch_script.pt"), heads), images)
        assert.deepStrictEqual(shape, [2, 4, 6])
        data.forEach((value, i) => assert.closeTo(value, expected[i], 2e-5))
      }))

    it.effect.each(
      [
        ["config.json", { model_type: "clip", vision_config: { hidden_act: "gelu", num_attention_heads: 2 } }],
        ["config.json", { model_type: "clip_vision_model", hidden_act: "gelu" }],
        ["config.json", { architecture: "vit_base_patch16_clip_224", num_classes: 512 }],
        ["open_clip_config.json", { model_cfg: { vision_cfg: { width: 16, head_width: 8, layers: 2 } } }]
      ] as const
    )("have the activation that %s beside them says, and tell it", ([name, config]) =>
      Effect.gen(function*() {
        const file = yield* written(Safetensors.encode(state("hf_clip_vision_gelu")))
        const said: Array<string> = []
        const heard = Logger.layer([Logger.make(({ message }) => void said.push(String(message)))])
        const images = HostTensor.make([2, 3, 16, 16], "float32", new Float32Array(2 * 3 * 16 * 16).fill(0.25))
        const told = (options: Parameters<typeof Teacher.layerClip>[1] = heads) =>
          features(Teacher.layerClip(file, options), images).pipe(Effect.provide(heard))

        const assumed = yield* told()
        assert.match(
          said.join(),
          /neither the weights nor a configuration .* quick_gelu is assumed.*--teacher-activation/
        )
        const exact = yield* told({ ...heads, activation: "gelu" })
        assert.notDeepEqual(exact.data, assumed.data)
        assert.strictEqual(said.length, 1)

        const beside = file.replace(/teacher$/, name)
        const fs = yield* FileSystem.FileSystem
        yield* fs.writeFileString(beside, JSON.stringify(config))
        assert.deepStrictEqual((yield* told()).data, exact.data)
        assert.strictEqual(said[1], `teacher clip: activation "gelu", as ${beside} says`)
        assert.deepStrictEqual((yield* told({ ...heads, activation: "quick_gelu" })).data, assumed.data)
        const digests = yield* Effect.forEach(
          ["gelu", "quick_gelu"] as const,
          (activation) => digest(Teacher.layerClip(file, { ...heads, activation }))
        )
        assert.notStrictEqual(digests[0], digests[1])
      }).pipe(Effect.scoped))

    it.effect("are shown the pixels that a processor beside them expects", () =>
      Effect.gen(function*() {
        const half = { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] } as const
        for (
          const [tensors, made, name, text] of [
            [dino, Teacher.layerDino, "preprocessor_config.json", { image_mean: half.mean, image_std: half.std }],
            [clip, Teacher.layerClip, "preprocessor_config.json", { image_mean: half.mean, image_std: half.std }],
            [
              clip,
              Teacher.layerClip,
              "open_clip_config.json",
              { model_cfg: { quick_gelu: true, vision_cfg: { width: 32, head_width: 16 } }, preprocess_cfg: half }
            ]
          ] as const
        ) {
          const file = yield* written(Safetensors.encode(tensors))
          const usual = yield* digest(made(file, heads))
          yield* (yield* FileSystem.FileSystem).writeFileString(file.replace(/teacher$/, name), JSON.stringify(text))
          const told = yield* digest(made(file, heads))
          assert.notStrictEqual(told, usual)
          assert.strictEqual(told, yield* digest(made(Weights.make(tensors), { ...heads, channels: half })))
          const images = HostTensor.make([2, 3, 32, 32], "float32", new Float32Array(2 * 3 * 32 * 32).fill(0.25))
          assert.deepStrictEqual(
            (yield* features(made(file, heads), images)).data,
            (yield* features(made(Weights.make(tensors), { ...heads, channels: half }), images)).data
          )
        }
      }).pipe(Effect.scoped))

    it.effect("add to variances what a configuration beside them says", () =>
      Effect.gen(function*() {
        const usual = { vit: 1e-6, clip_vision_model: 1e-5 } as const
        const images = HostTensor.make(
          [2, 3, 32, 32],
          "float32",
          Float32Array.from({ length: 6144 }, (_, i) => i % 7 / 7)
        )
        for (
          const [tensors, made, type] of [
            [dino, Teacher.layerDino, "vit"],
            [clip, Teacher.layerClip, "clip_vision_model"]
          ] as const
        ) {
          const file = yield* written(Safetensors.encode(tensors))
          const beside = file.replace(/teacher$/, "config.json")
          const told = Effect.fnUntraced(function*(epsilon: number) {
            const text = JSON.stringify({ model_type: type, layer_norm_eps: epsilon })
            yield* (yield* FileSystem.FileSystem).writeFileString(beside, text)
            const [name, { data }] = [yield* digest(made(file, heads)), yield* features(made(file, heads), images)]
            return { name, data }
          })
          const [silent, alike, larger] = [
            yield* digest(made(Weights.make(tensors), heads)),
            yield* told(usual[type]),
            yield* told(0.1)
          ]
          assert.strictEqual(alike.name, silent)
          assert.notStrictEqual(larger.name, silent)
          assert.isAbove(Math.max(...alike.data.map((x, at) => Math.abs(x - larger.data[at]!))), 1e-3)
        }
      }).pipe(Effect.scoped))

    it.effect("are found in a folder", () =>
      Effect.gen(function*() {
        const [file, index] = [
          yield* written(Safetensors.encode(dino), "model.safetensors"),
          yield* sharded(dino, (map) => map)
        ]
        const official = yield* digest(Teacher.layerDino(Weights.make(dino), heads))
        for (const one of [file, index]) {
          assert.strictEqual(yield* digest(Teacher.layerDino(one.replace(/\/[^/]*$/, ""), heads)), official)
        }
        const empty = yield* folder
        assert.include(yield* refused(Teacher.layerDino(empty, heads)), `${empty} is a folder without weights`)
      }).pipe(Effect.scoped))

    it.effect("are refused for an activation that is not computed", () =>
      Effect.gen(function*() {
        const relu = JSON.stringify({ model_type: "vit", hidden_act: "relu" })
        for (
          const [tensors, made, text] of [
            [state("hf_dino_vit"), Teacher.layerDino, relu],
            [state("hf_clip_vision"), Teacher.layerClip, relu.replace("vit", "clip_vision_model")]
          ] as const
        ) {
          const file = yield* written(Safetensors.encode(tensors))
          const beside = file.replace(/teacher$/, "config.json")
          yield* (yield* FileSystem.FileSystem).writeFileString(beside, text)
          assert.include(yield* refused(made(file, heads)), `${beside} has hidden_act "relu"`)
        }
      }).pipe(Effect.scoped))

    it.effect("have the heads that are said, and are not guessed where towers differ", () =>
      Effect.gen(function*() {
        const file = yield* written(Safetensors.encode(state("hf_clip_vision_gelu")))
        const beside = file.replace(/teacher$/, "config.json")
        const config = { model_type: "clip", vision_config: { hidden_act: "gelu", num_attention_heads: 2 } }
        yield* (yield* FileSystem.FileSystem).writeFileString(beside, JSON.stringify(config))
        const gelu = { activation: "gelu" } as const
        assert.strictEqual(
          yield* digest(Teacher.layerClip(file, gelu)),
          yield* digest(Teacher.layerClip(file, { ...gelu, ...heads }))
        )
        assert.notStrictEqual(
          yield* digest(Teacher.layerClip(file, { ...gelu, heads: 4 })),
          yield* digest(Teacher.layerClip(file, gelu))
        )
        const wide: Weights.Tensors = Object.fromEntries(
          Object.entries(clip).map(([name, { shape }]) => [
            name,
            HostTensor.zeros(shape.map((dim: number) => (dim === 32 ? 1280 : dim === 96 ? 3840 : dim)), "float32")
          ])
        )
        assert.include(
          yield* refused(Teacher.layerClip(Weights.make(wide))),
          "the number of heads of a network of 1280 channels is unknown; give it by --teacher-heads (in code heads)"
        )
      }).pipe(Effect.scoped))

    it.effect("are read with their layer scale and registers, also as timm keeps these", () =>
      Effect.gen(function*() {
        const fixture = Eager.fixture("hf_dinov2_registers")
        const official = Result.getOrThrow(Naming.official(state("hf_dinov2_registers"), "dino")) as Weights.Tensors
        const values = Float32Array.from({ length: 2 * 3 * 16 * 16 }, (_, i) => i * 37 % 101 / 100)
        const images = HostTensor.make([2, 3, 16, 16], "float32", values)
        const told = yield* features(Teacher.layerDino(Weights.make(official), heads), images)
        assert.deepStrictEqual(told.shape, [2, 16, 16])

        const { "blocks.0.ls1.gamma": first, ...rest } = official
        const other = {
          ...rest,
          "blocks.0.ls1.gamma": { ...first!, data: Float32Array.from(first!.data, (x) => 2 * x) }
        }
        const changed = yield* features(Teacher.layerDino(Weights.make(other as Weights.Tensors), heads), images)
        assert.notDeepEqual(changed.data, told.data)
        assert.include(yield* refused(Teacher.layerDino(Weights.make(rest), heads)), "1 missing: blocks.0.ls1.gamma")

        const { cls_token, pos_embed, register_tokens, ...same } = official
        const width = fixture.config.dino_w
        const place = pos_embed!.data.subarray(0, width)
        const timm = {
          ...same,
          reg_token: register_tokens!,
          cls_token: { ...cls_token!, data: Float32Array.from(cls_token!.data, (x, i) => x + place[i]!) },
          pos_embed: { ...pos_embed!, shape: [1, 16, width], data: pos_embed!.data.slice(width) }
        }
        const theirs = yield* features(Teacher.layerDino(Weights.make(timm as Weights.Tensors), heads), images)
        Eager.close("timm", theirs.data, told.data, { relative: 2e-5 })
      }))

    it.effect("are refused with the tensors that say why sizes are missing", () =>
      Effect.gen(function*() {
        const gated = Object.fromEntries(
          Object.entries(dino).map(([name, tensor]) => [name.replace("fc1", "w12").replace("fc2", "w3"), tensor])
        )
        assert.match(
          yield* refused(Teacher.layerDino(Weights.make(gated), heads)),
          /1 missing: blocks\.0\.mlp\.fc1\.weight 2 axes; 8 unexpected: blocks\.0\.mlp\.w12\.bias \[96\], blocks\.0\.mlp\.w12\.weight/
        )
      }))

    it.effect("are refused with what they look like instead", () =>
      Effect.gen(function*() {
        const other = yield* refused(
          Teacher.layerDino(yield* written(Safetensors.encode(state("hf_clip_vision"))), heads)
        )
        assert.include(other, "teacher dino: weights ")
        assert.include(
          other,
          "the tensors are named in no known way. A dino network has patch_embed.proj.weight (official)"
        )
        assert.include(
          other,
          "The tensors look like the image tower of CLIP under the names of Hugging Face (all of its tensors)"
        )

        const beit = yield* refused(Teacher.layerClip(Weights.make(state("finetune_meanpool")), heads))
        assert.match(beit, /missing: visual\.positional_embedding/)
        assert.include(beit, "The tensors look like a BEiT classifier under its official names (all of its tensors)")

        const { "norm.weight": _, ...rest } = dino
        const damaged = { ...rest, "blocks.1.mlp.fc1.bias": HostTensor.zeros([95], "float32") }
        const wrong = yield* refused(Teacher.layerDino(Weights.make(damaged), heads))
        assert.include(
          wrong,
          "1 missing: norm.weight [24] float32; 1 of another shape: blocks.1.mlp.fc1.bias is [95] float32, expected [96] float32"
        )
        assert.match(
          wrong,
          /look like a DINO vision transformer under its official names \(9\d % of its tensors; norm\.weight is missing/
        )

        const nothing = yield* refused(Teacher.layerClip(Weights.make({ w: HostTensor.zeros([2], "float32") }), heads))
        assert.notInclude(nothing, "look like")
      }).pipe(Effect.scoped))

    it.effect("are refused when they hold code, or an index that is wrong", () =>
      Effect.gen(function*() {
        const code = yield* Effect.promise(() => Torch.file({ call: "os.system", args: ["true"] }, []))
        assert.include(yield* refused(Teacher.layerDino(yield* written(code, "dino.pth"), heads)), "it calls os.system")

        const index = Effect.fnUntraced(function*(change: (map: Record<string, string>) => unknown) {
          return yield* refused(Teacher.layerDino(yield* sharded(dino, change), heads))
        })
        assert.include(
          yield* index((map) => ({ x: map[Object.keys(dino)[0]!], ...map })),
          "x should be in model-00001-of-00002.safetensors, but is not"
        )
        assert.include(
          yield* index((map) => ({ ...map, cls_token: "../w.safetensors" })),
          "../w.safetensors is not in its folder"
        )
        assert.include(yield* index(() => [1]), "the index of its shards is invalid")

        const file = yield* sharded(dino, (map) => map)
        yield* (yield* FileSystem.FileSystem).remove(
          file.replace("model.safetensors.index.json", "model-00002-of-00002.safetensors")
        )
        const missing = yield* Effect.flip(digest(Teacher.layerDino(file, heads)))
        assert.include((missing as Error).message, "model-00002-of-00002.safetensors: there is no such file")
      }).pipe(Effect.scoped))
  })
})
