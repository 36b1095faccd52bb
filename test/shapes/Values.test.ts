import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import {
  Activation,
  Arrange,
  Codes,
  Convolution,
  Elementwise,
  HostTensor,
  Linear,
  Loss,
  Normalization,
  Reduction,
  Tensor
} from "../../src/shapes/index.ts"
import * as Eager from "../parity/eager.ts"

type Vector = Tensor.Tensor<[number]>
type Numbers = ReadonlyArray<number>

const vector = (values: Numbers) => HostTensor.make([values.length], "float32", Float32Array.from(values))

const near = (actual: ArrayLike<number>, expected: Numbers, what: string) => {
  assert.strictEqual(actual.length, expected.length, what)
  expected.forEach((value, i) => assert.closeTo(actual[i]!, value, 2e-5 * (1 + Math.abs(value)), `${what}, ${i}`))
}

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x))

/** The integral of the bell curve, by Simpson's rule. */
const normal = (x: number) => {
  const bell = (at: number) => Math.exp(-at * at / 2) / Math.sqrt(2 * Math.PI)
  const [parts, from] = [2000, -9]
  const step = (x - from) / parts
  const inner = Array.from({ length: parts - 1 }, (_, i) => (i % 2 === 0 ? 4 : 2) * bell(from + (i + 1) * step))
  return step / 3 * (bell(from) + bell(x) + inner.reduce((a, b) => a + b, 0))
}

const truth = (is: boolean) => (is ? 1 : 0)

const functions: Readonly<Record<string, readonly [run: (x: Vector) => Tensor.Any, expected: (x: number) => number]>> =
  {
    abs: [Elementwise.abs, Math.abs],
    atLeast: [(x) => Elementwise.atLeast(x, 0.5), (x) => Math.max(x, 0.5)],
    atMost: [(x) => Elementwise.atMost(x, 0.5), (x) => Math.min(x, 0.5)],
    exp: [Elementwise.exp, Math.exp],
    floor: [Elementwise.floor, Math.floor],
    gelu: [Activation.gelu, (x) => x * normal(x)],
    isAbove: [(x) => Elementwise.isAbove(x, 0.5), (x) => truth(x > 0.5)],
    isBelow: [(x) => Elementwise.isBelow(x, 0.5), (x) => truth(x < 0.5)],
    quickGelu: [Activation.quickGelu, (x) => x * sigmoid(1.702 * x)],
    relu: [Activation.relu, (x) => Math.max(x, 0)],
    scale: [(x) => Elementwise.scale(x, 0.3), (x) => 0.3 * x],
    shift: [(x) => Elementwise.shift(x, 0.3), (x) => x + 0.3],
    sigmoid: [Activation.sigmoid, sigmoid],
    sign: [Elementwise.sign, Math.sign],
    silu: [Activation.silu, (x) => x * sigmoid(x)],
    square: [Elementwise.square, (x) => x * x],
    tanh: [Activation.tanh, Math.tanh],
    "log of a square": [
      (x) => Elementwise.log(Elementwise.shift(Elementwise.square(x), 1)),
      (x) => Math.log(x * x + 1)
    ],
    "root of a square": [(x) => Elementwise.sqrt(Elementwise.square(x)), Math.abs],
    reciprocal: [(x) => Elementwise.reciprocal(Elementwise.shift(x, 9)), (x) => 1 / (x + 9)]
  }

const PLACES = Array.from({ length: 33 }, (_, i) => (i - 16) / 4)

