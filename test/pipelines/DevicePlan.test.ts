import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect } from "effect"
import { tmpdir } from "node:os"
import * as Files from "../../src/layers/files/Files.ts"
import { devicePlan } from "../../src/pipelines/DevicePlan.ts"
import { micro } from "./kit.ts"

describe("a plan on a GPU that is not here", () => {
  it.effect("needs the compiler, and says how to get it", () =>
    Effect.gen(function*() {
      const preset = micro({ duration: 2, warmup: 1 })
      const error = yield* Effect.flip(devicePlan(preset, { card: "h200", classes: 3, teacherWidth: 8 }))
      assert.strictEqual(error._tag, "PluginUnavailable")
      assert.match(error.message, /run "patchword setup xla --platform cuda --part compiler"$/)
    }).pipe(
      Effect.provide([
        Files.layerNode,
        ConfigProvider.layer(ConfigProvider.fromUnknown({ XDG_CACHE_HOME: `${tmpdir()}/patchword-none` }))
      ])
    ))
})
