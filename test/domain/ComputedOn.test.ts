import { assert, describe, it } from "@effect/vitest"
import * as ComputedOn from "../../src/domain/values/ComputedOn.ts"

const xla = { engine: "xla cuda", version: "0.116", threads: 1, precision: "bf16", ranks: 2 } as const

describe("what a step was computed on", () => {
  it("has where ranks summed and in which numbers, and says when it changes", () => {
    const inside = { ...xla, collectives: "inside" } as const
    assert.deepStrictEqual(ComputedOn.of({ ...inside, more: 1 } as ComputedOn.ComputedOn), inside)
    assert.strictEqual(ComputedOn.show(inside), "xla cuda 0.116, 2 ranks, collectives inside, 1 thread, bf16")
    assert.include(ComputedOn.change(xla, inside), "(collectives: \"host\" then, \"inside\" now)")
    assert.include(ComputedOn.change({ ...xla, wire: "bf16" }, xla), "(wire: \"bf16\" then, \"fp32\" now)")
    assert.isUndefined(ComputedOn.change({ ...xla, ranks: 1 }, { ...xla, ranks: 1, devices: 1 }))
  })
})
