import { NodeFileSystem } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Layer, Runtime } from "effect"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as OnnxProgram from "../../../src/compiler/programs/OnnxProgram.ts"
import * as Engine from "../../../src/layers/engine/Engine.ts"
import * as Teacher from "../../../src/layers/teacher/Teacher.ts"
import * as HostTensor from "../../../src/shapes/HostTensor.ts"
import type { Inference } from "../../../src/shapes/Step.ts"
import type { Tensor } from "../../../src/shapes/Tensor.ts"
import * as Tokens from "../../../src/shapes/Tokens.ts"

const patches: Inference<
  Readonly<Record<never, never>>,
  { readonly images: Tensor<[2, 3, 4, 4]> },
  { readonly patches: Tensor<[2, 4, 12]> }
> = {
  name: "patches",
  weights: {},
  batch: { images: { shape: [2, 3, 4, 4], dtype: "float32" } },
  run: (_, { images }) => ({ patches: Tokens.patchify(images, 2) })
}

const written = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const file = `${yield* fs.makeTempDirectoryScoped()}/teacher.onnx`
  yield* fs.writeFile(file, OnnxProgram.inference(patches).bytes)
  return file
})

const images = HostTensor.make([3, 3, 4, 4], "float32", Float32Array.from({ length: 144 }, (_, i) => i))

const through = <A, E>(
  file: string,
  options: Parameters<typeof Teacher.layerOnnx>[1],
  use: Effect.Effect<A, E, Teacher.Teacher>
) => use.pipe(Effect.provide(Teacher.layerOnnx(file, options).pipe(Layer.provide(Engine.layerOnnx({ threads: 1 })))))

const features = Effect.flatMap(
  Teacher.Teacher,
  (teacher) => Effect.map(teacher.features(images), (found) => ({ teacher, found }))
)

const place = (name: string) => fileURLToPath(new URL(`./fixtures/${name}`, import.meta.url))

const beside = (data: Uint8Array, name = "outer.onnx.data") =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const folder = `${yield* fs.makeTempDirectoryScoped()}/in`
    const model = readFileSync(place("outer.onnx"))
    model.write(name, model.indexOf("outer.onnx.data"))
    yield* fs.makeDirectory(folder)
    yield* fs.writeFile(`${folder}/m.onnx`, model)
    yield* fs.writeFile(`${folder}/outer.onnx.data`, data)
    return `${folder}/m.onnx`
  })

const weights = new Float32Array(Uint8Array.from(readFileSync(place("outer.onnx.data")).subarray(64)).buffer)

const expected = (scale = 1) =>
  Float32Array.from({ length: 3 * 4 * 4 }, (_, i) => {
    const [image, patch, channel] = [Math.floor(i / 16), Math.floor(i / 4) % 4, i % 4]
    const [top, left] = [2 * Math.floor(patch / 2), 2 * (patch % 2)]
    return weights.subarray(channel * 12, channel * 12 + 12).reduce((sum, weight, at) => {
      const [color, y, x] = [Math.floor(at / 4), top + Math.floor(at / 2) % 2, left + at % 2]
      return sum + scale * weight * images.data[((image * 3 + color) * 4 + y) * 4 + x]!
    }, 0)
  })

const options = { output: "features", imageSize: 4 }

