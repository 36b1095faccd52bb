import { NodeServices } from "@effect/platform-node"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Layer, ManagedRuntime, Runtime } from "effect"
import * as Laws from "../../../src/laws/index.ts"
import * as Engine from "../../../src/layers/engine/Engine.ts"
import * as Teacher from "../../../src/layers/teacher/Teacher.ts"
import * as Weights from "../../../src/layers/weights/Weights.ts"
import * as HostTensor from "../../../src/shapes/HostTensor.ts"
import { holds } from "../../laws/kit.ts"
import * as Eager from "../../parity/eager.ts"

const weightsOf = (fixture: Eager.Fixture): Weights.Weights =>
  Weights.make(Object.fromEntries(
    fixture.keys("state").map((name) => {
      const { shape } = fixture.tensor(`state/${name}`)
      return [name, HostTensor.make(shape, "float32", fixture.numbers(`state/${name}`))]
    })
  ))

const official = {
  clip: {
    fixture: Eager.fixture("teacher_clip"),
    layer: Teacher.layerClip,
    first: "visual.class_embedding",
    others: ["logit_scale", "transformer.resblocks.0.ln_1.weight", "token_embedding.weight", "input_resolution"],
    foreign: ["visual.transformer.resblocks.0.ls_1.gamma", "visual.transformer.resblocks.1.attn.q_norm.weight", "scale"]
  },
  dino: {
    fixture: Eager.fixture("teacher_dino"),
    layer: Teacher.layerDino,
    first: "cls_token",
    others: ["mask_token", "head.weight", "head.mlp.0.bias", "dino_head.last_layer.weight"],
    foreign: ["blocks.0.attn.k_norm.weight", "blocks.99999999.norm1.weight", "dist_token", "fc_norm.weight"]
  }
}

const engines = { compiled: Engine.layerOnnx({ threads: 1 }), reference: Engine.layerReference }

const cases = (Object.keys(official) as ReadonlyArray<keyof typeof official>).flatMap((name) =>
  (Object.keys(engines) as ReadonlyArray<keyof typeof engines>).map((engine) => [name, engine] as const)
)

const images = (fixture: Eager.Fixture, key: string, shape: [number, 3, number, number]) =>
  HostTensor.make(shape, "float32", fixture.numbers(`input/${key}`))

describe.each(cases)("the %s teacher on the %s engine", (name, engine) => {
  const { first, fixture, foreign, layer, others } = official[name]
  const weights = weightsOf(fixture)
  const matches = (key: string, data: Float32Array) =>
    Eager.close(key, data, fixture.numbers(`out/${key}`), { relative: 2e-5 })
  const given = (from: Weights.Weights | string, options = { heads: 2 }) =>
    layer(from, options).pipe(Layer.provide(engines[engine]))

  const runtime = ManagedRuntime.make(given(weights))
  afterAll(() => runtime.dispose())
  holds("as a teacher", Laws.teacher(runtime, { side: 32 }))

  it.effect("gives the official features of images from 0 to 1, of any size and number", () =>
    Effect.gen(function*() {
      const { features, width } = yield* Teacher.Teacher
      const both = images(fixture, "images01", [2, 3, 32, 32])
      const one = HostTensor.make([1, 3, 32, 32], "float32", both.data.slice(3 * 32 * 32))
      const found = yield* features(both)
      assert.deepStrictEqual([found.shape, width], [[2, 16, 24], 24])
      matches("target", found.data)
      assert.deepStrictEqual((yield* features(one)).data, found.data.slice(16 * 24))
      const three = HostTensor.make([3, 3, 32, 32], "float32", Float32Array.of(...both.data, ...one.data))
      assert.deepStrictEqual(
        (yield* features(three)).data,
        Float32Array.of(...found.data, ...found.data.slice(16 * 24))
      )
      matches("target_bigger", (yield* features(images(fixture, "images01_bigger", [1, 3, 48, 48]))).data)
    }).pipe(Effect.provide(given(weights))))

  it.effect("reads a file, and leaves alone what says nothing of patches", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const file = `${yield* fs.makeTempDirectoryScoped()}/teacher.safetensors`
      const more = Object.fromEntries(others.map((other) => [other, HostTensor.zeros([1], "float32")]))
      yield* Weights.write(file, Weights.make({ ...weights.tensors, ...more }))
      const digest = yield* Effect.provide(Effect.map(Teacher.Teacher, (teacher) => teacher.digest), given(file))
      const same = yield* Effect.provide(Effect.map(Teacher.Teacher, (teacher) => teacher.digest), given(weights))
      assert.strictEqual(digest, same)
      const missing = yield* Effect.flip(Effect.provide(Teacher.Teacher, given(`${file}.gone`)))
      assert.strictEqual(missing[Runtime.errorExitCode], 66)
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)))

  it.effect.each(foreign)("refuses %s by name", (tensor) =>
    Effect.gen(function*() {
      const more = { ...weights.tensors, [tensor]: HostTensor.zeros([1], "float32") }
      const refused = yield* Effect.flip(Effect.provide(Teacher.Teacher, given(Weights.make(more))))
      assert.strictEqual(refused[Runtime.errorExitCode], 65)
      assert.match(refused.message, new RegExp(`1 unexpected: ${tensor.replaceAll(".", "\\.")} \\[1\\]`))
    }))

  it.effect("says which tensors are missing or have other shapes", () =>
    Effect.gen(function*() {
      const failure = (tensors: Weights.Tensors, options?: { readonly heads: number }) =>
        Effect.flip(Effect.provide(Teacher.Teacher, given(Weights.make(tensors), options)))
      const { [first]: _, ...rest } = weights.tensors
      const none = yield* failure(rest)
      assert.strictEqual(none[Runtime.errorExitCode], 65)
      assert.include(none.message, `1 missing: ${first}`)
      const flat = yield* failure({ ...weights.tensors, [first]: HostTensor.zeros([1, 2], "float32") })
      assert.include(flat.message, `${first} is [1, 2]`)
      const heads = yield* failure(weights.tensors, { heads: 5 })
      assert.include(heads.message, "a width that 5 heads divide")
      const norm = name === "clip" ? "visual.ln_post.weight" : "norm.weight"
      const wide = yield* failure({ ...weights.tensors, [norm]: HostTensor.zeros([3], "float32") })
      assert.include(wide.message, `${norm} is [3] float32`)
    }))

  it.effect("refuses images that are no whole number of patches", () =>
    Effect.gen(function*() {
      const { features } = yield* Teacher.Teacher
      const error = yield* Effect.flip(features(HostTensor.zeros([1, 3, 32, 36], "float32")))
      assert.strictEqual(error.reason._tag, "WrongImages")
    }).pipe(Effect.provide(given(weights))))
})
