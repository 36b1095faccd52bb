import { assert, describe, it } from "@effect/vitest"
import * as ExternalData from "../../src/compiler/onnx/ExternalData.ts"

const bytes = (place: number, value: string | ReadonlyArray<number>): ReadonlyArray<number> => {
  const content = [...Buffer.from(value as string)]
  return [8 * place + 2, content.length, ...content]
}

const tensor = (name: string, location: string) => [
  ...bytes(8, name),
  ...bytes(13, [...bytes(1, "location"), ...bytes(2, location)]),
  8 * 14,
  1
]

describe("the external data of an ONNX model", () => {
  it("is found by the numbers of onnx.proto, in constants and in nodes", () => {
    const node = bytes(5, bytes(5, tensor("inner", "b.bin")))
    const graph = [
      ...bytes(1, node),
      ...bytes(5, tensor("weight", "a.bin")),
      ...bytes(5, tensor("bias", "a.bin")),
      ...bytes(5, bytes(8, "own"))
    ]
    const model = Uint8Array.from(bytes(7, graph))
    assert.deepStrictEqual(ExternalData.of(model), { files: ["a.bin"], inner: ["inner"] })
  })
})
