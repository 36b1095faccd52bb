import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Engine from "../../src/layers/engine/Engine.ts"
import * as SegmentationBackbone from "../../src/nn/segmentation/SegmentationBackbone.ts"
import type * as HostTensor from "../../src/shapes/HostTensor.ts"
import type { Inference } from "../../src/shapes/Step.ts"
import * as Eager from "../parity/eager.ts"

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
