import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Engine from "../../src/layers/engine/Engine.ts"
import * as Clip from "../../src/nn/teachers/Clip.ts"
import * as Dino from "../../src/nn/teachers/Dino.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import type { Inference } from "../../src/shapes/Step.ts"
import * as Eager from "../parity/eager.ts"

const grid = { height: 4, width: 4 }
const clipSizes = { patch: 8, width: 32, hidden: 128, heads: 2, depth: 2, out: 24, grid, tokens: 17 } as const
const dinoSizes = { patch: 8, width: 24, hidden: 96, heads: 2, depth: 2, grid, tokens: 17 } as const

const own = { size: 2, height: 32, width: 32 } as const
const bigger = { size: 1, height: 48, width: 48 } as const

const tolerance = { relative: 2e-5 }
const engines = { compiled: Engine.layerOnnx({ threads: 1 }), reference: Engine.layerReference }

const run = <W, I, O>(
  inference: Inference<W, { readonly images: I }, O>,
  fixture: Eager.Fixture,
  key: string
) =>
  Effect.gen(function*() {
    const engine = yield* Engine.Engine
    const weights = Eager.filled<W>(inference.weights as object, (path) => fixture.numbers(`state/${path}`))
    const handle = yield* engine.infer(inference, weights)
    return yield* handle.run(
      Eager.filled<{ readonly images: I }>(inference.batch as object, () => fixture.numbers(`out/${key}`))
    )
  }).pipe(Effect.scoped)

describe.each(Object.keys(engines) as ReadonlyArray<keyof typeof engines>)("on the %s engine", (name) => {
  const close = (fixture: Eager.Fixture, key: string, { data }: { readonly data: ArrayLike<number> }) =>
    Eager.close(key, data, fixture.numbers(`out/${key}`), tolerance)

  it.effect("CLIP gives the official features", () =>
    Effect.gen(function*() {
      const fixture = Eager.fixture("teacher_clip")
      const native = yield* run(Clip.features(clipSizes, own), fixture, "normalised")
      close(fixture, "target", native.target)
      close(fixture, "ln_post_patch_tokens", native.patches)
      close(fixture, "pooled_projected_cls", native.pooled)
      const stretched = yield* run(Clip.features(clipSizes, bigger), fixture, "normalised_bigger")
      close(fixture, "target_bigger", stretched.target)
      close(fixture, "ln_post_patch_tokens_bigger", stretched.patches)
    }).pipe(Effect.provide(engines[name])))

  it.effect("DINO gives the official features", () =>
    Effect.gen(function*() {
      const fixture = Eager.fixture("teacher_dino")
      const native = yield* run(Dino.features(dinoSizes, own), fixture, "normalised")
      close(fixture, "target", native.target)
      close(fixture, "cls", native.pooled)
      const stretched = yield* run(Dino.features(dinoSizes, bigger), fixture, "normalised_bigger")
      close(fixture, "target_bigger", stretched.target)
      const attention = yield* run(Dino.attention(dinoSizes, own), fixture, "normalised")
      close(fixture, "last_selfattention", attention.attention)
    }).pipe(Effect.provide(engines[name])))
})

describe("teachers", () => {
  it("have the official names", () => {
    assert.deepStrictEqual(Eager.names(Clip.spec(clipSizes)), Eager.fixture("teacher_clip").keys("state"))
    assert.deepStrictEqual(Eager.names(Dino.spec(dinoSizes)), Eager.fixture("teacher_dino").keys("state"))
  })

  it("refuse images that are no whole number of patches", () => {
    const weights = Eager.filled<Clip.ClipParams<typeof clipSizes>>(
      Clip.spec(clipSizes),
      (path) => Eager.fixture("teacher_clip").numbers(`state/${path}`)
    )
    const images = HostTensor.zeros([1, 3, 32, 36], "float32")
    assert.throws(
      () =>
        Eager.infer(
          Clip.features(clipSizes, { size: 1, height: 32, width: 36 }),
          weights,
          { images }
        ),
      /36 is not divisible by 8/
    )
  })
})