describe("Teacher.layerOnnx", () => {
  it.live("gives the rows of an output, in the batches that the model was made for", () =>
    Effect.gen(function*() {
      const file = yield* written
      const { found, teacher } = yield* through(file, { output: "output.patches", imageSize: 4 }, features)
      assert.strictEqual(teacher.width, 12)
      assert.deepStrictEqual(found.shape, [3, 4, 12])
      assert.deepStrictEqual(Array.from(found.data.subarray(0, 4)), [0, 1, 4, 5])
      assert.strictEqual(found.data[2 * 48], 96)
    }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer)))

  it.live("leaves leading tokens out and standardises pixels", () =>
    Effect.gen(function*() {
      const file = yield* written
      const channels = { mean: [1, 1, 1], std: [2, 2, 2] } as const
      const { found } = yield* through(file, { output: "output.patches", imageSize: 4, skip: 1, channels }, features)
      assert.deepStrictEqual(found.shape, [3, 3, 12])
      assert.strictEqual(found.data[0], (2 - 1) / 2)
    }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer)))

  it.live("says which outputs there are, and that a file is missing", () =>
    Effect.gen(function*() {
      const file = yield* written
      const wrong = yield* Effect.flip(through(file, { output: "tokens", imageSize: 4 }, features))
      assert.include(
        wrong.message,
        "there is no output tokens. The model has the inputs batch.images and the outputs output.patches"
      )
      const missing = yield* Effect.flip(through(`${file}.gone`, { output: "tokens", imageSize: 4 }, features))
      assert.include(missing.message, `${file}.gone`)
    }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer)))

  it.live("takes the numbers that a model keeps in another file from beside it, and digests them", () =>
    Effect.gen(function*() {
      const whole = readFileSync(place("outer.onnx.data"))
      const first = yield* through(place("outer.onnx"), options, features)
      assert.deepStrictEqual(first.found.data, expected())
      const twice = new Uint8Array(weights.map((weight) => 2 * weight).buffer)
      const [moved, doubled] = [
        yield* beside(whole),
        yield* beside(Uint8Array.from([...new Uint8Array(64), ...twice]))
      ]
      const same = yield* through(moved, options, features)
      assert.deepStrictEqual(same.found.data, first.found.data)
      assert.strictEqual(same.teacher.digest, first.teacher.digest)
      const other = yield* through(doubled, options, features)
      assert.deepStrictEqual(other.found.data, expected(2))
      assert.notStrictEqual(other.teacher.digest, first.teacher.digest)
    }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer)))

  it.live("refuses numbers outside of its folder, within nodes, and in a file that is not there", () =>
    Effect.gen(function*() {
      const whole = readFileSync(place("outer.onnx.data"))
      const failure = (file: string) => Effect.flip(through(file, options, features))
      for (
        const name of [
          "../in/outer.dat",
          `/${"x".repeat(14)}`,
          "a/../../out.dat",
          "C:\\outer.data00",
          "..\\outer.data00"
        ]
      ) {
        const outside = yield* failure(yield* beside(whole, name))
        assert.strictEqual(outside[Runtime.errorExitCode], 65)
        assert.include(outside.message, `it keeps weights in "${name}", which is outside of its folder`)
      }
      const within = yield* failure(place("outer_within.onnx"))
      assert.strictEqual(within[Runtime.errorExitCode], 65)
      assert.include(within.message, "for its nodes, functions or inner graphs")
      const gone = yield* failure(yield* beside(whole, "inner.onnx.data"))
      assert.strictEqual(gone[Runtime.errorExitCode], 66)
      assert.include(gone.message, "/in/inner.onnx.data: there is no such file")
      assert.strictEqual((yield* failure(yield* beside(whole.subarray(0, 100))))[Runtime.errorExitCode], 70)
      const none = yield* failure(place("models.py"))
      assert.strictEqual(none[Runtime.errorExitCode], 65)
      assert.include(none.message, "it is not an ONNX model")
      const bare = yield* Effect.flip(
        Effect.scoped(
          Effect.flatMap(Engine.Engine, (engine) => engine.load("bare", readFileSync(place("outer.onnx"))))
        ).pipe(Effect.provide(Engine.layerOnnx({ threads: 1 })))
      )
      assert.include(bare.message, "(outer.onnx.data), which were not given with it")
    }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer)))

  it.live("gives and takes numbers of 16 bits, and refuses other types by name", () =>
    Effect.gen(function*() {
      const { found } = yield* through(place("halves.onnx"), options, features)
      found.data.forEach((value, i) => assert.closeTo(value, expected()[i]!, 0.3))
      const wrong = yield* Effect.flip(through(place("bytes.onnx"), options, features))
      assert.include(
        wrong.message,
        "features has the type int8, but floating-point numbers of 16, 32 or 64 bits are expected"
      )
    }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer)))
})
