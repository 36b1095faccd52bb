import { assert, describe, it } from "@effect/vitest"
import type { Computation, Instruction } from "../../../src/layers/pjrt/HloModule.ts"
import * as Launches from "../../../src/layers/pjrt/Launches.ts"

const instruction = (id: number, opcode: string, given: Partial<Instruction> = {}): Instruction => ({
  id,
  opcode,
  target: "",
  bytes: 100,
  operands: [],
  calls: [],
  trips: undefined,
  ...given
})

const counted = (entry: ReadonlyArray<Instruction>, ...others: ReadonlyArray<Computation>) =>
  Launches.count({ entry: 1, computations: [{ id: 1, instructions: entry }, ...others] })

describe("the launches of a program", () => {
  it("are those of its operations, with the bytes of their operands and results", () => {
    const found = counted([
      instruction(1, "parameter", { bytes: 8 }),
      instruction(2, "constant", { bytes: 2 }),
      instruction(3, "bitcast", { operands: [1] }),
      instruction(4, "copy", { bytes: 8, operands: [1] }),
      instruction(5, "custom-call", { bytes: 32, operands: [4, 2], target: "__cublas$lt$matmul" }),
      instruction(6, "tuple", { operands: [5] })
    ])
    assert.deepStrictEqual(found, {
      launches: 2,
      products: 1,
      traffic: 16 + 42,
      kinds: { copy: 1, "custom-call __cublas$lt$matmul": 1 }
    })
  })

  it("are one for a fusion, which is a product if it holds one", () => {
    const fusion = (id: number, calls: number) => instruction(id, "fusion", { calls: [calls] })
    const found = counted(
      [fusion(1, 2), fusion(2, 3), fusion(3, 4)],
      { id: 2, instructions: [instruction(9, "add"), instruction(10, "multiply")] },
      { id: 3, instructions: [instruction(9, "dot")] },
      { id: 4, instructions: [fusion(9, 3)] }
    )
    assert.deepStrictEqual([found.launches, found.products, found.kinds], [3, 2, { fusion: 3 }])
  })

  it("are those of what is called, as often as a loop runs", () => {
    const body = [instruction(9, "parameter"), instruction(10, "fusion"), instruction(11, "copy-start")]
    const found = counted(
      [
        instruction(1, "call", { calls: [2] }),
        instruction(2, "while", { calls: [2], trips: 5 }),
        instruction(3, "while", { calls: [2] }),
        instruction(4, "copy-done", { operands: [3] })
      ],
      { id: 2, instructions: body }
    )
    assert.deepStrictEqual([found.launches, found.kinds], [14, { fusion: 7, "copy-start": 7 }])
  })
})
