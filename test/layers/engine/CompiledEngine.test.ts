import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as CompiledEngine from "../../../src/layers/engine/CompiledEngine.ts"
import * as ShapeError from "../../../src/shapes/ShapeError.ts"
import { busily, turns } from "../machine/turns.ts"

describe("a compilation in parts", () => {
  it.live("lets the event loop turn between long parts", () =>
    Effect.gen(function*() {
      const counted = yield* turns
      const found = yield* CompiledEngine.compiled(
        "long",
        (function*() {
          const seen = [counted.turn]
          for (let part = 0; part < 3; part++) {
            busily(6)
            yield
            seen.push(counted.turn)
          }
          return seen
        })()
      )
      assert.lengthOf(new Set(found.slice(1)), 3)
    }))

  it.effect("fails with the reason why a part throws", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(CompiledEngine.compiled(
        "refused",
        (function*(): Generator<void, never> {
          yield
          throw new ShapeError.ShapeError("too wide")
        })()
      ))
      assert.deepStrictEqual([error.program, error.reason._tag], ["refused", "WrongShape"])
    }))
})
