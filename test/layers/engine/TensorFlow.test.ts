import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Engine from "../../../src/layers/engine/Engine.ts"

const missing = (precision: "fp32" | "bf16") =>
  Engine.Engine.pipe(Effect.provide(Engine.layerTensorFlow({ package: "tfjs-node", precision })), Effect.flip)

describe("TensorFlow that is not installed", () => {
  it.live("says so in every precision, whatever was tried before, and how to install it", () =>
    Effect.gen(function*() {
      for (const precision of ["fp32", "bf16", "fp32"] as const) {
        const { reason } = yield* missing(precision)
        assert.strictEqual(reason._tag, "ProviderUnavailable")
        assert.include(reason.message, "@tensorflow/tfjs-node is not installed")
        assert.match(reason.message, /; run "patchword setup tensorflow --package tfjs-node"$/)
      }
    }))
})
