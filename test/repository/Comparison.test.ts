import { assert, describe, it } from "@effect/vitest"
import * as Comparison from "../../benchmarks/comparison.ts"

const contender = (
  by: Comparison.Contender["by"],
  way: string,
  rates: ReadonlyArray<number>,
  precision = "fp32",
  matmulGigaflopsPerSecond = 10
): Comparison.Contender => ({
  by,
  way,
  precision,
  rounds: rates.map((imagesPerSecond, round) => ({
    engine: way,
    version: "1",
    imagesPerSecond,
    matmulGigaflopsPerSecond,
    peakMegabytes: 100 + round
  }))
})

const onnx = contender("patchword", "onnx", [12, 30, 6], "fp32", 20)
const plain = contender("PyTorch", "plain", [30, 5, 2])
const tuned = contender("PyTorch", "tuned", [8, 10, 6])

describe("the comparison with PyTorch", () => {
  it("takes the way with the greatest median as PyTorch's best, and no engine of ours", () => {
    const best = Comparison.rows([onnx, plain, tuned]).map((row) => row.best)
    assert.deepStrictEqual(best, [false, false, true])
  })

  it("gives ratios to it round by round", () => {
    assert.deepInclude(Comparison.rows([onnx, plain, tuned])[0], {
      imagesPerSecond: 12,
      ratio: 1.5,
      leastRatio: 1,
      greatestRatio: 3,
      ratioBesideProducts: 0.75,
      megabytes: 102
    })
  })

  it("compares each precision with its own best, and with the best at fp32", () => {
    const ours = contender("patchword", "openvino", [40, 50, 30], "bf16")
    const theirs = contender("PyTorch", "compiled", [20, 25, 15], "bf16")
    const [fp32, bf16] = Comparison.rows([onnx, ours, plain, tuned, theirs])
    assert.notProperty(fp32, "ratioToFp32")
    assert.deepInclude(bf16, { ratio: 2, ratioToFp32: 5 })
  })

  it("has no ratio where PyTorch does not run", () => {
    const [row] = Comparison.rows([onnx])
    assert.deepInclude(row, { imagesPerSecond: 12 })
    assert.notProperty(row, "ratio")
    assert.notProperty(row, "best")
  })

  it("names each engine that ran, once", () => {
    const rounds = [onnx, tuned, onnx].map((one) => one.rounds[0]!)
    assert.strictEqual(Comparison.rows([{ ...onnx, rounds }])[0]!.engine, "onnx, 1 or tuned, 1")
  })

  it.each([
    [[3, 1, 2], 2],
    [[4, 1, 2, 3], 2.5],
    [[7], 7]
  ])("has the middle of %j as median", (values, expected) => {
    assert.strictEqual(Comparison.median(values), expected)
  })
})

describe("the ways to run PyTorch", () => {
  it("are named apart, and differ in what they are", () => {
    const { ways } = Comparison
    assert.strictEqual(new Set(ways.map(({ name }) => name)).size, ways.length)
    const kinds = ways.map(({ compile, environment }) => JSON.stringify({ compile, environment }))
    assert.strictEqual(new Set(kinds).size, ways.length)
  })
})
