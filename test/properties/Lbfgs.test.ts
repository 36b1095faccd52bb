import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import * as Lbfgs from "../../src/domain/evaluation/Lbfgs.ts"

type Objective = (point: Float64Array) => Lbfgs.Evaluation

const minimise = (start: Float64Array, iterations: number, objective: Objective) => {
  const search = Lbfgs.minimise(start, { iterations, tolerance: 1e-8 })
  const values: Array<number> = []
  let next = search.next()
  while (next.done !== true) {
    const evaluation = objective(next.value)
    values.push(evaluation.value)
    next = search.next(evaluation)
  }
  return { ...next.value, values }
}

const number = (limit: number) => fc.double({ min: -limit, max: limit, noNaN: true })

const quadratic = fc.integer({ min: 1, max: 6 }).chain((size) =>
  fc.record({
    root: fc.array(fc.array(number(2), { minLength: size, maxLength: size }), { minLength: size, maxLength: size }),
    ridge: fc.double({ min: 0.1, max: 2, noNaN: true }),
    centre: fc.array(number(10), { minLength: size, maxLength: size }),
    start: fc.array(number(10), { minLength: size, maxLength: size })
  })
)

const multiply = (rows: ReadonlyArray<ReadonlyArray<number>>, vector: ReadonlyArray<number>) =>
  rows.map((row) => row.reduce((sum, value, i) => sum + value * vector[i]!, 0))

const transpose = (rows: ReadonlyArray<ReadonlyArray<number>>) => rows.map((_, i) => rows.map((row) => row[i]!))

describe("Lbfgs", () => {
  it("finds the minimum of strictly convex quadratics", () =>
    fc.assert(fc.property(quadratic, ({ centre, ridge, root, start }) => {
      const objective: Objective = (point) => {
        const offset = Array.from(point, (value, i) => value - centre[i]!)
        const projected = multiply(root, offset)
        const gradient = multiply(transpose(root), projected).map((value, i) => value + ridge * offset[i]!)
        return {
          value: offset.reduce((sum, value, i) => sum + value * gradient[i]!, 0) / 2,
          gradient: Float64Array.from(gradient)
        }
      }
      const { point } = minimise(Float64Array.from(start), 500, objective)
      centre.forEach((value, i) => assert.closeTo(point[i]!, value, 1e-4))
    })))

  it("returns no worse a point than it began with, after however few iterations", () =>
    fc.assert(fc.property(fc.tuple(number(3), number(3)), fc.integer({ min: 1, max: 8 }), ([x, y], iterations) => {
      const rosenbrock: Objective = ([a = 0, b = 0]) => ({
        value: (1 - a) ** 2 + 100 * (b - a * a) ** 2,
        gradient: Float64Array.of(2 * (a - 1) - 400 * a * (b - a * a), 200 * (b - a * a))
      })
      const { point, values } = minimise(Float64Array.of(x, y), iterations, rosenbrock)
      assert.isAtMost(rosenbrock(point).value, values[0]!)
      assert.isAtMost(rosenbrock(point).value, Math.min(...values))
    })))

  it("stops where the gradient vanishes", () => {
    const flat: Objective = () => ({ value: 0, gradient: new Float64Array(2) })
    const { hasConverged, values } = minimise(Float64Array.of(1, 2), 10, flat)
    assert.strictEqual(values.length, 1)
    assert.isTrue(hasConverged)
    assert.isTrue(minimise(Float64Array.of(1, 2), 0, flat).hasConverged)
  })

  it("tells an end at the limit of iterations from the others", () => {
    const bowl: Objective = ([x = 0, y = 0]) => ({
      value: x * x + 10 * y * y,
      gradient: Float64Array.of(2 * x, 20 * y)
    })
    const needed = Array.from({ length: 50 }, (_, i) => minimise(Float64Array.of(3, -2), i, bowl).hasConverged).indexOf(
      true
    )
    assert.isAbove(needed, 2)
    for (const [iterations, hasConverged] of [[needed - 1, false], [needed, true], [500, true]] as const) {
      assert.strictEqual(minimise(Float64Array.of(3, -2), iterations, bowl).hasConverged, hasConverged)
    }
    const uphill: Objective = ([x = 0]) => ({ value: x * x, gradient: Float64Array.of(-1, 0) })
    assert.isTrue(minimise(Float64Array.of(0, 0), 10, uphill).hasConverged)
  })

  it("stops at a step that decreases the value by little, where it is told so", () => {
    const objective: Objective = (point) => ({
      value: point.reduce((sum, x, i) => sum + (1 + i) * (x - 1) ** 4, 0),
      gradient: point.map((x, i) => 4 * (1 + i) * (x - 1) ** 3)
    })
    const found = (decrease: number) => {
      const search = Lbfgs.minimise(new Float64Array(5), { iterations: 200, tolerance: 1e-12, decrease })
      let count = 0
      let next = search.next()
      for (; next.done !== true; count++) next = search.next(objective(next.value))
      return { count, value: objective(next.value.point).value, hasConverged: next.value.hasConverged }
    }
    const [soon, late] = [found(1e-3), found(0)]
    assert.isBelow(soon.count, late.count)
    assert.isBelow(soon.value, 0.1)
    assert.isBelow(late.value, soon.value)
    assert.isTrue(soon.hasConverged)
  })
})
