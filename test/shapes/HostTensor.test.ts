import { assert, describe, it } from "@effect/vitest"
import * as HostTensor from "../../src/shapes/HostTensor.ts"

const pairs = HostTensor.zeros([2, 3], "float32")

describe("a host array", () => {
  it.each([
    [[2, 3], "float32"],
    [[-1, 3], "float32"],
    [[2, -1], "float32"]
  ])("fits %j", (shape, dtype) => assert.isUndefined(HostTensor.difference({ shape, dtype }, pairs)))

  it.each([
    [[2, 4], "float32", "float32 [2, 4]"],
    [[3, 3], "float32", "float32 [3, 3]"],
    [[-1, 4], "float32", "float32 [-1, 4]"],
    [[2], "float32", "float32 [2]"],
    [[2, 3, 1], "float32", "float32 [2, 3, 1]"],
    [[2, 3], "int32", "int32 [2, 3]"]
  ])(
    "differs from %j %s",
    (shape, dtype, expected) =>
      assert.deepStrictEqual(HostTensor.difference({ shape, dtype }, pairs), { expected, given: "float32 [2, 3]" })
  )

  it("differs from its shape where values are missing", () => {
    const expected = { shape: [2, 3], dtype: "float32" }
    assert.deepStrictEqual(HostTensor.difference(expected, { ...pairs, data: pairs.data.slice(1) }), {
      expected: "float32 [2, 3]",
      given: "float32 [2, 3] with 5 values"
    })
    assert.deepStrictEqual(HostTensor.difference(expected, undefined), { expected: "float32 [2, 3]", given: "missing" })
  })
})
