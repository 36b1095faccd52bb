import { assert, describe, it } from "@effect/vitest"
import { Codes, Elementwise, HostTensor, Normalization, Reduction, ShapeError, Tensor } from "../../src/shapes/index.ts"
import { inputs, named, operations, upload } from "./operations.ts"

const size = {
  batch: named(2),
  tokens: named(3),
  heads: named(2),
  channels: named(5),
  out: named(4),
  rows: named(6),
  codes: named(7),
  patch: named(2),
  down: named(2),
  across: named(3),
  width: named(10)
}

const wrongShapes = (shape: ReadonlyArray<number>): ReadonlyArray<ReadonlyArray<number>> => [
  [...shape, 1],
  [...shape, 2],
  ...(shape.length === 0 ? [] : [[], [1, ...shape.slice(1)], [...shape.slice(0, -1), 1], shape.slice(1)])
]

const cases = operations.filter(({ name }) => !name.startsWith("Arrange.")).flatMap((operation) => {
  const { floats, rest } = inputs(operation, size, 1)
  const host: Readonly<Record<string, HostTensor.Any>> = { ...floats, ...rest }
  return Object.entries(host).flatMap(([operand, { dtype, shape }]) =>
    wrongShapes(shape).filter((wrong) => !ShapeError.agree(wrong, shape)).map((wrong) => ({
      name: `${operand} ${ShapeError.show(wrong)} of ${operation.name}`,
      operand: `${operand} of ${operation.name}`,
      alone: Object.keys(host).length === 1,
      run: () => operation.run(upload({ ...host, [operand]: HostTensor.zeros(wrong, dtype) }), size)
    }))
  )
})

const alone = new Set(cases.filter((one) => one.alone).map(({ operand }) => operand))

const outcome = (run: () => unknown): string => {
  try {
    run()
    return "a result"
  } catch (error) {
    return error instanceof ShapeError.ShapeError ? error.message : `raw: ${String(error)}`
  }
}

const free = [
  "weight of Linear.project",
  "b of Linear.matMul",
  "back of gated",
  "a of Reduction.globalNorm",
  "b of Reduction.globalNorm",
  "weight of FeatureMap.convolve by 1",
  "weight of FeatureMap.convolve by 3",
  "weight of FeatureMap.convolve by 5",
  "weight of Tokens.patchProject",
  "rows of Tokens.selectRows",
  "rows of Tokens.factorsOfRows",
  "table of Codes.nearest",
  "table of Codes.lookup",
  "codes of Codes.lookup"
]

const ofValues = /GatherV2: the index value|oneHot: depth/

describe("an operand of a wrong shape", () => {
  it("never reaches TensorFlow.js", () => {
    const raw = cases.map(({ name, run }) => `${name}: ${outcome(run)}`).filter((line) => line.includes(": raw: "))
    assert.deepStrictEqual(raw.filter((line) => !ofValues.test(line)), [])
  })

  it("is refused beside x", () => {
    const taken = cases.filter(({ operand, run }) => !operand.startsWith("x of ") && outcome(run) === "a result")
    assert.deepStrictEqual([...new Set(taken.map(({ operand }) => operand))].filter((name) => !alone.has(name)), free)
  })

  const any = (...shape: ReadonlyArray<number>): Tensor.Any =>
    Tensor.constant<ReadonlyArray<number>, "float32">(HostTensor.zeros(shape, "float32"))
  const codes = (...shape: ReadonlyArray<number>): Tensor.Any =>
    Tensor.constant<ReadonlyArray<number>, "int32">(HostTensor.zeros(shape, "int32"))
  const colours = { mean: [0, 0, 0], std: [1, 1, 1] }
  const undefinedNumber: { readonly given?: number } = {}

  it.each<[sentence: string, run: () => unknown]>([
    ["scaleBy: scalar must be [] but is [3]", () => Elementwise.scaleBy(any(2, 3), any(3))],
    ["shiftBy: scalar must be [] but is [4, 2, 3]", () => Elementwise.shiftBy(any(2, 3), any(4, 2, 3))],
    ["sumByCode: codes must be [3] but is [1]", () => Codes.sumByCode(any(3, 2), codes(1), 4)],
    ["asGrid: codes must be [6] but is [5]", () => Codes.asGrid(codes(5), 2, 3)],
    [
      "layerNorm: bias must be [3] but is [1]",
      () => Normalization.layerNorm(any(2, 3), { weight: any(3), bias: any(1) }, 1e-6)
    ],
    [
      "batchNorm: running_mean must be [3] but is [1]",
      () =>
        Normalization.batchNorm(
          any(2, 3, 4, 4),
          { weight: any(3), bias: any(3), running_mean: any(1), running_var: any(3) },
          1e-6
        )
    ],
    [
      "standardise: images must be [B, 3, H, W] but is [2, 1, 4, 4]",
      () => Normalization.standardise(any(2, 1, 4, 4), colours)
    ],
    [
      "standardise: std must be [3] but is [1]",
      () => Normalization.standardise(any(2, 3, 4, 4), { ...colours, std: [1] })
    ],
    ["meanTokens: x must be [B, N, C] but is [2, 3]", () => Reduction.meanTokens(any(2, 3))],
    [
      "select: condition must be [] but is [2]",
      () => Elementwise.select(Elementwise.isBelow(any(2), 1), any(2), any(2))
    ],
    [
      "zeroUnless: condition must be [] but is [2]",
      () => Elementwise.zeroUnless(Elementwise.isBelow(any(2), 1), any(2))
    ],
    ["scale: the constant must be a number but is undefined", () => Elementwise.scale(any(2), undefinedNumber.given!)],
    ["addToSamples: [1, 3] is needed but [3] is added", () => Elementwise.addToSamples(any(2, 3), any(3))]
  ])("is named: %s", (sentence, run) => {
    assert.strictEqual(outcome(run), sentence)
  })
})
