import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import * as AbsolutePosition from "../../src/domain/method/AbsolutePosition.ts"
import * as RelativePosition from "../../src/domain/method/RelativePosition.ts"
import * as Grid from "../../src/domain/values/Grid.ts"

const grid = (max: number): fc.Arbitrary<Grid.Grid> =>
  fc.record({ height: fc.integer({ min: 1, max }), width: fc.integer({ min: 1, max }) })

const floats = (length: number) =>
  fc.float32Array({ minLength: length, maxLength: length, min: -4, max: 4, noNaN: true })

const table = fc.tuple(grid(6), fc.integer({ min: 1, max: 3 })).chain(([from, heads]) =>
  floats(RelativePosition.rows(from) * heads).map((values) => ({ from, heads, values }))
)

const positions = fc.tuple(grid(6), fc.integer({ min: 1, max: 3 })).chain(([from, width]) =>
  floats((1 + from.height * from.width) * width).map((values) => ({ from, width, values }))
)

const closeTo = (actual: Iterable<number>, expected: Iterable<number>, tolerance: number) => {
  const [a, b] = [[...actual], [...expected]]
  assert.strictEqual(a.length, b.length)
  a.forEach((x, i) => assert.closeTo(x, b[i]!, tolerance))
}

describe("RelativePosition.index", () => {
  it("gives pairs of patches the same row exactly when they lie the same way", () => {
    fc.assert(fc.property(grid(5), (of) => {
      const tokens = 1 + of.height * of.width
      const index = RelativePosition.index(of)
      const seen = new Map<number, string>()
      for (let query = 1; query < tokens; query++) {
        for (let key = 1; key < tokens; key++) {
          const [q, k] = [query - 1, key - 1]
          const way = `${Math.floor(q / of.width) - Math.floor(k / of.width)} ${(q % of.width) - (k % of.width)}`
          const row = index[query * tokens + key]!
          assert.strictEqual(seen.get(row) ?? way, way)
          seen.set(row, way)
        }
      }
      assert.strictEqual(new Set(seen.values()).size, seen.size)
      assert.strictEqual(seen.size, RelativePosition.rows(of) - 3)
      assert.strictEqual(Math.max(...seen.keys()), RelativePosition.rows(of) - 4)
    }))
  })
})

describe("RelativePosition.resize", () => {
  it("is the identity at equal size", () => {
    fc.assert(fc.property(table, ({ from, heads, values }) => {
      assert.deepStrictEqual(RelativePosition.resize(values, heads, from, { ...from }), values)
    }))
  })

  it("copies the class token's rows, keeps the middle, and treats heads apart", () => {
    fc.assert(fc.property(table, grid(8), ({ from, heads, values }, to) => {
      const resized = RelativePosition.resize(values, heads, from, to)
      assert.strictEqual(resized.length, RelativePosition.rows(to) * heads)
      assert.deepStrictEqual(resized.slice(-3 * heads), values.slice(-3 * heads))
      const middle = (of: Grid.Grid, all: Float32Array) => {
        const row = (RelativePosition.rows(of) - 4) / 2
        return all.slice(row * heads, (row + 1) * heads)
      }
      closeTo(middle(to, resized), middle(from, values), 1e-5)
      const first = RelativePosition.resize(values.filter((_, i) => i % heads === 0), 1, from, to)
      closeTo(resized.filter((_, i) => i % heads === 0), first, 0)
    }))
  })

  it("leaves a constant table constant", () => {
    const kind = fc.constantFrom("cubic" as const, "linear" as const)
    fc.assert(fc.property(grid(6), grid(8), fc.integer({ min: -9, max: 9 }), kind, (from, to, value, interpolation) => {
      const constant = new Float32Array(RelativePosition.rows(from)).fill(value)
      const resized = RelativePosition.resize(constant, 1, from, to, interpolation)
      closeTo(resized, Array(RelativePosition.rows(to)).fill(value), 1e-4)
    }))
  })

  it("refuses a table of another grid", () => {
    fc.assert(fc.property(table, ({ from, heads, values }) => {
      const wrong = { ...from, width: from.width + 1 }
      assert.throws(() => RelativePosition.resize(values, heads, wrong, from), RangeError)
    }))
  })
})

describe("RelativePosition.axis", () => {
  it("ascends, is symmetric, and reaches the new border where its range of gaps allows", () => {
    const reach = (q: number, from: number) => (q ** (from - 1) - 1) / (q - 1)
    fc.assert(fc.property(fc.integer({ min: 2, max: 30 }), fc.integer({ min: 1, max: 20 }), (from, more) => {
      const border = from + more - 1
      const axis = RelativePosition.axis(from, from + more)
      assert.isTrue(axis.slice(1).every((x, i) => x > axis[i]!))
      closeTo(axis.map((x) => -x).toReversed(), axis, 0)
      const limited = Math.min(Math.max(border, reach(1.01, from)), reach(1.5, from))
      assert.closeTo(axis.at(-1)!, limited, 1e-3)
    }))
  })
})

describe("RelativePosition.spline", () => {
  const points = fc.integer({ min: 4, max: 20 }).chain((n) =>
    fc.array(fc.double({ min: 0.5, max: 2, noNaN: true }), { minLength: n, maxLength: n })
  ).map((gaps) => gaps.reduce<ReadonlyArray<number>>((xs, gap) => [...xs, (xs.at(-1) ?? -3) + gap], []))

  it("reproduces cubics exactly, also between and beyond the points", () => {
    const coefficients = fc.array(fc.double({ min: -2, max: 2, noNaN: true }), { minLength: 4, maxLength: 4 })
    fc.assert(fc.property(points, coefficients, (xs, [a, b, c, d]) => {
      const cubic = (x: number) => ((a! * x + b!) * x + c!) * x + d!
      const through = RelativePosition.spline(xs, xs.map(cubic))
      for (const x of [xs[0]! - 1, ...xs, (xs[1]! + xs[2]!) / 2, xs.at(-1)! + 1]) {
        assert.closeTo(through(x), cubic(x), 1e-6 * (1 + Math.abs(cubic(x)) + 100))
      }
    }))
  })

  it("passes through its points", () => {
    fc.assert(fc.property(points, fc.infiniteStream(fc.double({ min: -9, max: 9, noNaN: true })), (xs, stream) => {
      const ys = xs.map(() => stream.next().value as number)
      const through = RelativePosition.spline(xs, ys)
      xs.forEach((x, i) => assert.closeTo(through(x), ys[i]!, 1e-9))
    }))
  })
})

describe("AbsolutePosition", () => {
  it("are unchanged at equal size, whichever way", () => {
    fc.assert(fc.property(positions, ({ from, values, width }) => {
      assert.deepStrictEqual(AbsolutePosition.resize(values, width, from, { ...from }), values)
      assert.deepStrictEqual(AbsolutePosition.resizeAtRunTime(values, width, from, { ...from }), values)
    }))
  })

  it("keep the class token and constants, whichever way", () => {
    fc.assert(fc.property(positions, grid(8), ({ from, values, width }, to) => {
      for (const resize of [AbsolutePosition.resize, AbsolutePosition.resizeAtRunTime]) {
        assert.deepStrictEqual(resize(values, width, from, to).slice(0, width), values.slice(0, width))
        const constant = new Float32Array(values.length).fill(2)
        closeTo(resize(constant, width, from, to), Array((1 + to.height * to.width) * width).fill(2), 1e-6)
      }
    }))
  })
})
