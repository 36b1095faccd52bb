import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Presets from "../../src/domain/config/presets/Presets.ts"
import { VitConfig } from "../../src/domain/config/VitConfig.ts"
import * as BeitConfig from "../../src/domain/huggingface/BeitConfig.ts"

const { vit } = Presets.base.finetune
const named = { architectures: ["BeitForImageClassification"], id2label: { 0: "cat", 1: "dog" } }

describe("the configuration of transformers", () => {
  for (const relativePositions of ["none", "shared", "perBlock"] as const) {
    for (const pooling of ["mean", "cls"] as const) {
      it.effect(`is read as it was written: relative positions ${relativePositions}, ${pooling}`, () =>
        Effect.gen(function*() {
          const written = new VitConfig({ ...vit, dropPath: 0, relativePositions, pooling, normEpsilon: 1e-6 })
          const members = { ...BeitConfig.write(written), ...named }
          const found = yield* BeitConfig.read(members, "config.json")
          assert.deepStrictEqual(found.vit, written)
          assert.deepStrictEqual(found.classes, ["cat", "dog"])
        }))
    }
  }

  it.effect("has a name for each class", () =>
    Effect.gen(function*() {
      const members = { ...BeitConfig.write(vit), ...named, id2label: { 0: "cat", 2: "dog" } }
      const { message } = yield* Effect.flip(BeitConfig.read(members, "config.json"))
      assert.include(message, "id2label: expected a name for each class from 0 on, got 2 names")
    }))
})
