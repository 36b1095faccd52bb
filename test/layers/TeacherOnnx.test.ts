import { NodeFileSystem } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Layer } from "effect"
import * as Trace from "../../src/compiler/Trace.ts"
import { Engine } from "../../src/layers/Engine.ts"
import { Teacher } from "../../src/layers/Teacher.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import type { Inference } from "../../src/shapes/Step.ts"
import type { Tensor } from "../../src/shapes/Tensor.ts"
import * as Tokens from "../../src/shapes/Tokens.ts"

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
  yield* fs.writeFile(file, Trace.inference(patches).bytes)
  return file
})

const images = HostTensor.make([3, 3, 4, 4], "float32", Float32Array.from({ length: 144 }, (_, i) => i))

const through = <A, E>(
  file: string,
  options: Parameters<typeof Teacher.layerOnnx>[1],
  use: Effect.Effect<A, E, Teacher>
) => use.pipe(Effect.provide(Teacher.layerOnnx(file, options).pipe(Layer.provide(Engine.layerOnnx({ threads: 1 })))))

const features = Effect.flatMap(
  Teacher,
  (teacher) => Effect.map(teacher.features(images), (found) => ({ teacher, found }))
)

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
      assert.include(wrong.message, "there is no output tokens; the model takes batch.images and gives output.patches")
      const missing = yield* Effect.flip(through(`${file}.gone`, { output: "tokens", imageSize: 4 }, features))
      assert.include(missing.message, `${file}.gone`)
    }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer)))
})
