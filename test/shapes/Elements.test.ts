import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import * as Trace from "../../src/compiler/trace/Trace.ts"
import { FusedAdamW, Gradient, HostTensor, ShapeError, type Step, Tensor, Tree } from "../../src/shapes/index.ts"
import { exported, helpers, inputs, operations, sizes, upload } from "./operations.ts"

type Tensors = Readonly<Record<string, Tensor.Any>>

interface Case {
  readonly name: string
  readonly host: Readonly<Record<string, HostTensor.Any>>
  readonly operand: string
  run(given: Tensors): object
}

const [size] = fc.sample(sizes, { numRuns: 1, seed: 1 })

const OTHER = { float32: "int32", int32: "float32", bool: "float32" } as const

const other = ({ dtype, shape }: HostTensor.Any): HostTensor.Any => HostTensor.zeros(shape, OTHER[dtype])

const moments = ["parameter", "first", "second", "mean", "gradient"] as const
const numbers = [
  "keepFirst",
  "takeFirst",
  "keepSecond",
  "takeSecond",
  "epsilon",
  "step",
  "keep",
  "keepMean",
  "takeMean"
] as const

type Update = Readonly<Record<typeof moments[number] | typeof numbers[number] | "finite", Tensor.Any>>

const zeros = (names: ReadonlyArray<string>, shape: ReadonlyArray<number>) =>
  Object.fromEntries(names.map((name) => [name, HostTensor.zeros(shape, "float32")]))

const own: ReadonlyArray<Omit<Case, "operand">> = [
  { name: "Gradient.boundary", host: zeros(["x"], [2]), run: ({ x }) => Gradient.boundary(x!) },
  {
    name: "FusedAdamW.update",
    host: { ...zeros(moments, [2]), ...zeros(numbers, []), finite: HostTensor.zeros([], "bool") },
    run: ({ first, gradient, mean, parameter, second, ...factors }: Update) =>
      FusedAdamW.update({ parameter, first, second, mean }, gradient, factors)
  }
]

const walked = [
  ...own,
  ...operations.filter(({ name }) => !name.startsWith("Arrange.")).map((operation) => {
    const { floats, rest } = inputs(operation, size!, 1)
    return { name: operation.name, host: { ...floats, ...rest }, run: (given: Tensors) => operation.run(given, size!) }
  })
]

const cases: ReadonlyArray<Case> = walked.flatMap((one) =>
  Object.keys(one.host).map((operand) => ({
    ...one,
    operand,
    host: { ...one.host, [operand]: other(one.host[operand]!) }
  }))
)

const sentence = (run: () => unknown): string => {
  let found: unknown
  assert.throws(() => {
    try {
      run()
    } catch (error) {
      found = error
      throw error
    }
  })
  assert.instanceOf(found, ShapeError.ShapeError)
  return found.message
}

describe("an operand of a wrong element type", () => {
  it.each(cases)("is named: $operand of $name", ({ host, operand, run }) => {
    const eager = sentence(() => run(upload(host)))
    assert.match(eager, /^\w+: .+ must be (float32|int32|bool).* but (is|are) .+/)
    assert.include(eager.slice(eager.indexOf(" but ")), host[operand]!.dtype)
    const step: Step.Inference<Tensors, {}, object> = {
      name: "wrong",
      weights: Tree.map<Tensors>(host, ({ dtype, shape }) => ({ dtype, shape })),
      batch: {},
      run: (given) => ({ output: run(given) })
    }
    assert.strictEqual(sentence(() => Trace.inference(step)), eager)
  })

  it("is looked for in every operation", () => {
    const names = new Set(walked.map(({ name }) => name.split(" ")[0]))
    const sought = exported.filter((name) => !helpers.includes(name) && !name.startsWith("Arrange."))
    assert.deepStrictEqual(sought.filter((name) => !names.has(name)), [])
  })
})
