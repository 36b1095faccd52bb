import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Engine from "../../src/layers/engine/Engine.ts"
import * as SegmentationBackbone from "../../src/nn/segmentation/SegmentationBackbone.ts"
import * as Convolution from "../../src/shapes/Convolution.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import type { Inference } from "../../src/shapes/Step.ts"
import { constant, type Tensor } from "../../src/shapes/Tensor.ts"
import * as Tree from "../../src/shapes/Tree.ts"
import * as Eager from "../parity/eager.ts"
import { infer } from "../parity/engine.ts"

const common = { width: 16, heads: 2, hidden: 64, relativeRows: 52, depth: 4, taps: [1, 2, 3, 4] } as const

const engines = { compiled: Engine.layerOnnx({ threads: 1 }), reference: Engine.layerReference }

const official = <W, B, O extends object>(name: string, inference: Inference<W, B, O>) =>
  Effect.gen(function*() {
    const fixture = Eager.fixture(name)
    assert.deepStrictEqual(
      Eager.names(inference.weights as object),
      fixture.keys("state").filter((key) => !key.endsWith("num_batches_tracked"))
    )
    const weights = Eager.filled<W>(inference.weights as object, (path) => fixture.numbers(`state/${path}`))
    const handle = yield* (yield* Engine.Engine).infer(inference, weights)
    const batch = Eager.filled<B>(inference.batch as object, () => fixture.numbers("input/images"))
    const maps: Readonly<Record<string, HostTensor.Any>> = Object.fromEntries(Eager.leaves(yield* handle.run(batch)))
    assert.deepStrictEqual(Object.keys(maps), fixture.keys("out"))
    for (const [key, map] of Object.entries(maps)) {
      assert.deepStrictEqual(map.shape, fixture.tensor(`out/${key}`).shape)
      fixture.matches(`out/${key}`, map)
    }
  }).pipe(Effect.scoped)

describe.each(Object.keys(engines) as ReadonlyArray<keyof typeof engines>)("on the %s engine", (engine) => {
  it.effect("16-pixel patches give the official maps", () =>
    official("seg_backbone_p16", SegmentationBackbone.features16({ ...common, image: [64, 64], patch: 16 }, 1)).pipe(
      Effect.provide(engines[engine])
    ))

  it.effect("8-pixel patches give the official maps", () =>
    official("seg_backbone_p8", SegmentationBackbone.features8({ ...common, image: [32, 32], patch: 8 }, 2)).pipe(
      Effect.provide(engines[engine])
    ))
})

describe("a grid whose sides 4 does not divide", () => {
  const pooled = {
    2: [-0.5, 5, 2, 2.5, 4.5, 5, 5.5, 1, 4.5, 5, 4, -0.5, 0, 5.5, 2.5, 3, 5, 5.5],
    4: [5, 5.5]
  }
  const data = Float32Array.from({ length: 84 }, (_, i) => (7 * i % 23 - 11) / 2)
  const x = HostTensor.make([1, 2, 6, 7], "float32", data)

  it.effect.each([2, 4] as const)("is pooled by %i as PyTorch's MaxPool2d does", (size) =>
    Effect.gen(function*() {
      const { y } = yield* infer(
        {
          name: "pool",
          weights: {},
          batch: { x: { shape: x.shape, dtype: "float32" } },
          run: (_, batch: { readonly x: Tensor<[1, 2, 6, 7]> }) => ({ y: Convolution.maxPool(batch.x, size) })
        },
        {},
        { x }
      )
      assert.deepStrictEqual([y.shape, [...y.data]], [
        [1, 2, 6, 7].map((side, at) => at < 2 ? side : Math.floor(side / size)),
        pooled[size]
      ])
    }).pipe(Effect.provide(engines.compiled)))

  it("gives maps whose sides are rounded down", () => {
    const { batch, run, weights } = SegmentationBackbone.features8(
      { ...common, image: [48, 48], patch: 8, relativeRows: 124 },
      1
    )
    const blank = <T>(spec: object) => Tree.map<T>(spec, ({ shape }) => constant(HostTensor.zeros(shape, "float32")))
    const maps = run(blank(weights), blank(batch))
    assert.deepStrictEqual(Object.values(maps).map(({ shape }) => shape.slice(2)), [[12, 12], [6, 6], [3, 3], [1, 1]])
  })
})
