import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { createHash } from "node:crypto"
import * as Safetensors from "../../../src/domain/weights/Safetensors.ts"
import * as Weights from "../../../src/layers/weights/Weights.ts"
import * as HostTensor from "../../../src/shapes/HostTensor.ts"
import { busily, turns } from "../machine/turns.ts"
import { digestOf } from "./digestOf.ts"

const numbers = (length: number) =>
  HostTensor.make([length], "float32", Float32Array.from({ length }, (_, i) => Math.sin(i)))

describe("the digest of weights", () => {
  it("is that of their file without metadata", () => {
    const tensors = { small: numbers(3), large: numbers(700_000), empty: numbers(0) }
    assert.strictEqual(digestOf(tensors), createHash("sha256").update(Safetensors.encode(tensors)).digest("hex"))
  })

  it("is computed in parts of at most a MiB", () => {
    assert.isAtLeast([...Weights.digesting({ large: numbers(2 ** 20) })].length, 4)
  })

  it.live("leaves the event loop its turns", () =>
    Effect.gen(function*() {
      const counted = yield* turns
      busily(5)
      const before = counted.turn
      const digest = yield* Weights.digest({ large: numbers(2 ** 22) })
      assert.strictEqual(digest, digestOf({ large: numbers(2 ** 22) }))
      assert.isAbove(counted.turn, before)
    }))
})
