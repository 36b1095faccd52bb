import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Engine from "../../src/layers/engine/Engine.ts"
import * as Clip from "../../src/nn/teachers/Clip.ts"
import * as Dino from "../../src/nn/teachers/Dino.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import type { Inference } from "../../src/shapes/Step.ts"
import * as Tree from "../../src/shapes/Tree.ts"
import * as Eager from "../parity/eager.ts"

const grid = { height: 4, width: 4 }
const clipSizes = { patch: 8, width: 32, hidden: 128, heads: 2, depth: 2, out: 24, grid, tokens: 17 } as const
const dinoSizes = { patch: 8, width: 24, hidden: 96, heads: 2, depth: 2, grid, tokens: 17 } as const

const own = { size: 2, height: 32, width: 32 } as const
const bigger = { size: 1, height: 48, width: 48 } as const

const tolerance = { relative: 2e-5 }
const engines = { compiled: Engine.layerOnnx({ threads: 1 }), reference: Engine.layerReference }

const agrees = <W, I, O>(
  inference: Inference<W, { readonly images: I }, O>,
  fixture: Eager.Fixture,
  images: string,
  outputs: Readonly<Record<string, string>>
): Effect.Effect<void, Engine.EngineError, Engine.Engine> =>
  Effect.gen(function*() {
    const engine = yield* Engine.Engine
    const weights = Eager.filled<W>(inference.weights as object, (path) => fixture.numbers(`state/${path}`))
    const handle = yield* engine.infer(inference, weights)
    const found: object = yield* handle.run(
      Eager.filled<{ readonly images: I }>(inference.batch as object, () => fixture.numbers(`out/${images}`))
    )
    const arrays = new Map(Tree.leaves<HostTensor.Any>(found))
    for (const [output, key] of Object.entries(outputs)) {
      Eager.close(key, arrays.get(output)!.data, fixture.numbers(`out/${key}`), tolerance)
    }
  }).pipe(Effect.scoped)

describe.each(Object.keys(engines) as ReadonlyArray<keyof typeof engines>)("on the %s engine", (name) => {
  it.effect("CLIP gives the official features", () =>
    Effect.gen(function*() {
      const fixture = Eager.fixture("teacher_clip")
      yield* agrees(Clip.features(clipSizes, own), fixture, "normalised", {
        target: "target",
        patches: "ln_post_patch_tokens",
        pooled: "pooled_projected_cls"
      })
      yield* agrees(Clip.features(clipSizes, bigger), fixture, "normalised_bigger", {
        target: "target_bigger",
        patches: "ln_post_patch_tokens_bigger"
      })
    }).pipe(Effect.provide(engines[name])))

  it.effect("DINO gives the official features", () =>
    Effect.gen(function*() {
      const fixture = Eager.fixture("teacher_dino")
      yield* agrees(Dino.features(dinoSizes, own), fixture, "normalised", { target: "target", pooled: "cls" })
      yield* agrees(Dino.features(dinoSizes, bigger), fixture, "normalised_bigger", { target: "target_bigger" })
      yield* agrees(Dino.attention(dinoSizes, own), fixture, "normalised", { attention: "last_selfattention" })
    }).pipe(Effect.provide(engines[name])))
})

describe("teachers", () => {
  it("have the official names", () => {
    assert.deepStrictEqual(Eager.names(Clip.spec(clipSizes)), Eager.fixture("teacher_clip").keys("state"))
    const dino = Eager.fixture("teacher_dino").keys("state")
    assert.deepStrictEqual(Eager.names(Dino.spec(dinoSizes)), dino)
    const registered = Eager.names(Dino.spec({ ...dinoSizes, registers: 1 }))
    assert.deepStrictEqual(registered, [...dino, "register_tokens"].toSorted())
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