describe("a function of numbers", () => {
  it.each(Object.entries(functions))("%s", (name, [run, expected]) => {
    const { y } = Eager.eagerly<{ x: Vector }, { y: Tensor.Any }>({ x: vector(PLACES) }, ({ x }) => ({ y: run(x) }))
    near(y.data as Float32Array, PLACES.map((x) => expected(x)), name)
  })

  it.each<readonly [string, (a: Vector, b: Vector) => Tensor.Any, (a: number, b: number) => number]>(
    [
      ["maximum", Elementwise.maximum, (a, b) => Math.max(a, b)],
      ["minimum", Elementwise.minimum, (a, b) => Math.min(a, b)],
      ["lessThan", Elementwise.lessThan, (a, b) => truth(a < b)],
      ["greaterThan", Elementwise.greaterThan, (a, b) => truth(a > b)],
      ["div", Elementwise.div, (a, b) => a / b],
      ["sub", Elementwise.sub, (a, b) => a - b]
    ]
  )("%s of two", (name, run, expected) => {
    const others = PLACES.map((x, i) => (i % 3 === 0 ? x : x + (i % 2 === 0 ? 0.7 : -0.6)) || 1)
    const { y } = Eager.eagerly<{ a: Vector; b: Vector }, { y: Tensor.Any }>(
      { a: vector(PLACES), b: vector(others) },
      ({ a, b }) => ({ y: run(a, b) })
    )
    near(y.data as Float32Array, PLACES.map((a, i) => expected(a, Math.fround(others[i]!))), name)
  })
})

type Matrix = Tensor.Tensor<[number, number]>

const matrices = fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 2, max: 6 })).chain(([rows, width]) =>
  fc.array(fc.array(fc.integer({ min: -40, max: 40 }).map((n) => n / 8), { minLength: width, maxLength: width }), {
    minLength: rows,
    maxLength: rows
  })
)

const hosted = (rows: ReadonlyArray<Numbers>) =>
  HostTensor.make([rows.length, rows[0]!.length], "float32", Float32Array.from(rows.flat()))

const computed = (rows: ReadonlyArray<Numbers>, run: (x: Matrix) => Tensor.Any): Numbers => {
  const { y } = Eager.eagerly<{ x: Matrix }, { y: Tensor.Any }>({ x: hosted(rows) }, ({ x }) => ({ y: run(x) }))
  return Array.from(y.data as Float32Array)
}

const sum = (values: Numbers) => values.reduce((a, b) => a + b, 0)
const shares = (row: Numbers) => row.map((x) => Math.exp(x) / sum(row.map(Math.exp)))
const length = (row: Numbers) => Math.hypot(...row)
const columns = (rows: ReadonlyArray<Numbers>) => rows[0]!.map((_, i) => rows.map((row) => row[i]!))
const place = (row: Numbers) => row.indexOf(Math.max(...row))

const ofRows: Readonly<
  Record<string, readonly [run: (x: Matrix) => Tensor.Any, expected: (rows: ReadonlyArray<Numbers>) => Numbers]>
