/**
 * L-BFGS with a backtracking line search (Nocedal and Wright, algorithm 7.5), for smooth convex functions of a few thousand
 * variables. `minimise` is a generator. It yields points, and the caller sends back values and gradients. The algorithm
 * therefore needs no device.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Lbfgs } from "patchword/domain"
 *
 * const search = Lbfgs.minimise(Float64Array.of(3, -2), { iterations: 50 })
 * let next = search.next()
 * while (!next.done) {
 *   const [x, y] = next.value as unknown as [number, number]
 *   next = search.next({ value: x * x + 10 * y * y, gradient: Float64Array.of(2 * x, 20 * y) })
 * }
 * assert.ok(next.value.hasConverged && Math.hypot(...next.value.point) < 1e-4)
 * ```
 */

/** The value and the gradient of the function at a point. */
export interface Evaluation {
  readonly value: number
  readonly gradient: Float64Array
}

/** The conditions for stopping. */
export interface Options {
  readonly iterations: number
  /** The gradient norm below which the solver stops; default 1e-5. */
  readonly tolerance?: number
  /**
   * The decrease of the value, over the value or 1, below which the solver stops (`ftol` of SciPy); default 0, which is a step
   * that does not decrease it.
   */
  readonly decrease?: number
  /**
   * Multiplies a gradient by an estimate of the inverse of the second derivatives, up to a factor: a symmetric matrix without
   * negative directions. By default, the gradient itself.
   */
  readonly precondition?: (gradient: Float64Array) => Float64Array
}

/** The result of a search. */
export interface Found {
  /** The best point. */
  readonly point: Float64Array
  /** False if the solver stopped at its limit of iterations alone. More of them would go on from there. */
  readonly hasConverged: boolean
}

const MEMORY = 10
const SUFFICIENT = 1e-4
const HALVINGS = 30

// Loops: the methods of typed arrays call a function for each element, which takes most of the time for small data.
const dot = (a: Float64Array, b: Float64Array): number => {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!
  return sum
}

const along = (a: Float64Array, factor: number, b: Float64Array): Float64Array => {
  const moved = new Float64Array(a.length)
  for (let i = 0; i < a.length; i++) moved[i] = a[i]! + factor * b[i]!
  return moved
}

interface Pair {
  readonly step: Float64Array
  readonly change: Float64Array
  readonly rho: number
}

const direction = (
  gradient: Float64Array,
  pairs: ReadonlyArray<Pair>,
  precondition: (gradient: Float64Array) => Float64Array
): Float64Array => {
  let q: Float64Array = gradient.slice()
  const alphas: Array<number> = []
  for (const { change, rho, step } of pairs.toReversed()) {
    const alpha = rho * dot(step, q)
    alphas.unshift(alpha)
    q = along(q, -alpha, change)
  }
  const last = pairs.at(-1)
  const scale = last === undefined
    ? 1 / Math.max(1, Math.sqrt(dot(gradient, gradient)))
    : 1 / (last.rho * dot(last.change, precondition(last.change)))
  let r: Float64Array = precondition(q).map((value) => value * scale)
  pairs.forEach(({ change, rho, step }, i) => {
    r = along(r, alphas[i]! - rho * dot(change, r), step)
  })
  return r.map((value) => -value)
}

/** Yields points to evaluate, and returns the best one. */
export function* minimise(
  start: Float64Array,
  options: Options
): Generator<Float64Array, Found, Evaluation> {
  const { decrease = 0, iterations, precondition = (gradient) => gradient, tolerance = 1e-5 } = options
  let point = start
  let here: Evaluation = yield point
  let pairs: ReadonlyArray<Pair> = []
  const isFlat = () => Math.sqrt(dot(here.gradient, here.gradient)) < tolerance
  for (let iteration = 0; iteration < iterations; iteration++) {
    if (isFlat()) break
    const heading = direction(here.gradient, pairs, precondition)
    const slope = dot(heading, here.gradient)
    let length = 1
    let next = along(point, length, heading)
    let there: Evaluation = yield next
    for (let halving = 0; halving < HALVINGS && !(there.value <= here.value + SUFFICIENT * length * slope); halving++) {
      length /= 2
      next = along(point, length, heading)
      there = yield next
    }
    if (!(there.value < here.value)) return { point, hasConverged: true }
    const step = along(next, -1, point)
    const change = along(there.gradient, -1, here.gradient)
    const curvature = dot(step, change)
    if (curvature > 1e-12) pairs = [...pairs, { step, change, rho: 1 / curvature }].slice(-MEMORY)
    const gain = (here.value - there.value) / Math.max(Math.abs(here.value), Math.abs(there.value), 1)
    point = next
    here = there
    if (gain < decrease) return { point, hasConverged: true }
  }
  return { point, hasConverged: isFlat() }
}
