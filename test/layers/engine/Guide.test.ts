import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { program, start, step, train } from "../../../examples/ownStep.ts"
import * as Engine from "../../../src/layers/engine/Engine.ts"
import * as AdamW from "../../../src/nn/optimizer/AdamW.ts"
import type { SpecOf } from "../../../src/shapes/Step.ts"

describe("the guide to a step of one's own", () => {
  it("shows the example, part by part", () => {
    const read = (path: string) => readFileSync(new URL(`../../../${path}`, import.meta.url), "utf8")
    const example = read("examples/ownStep.ts")
    const blocks = Array.from(read("docs/your-own-step.md").matchAll(/\n```ts\n([\s\S]*?)```/g), ([, text]) => text!)
    assert.isAbove(blocks.length, 4)
    for (const block of blocks) assert.include(example, block.trim())
  })

  it.effect("resumes with the bytes of a run that was never stopped", () =>
    Effect.gen(function*() {
      const { half, whole } = yield* program
      const unbroken = yield* Effect.provide(train(start(0), 100), Engine.layerOnnx({ threads: 1 }))
      assert.isBelow(whole.loss, half.loss)
      assert.deepStrictEqual(whole, unbroken)
      const again: typeof whole.state = AdamW.join(AdamW.split(whole.state))
      assert.deepStrictEqual(again, whole.state)
    }))

  it("describes a state by its arrays", () => {
    const { state } = start(0)
    const spec: SpecOf<typeof state> = step.state
    assert.strictEqual(spec, step.state)
  })
})