> = {
  argMax: [Codes.argMax, (rows) => rows.map(place)],
  "argMax of matrices": [(x) => Codes.argMax(Arrange.reshape(x, [1, ...x.shape])), (rows) => rows.map(place)],
  "concat of rows": [
    (x) => Arrange.concat([x, Elementwise.scale(x, 2)], 0),
    (rows) => [...rows.flat(), ...rows.flat().map((x) => 2 * x)]
  ],
  "concat of columns": [
    (x) => Arrange.concat([x, Elementwise.scale(x, 2)], 1),
    (rows) => rows.flatMap((row) => [...row, ...row.map((x) => 2 * x)])
  ],
  globalNorm: [(x) => Reduction.globalNorm({ x, again: [x] }), (rows) => [Math.SQRT2 * length(rows.flat())]],
  l2Normalize: [
    (x) => Normalization.l2Normalize(x),
    (rows) => rows.flatMap((row) => row.map((x) => x === 0 ? 0 : x / length(row)))
  ],
  "l2Normalize of small ones": [
    (x) => Normalization.l2Normalize(Elementwise.scale(x, 1e-3), 0.01),
    (rows) => rows.flatMap((row) => row.map((x) => x / Math.max(length(row), 10)))
  ],
  layerNorm: [
    (x) => {
      const { shape: [, width] } = x
      const range = (from: number) => Tensor.constant(vector(Array.from({ length: width }, (_, i) => from + i)))
      return Normalization.layerNorm(x, { weight: range(1), bias: range(-2) }, 0.25)
    },
    (rows) =>
      rows.flatMap((row) => {
        const mean = sum(row) / row.length
        const variance = sum(row.map((x) => (x - mean) ** 2)) / row.length
        return row.map((x, i) => (x - mean) / Math.sqrt(variance + 0.25) * (1 + i) + i - 2)
      })
  ],
  logSoftmax: [Activation.logSoftmax, (rows) => rows.flatMap((row) => shares(row).map(Math.log))],
  maxAlong: [(x) => Reduction.maxAlong(x, 0), (rows) => columns(rows).map((column) => Math.max(...column))],
  maxLast: [Reduction.maxLast, (rows) => rows.map((row) => Math.max(...row))],
  mean: [Reduction.mean, (rows) => [sum(rows.flat()) / rows.flat().length]],
  meanAlong: [(x) => Reduction.meanAlong(x, 1), (rows) => rows.map((row) => sum(row) / row.length)],
  minAlong: [(x) => Reduction.minAlong(x, -1), (rows) => rows.map((row) => Math.min(...row))],
  matMulTransposed: [
    (x) => Linear.matMulTransposed(x, x),
    (rows) => rows.flatMap((a) => rows.map((b) => sum(a.map((x, i) => x * b[i]!))))
  ],
  softmax: [Activation.softmax, (rows) => rows.flatMap(shares)],
  sum: [Reduction.sum, (rows) => [sum(rows.flat())]],
  sumAlong: [(x) => Reduction.sumAlong(x, 0), (rows) => columns(rows).map(sum)],
  sumLast: [Reduction.sumLast, (rows) => rows.map(sum)]
}

describe("a function of rows", () => {
  it.each(Object.entries(ofRows))("%s", (name, [run, expected]) => {
    fc.assert(
      fc.property(matrices, (rows) => near(computed(rows, run), expected(rows), name)),
      { numRuns: 20 }
    )
  })

  it("of labels: how many are right, and the loss of those that count", () => {
    fc.assert(
      fc.property(matrices, fc.nat(), (rows, seed) => {
        const labels = Int32Array.from(rows, (row, i) => (seed + 3 * i) % row.length)
        const host = HostTensor.make([rows.length], "int32", labels)
        const found = (run: (x: Matrix, labels: Tensor.Tensor<[number], "int32">) => Tensor.Any) =>
          computed(rows, (x) => run(x, Tensor.constant(host)))[0]!
        assert.closeTo(
          found(Loss.accuracy),
          sum(rows.map((row, i) => truth(place(row) === labels[i]))) / rows.length,
          1e-6
        )
        const losses = rows.map((row, i) => labels[i] === 1 ? 0 : -Math.log(shares(row)[labels[i]!]!))
        assert.closeTo(found((x, y) => Loss.crossEntropyExcept(x, y, 1)), sum(losses) / rows.length, 1e-4)
      }),
      { numRuns: 20 }
    )
  })

  it("of a map: the greatest of each square", () => {
    const map = Array.from({ length: 70 }, (_, i) => 31 * i % 71)
    const x = HostTensor.make([1, 2, 5, 7], "float32", Float32Array.from(map))
    const { y } = Eager.eagerly<{ x: Tensor.Tensor<[1, 2, 5, 7]> }, { y: Tensor.Any }>(
      { x },
      (given) => ({ y: Convolution.maxPool(given.x, 2) })
    )
    assert.deepStrictEqual([...y.shape], [1, 2, 2, 3])
    const expected = [0, 1].flatMap((channel) =>
      [0, 1].flatMap((row) =>
        [0, 1, 2].map((column) =>
          Math.max(...[0, 1, 7, 8].map((step) => map[35 * channel + 14 * row + 2 * column + step]!))
        )
      )
    )
    assert.deepStrictEqual(Array.from(y.data as Float32Array), expected)
  })
})
