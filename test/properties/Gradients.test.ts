import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import fc from "fast-check"
import * as KeyedRandom from "../../src/domain/values/KeyedRandom.ts"
import { Elementwise, Gradient, HostTensor, Reduction, Tensor, Tree } from "../../src/shapes/index.ts"
import {
  exported,
  helpers,
  type Host,
  inputs,
  named,
  type Operation,
  operations,
  type Sizes,
  sizes,
  upload
} from "../shapes/operations.ts"

const unit = (seed: number, purpose: string, shape: ReadonlyArray<number>) => {
  const random = KeyedRandom.generator({ seed, purpose, epoch: 0, index: 0 })
  const values = Float32Array.from({ length: HostTensor.size(shape) }, () => random.normal())
  const length = Math.hypot(...values)
  return HostTensor.make(shape, "float32", values.map((value) => value / length))
}

const weighted = (output: Tensor.Any | object, seed: number): Tensor.Tensor<[]> =>
  Tree.leaves<Tensor.Any>(output)
    .map(([path, leaf]) =>
      Reduction.sum(Elementwise.mul(leaf, Tensor.constant(unit(seed, `weigh ${path}`, leaf.shape))))
    )
    .reduce((total, part) => Elementwise.add(total, part))

const value = (operation: Operation, size: Sizes, seed: number, floats: Host, rest: Host): number =>
  tf.tidy(() =>
    Tensor.untyped(weighted(operation.run({ ...upload(floats), ...upload(rest) }, size), seed)).dataSync()[0]!
  )

const gradients = (operation: Operation, size: Sizes, seed: number, floats: Host, rest: Host) =>
  tf.tidy(() => {
    const constants = upload(rest)
    const lossOf = (params: object) => ({
      loss: weighted(operation.run({ ...(params as ReturnType<typeof upload>), ...constants }, size), seed),
      aux: {}
    })
    const found = Tree.leaves<Tensor.Any>(Gradient.valueAndGradient(lossOf, upload(floats)).gradients)
    return Object.fromEntries(found.map(([path, leaf]) => [path, Tensor.untyped(leaf).dataSync<"float32">()]))
  })

const slope = (f: (at: number) => number): number => {
  const central = (step: number) => (f(step) - f(-step)) / (2 * step)
  return (4 * central(0.02) - central(0.04)) / 3
}

describe("gradients", () => {
  it("are checked for every operation", () => {
    const tested = new Set(operations.map(({ name }) => name.split(" ")[0]))
    assert.deepStrictEqual(exported.filter((name) => !tested.has(name)).toSorted(), helpers)
  })

  it.each(operations.filter(({ gradient }) => gradient))("$name against finite differences", (operation) => {
    fc.assert(
      fc.property(sizes, fc.nat(), (size, seed) => {
        const { floats, rest } = inputs(operation, size, seed)
        const analytic = gradients(operation, size, seed, floats, rest)
        for (const [key, input] of Object.entries(floats)) {
          const direction = unit(seed, `along ${key}`, input.shape).data
          const expected = slope((step) => {
            const moved = Float32Array.from(input.data, (x, at) => x + step * direction[at]!)
            return value(
              operation,
              size,
              seed,
              { ...floats, [key]: HostTensor.make(input.shape, "float32", moved) },
              rest
            )
          })
          const actual = analytic[key]!.reduce((total, x, at) => total + x * direction[at]!, 0)
          assert.closeTo(actual, expected, 2e-3 * (1 + Math.abs(expected)), key)
        }
      }),
      { numRuns: 25 }
    )
  })

  it.each(["Elementwise.stopGradient", "Codes.straightThrough"])("%s keeps the value and says what passes", (name) => {
    const operation = operations.find((candidate) => candidate.name === name)!
    fc.assert(
      fc.property(sizes, fc.nat(), (size, seed) => {
        const { floats, rest } = inputs(operation, size, seed)
        const analytic = gradients(operation, size, seed, floats, rest)
        const [first] = Object.values(floats)
        const upstream = unit(seed, "weigh ", first!.shape).data
        const nothing = new Float32Array(upstream.length)
        assert.deepStrictEqual(
          Object.values(analytic),
          name === "Codes.straightThrough" ? [upstream, nothing] : [nothing]
        )
      })
    )
  })

  it("leave no tensor behind", () => {
    const size: Sizes = {
      batch: named(2),
      tokens: named(3),
      heads: named(2),
      channels: named(3),
      width: named(6),
      out: named(4),
      rows: named(5),
      codes: named(6),
      patch: named(2),
      down: named(2),
      across: named(1)
    }
    const before = tf.memory().numTensors
    for (const operation of operations.filter(({ gradient }) => gradient)) {
      const { floats, rest } = inputs(operation, size, 7)
      gradients(operation, size, 7, floats, rest)
    }
    assert.strictEqual(tf.memory().numTensors, before)
  })
})
