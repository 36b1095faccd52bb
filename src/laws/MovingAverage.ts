/** Laws of a codebook that follows its vectors by a moving average. */
import type { Arbitrary } from "fast-check"
import * as HostTensor from "../shapes/HostTensor.ts"
import type { HostOf } from "../shapes/Step.ts"
import type { Tensor } from "../shapes/Tensor.ts"
import * as Arbitraries from "./Arbitraries.ts"
import * as Claim from "./Claim.ts"
import * as Eager from "./Eager.ts"
import { fc } from "./FastCheck.ts"
import { type Law, make } from "./Law.ts"
import * as Rows from "./Rows.ts"

/** A codebook `[K, E]` of unit vectors, and the moving average of each code's usage, `[K]`. */
export interface Followed {
  readonly codebook: Tensor<[number, number]>
  readonly uses: Tensor<[number]>
}

/** Unit vectors `[M, E]` and their codes. */
export interface Batch {
  readonly z: Tensor<[number, number]>
  readonly codes: Tensor<[number], "int32">
}

/** Updates a codebook with a batch. `decay` is the share of a code that stays. */
export type Follow = (state: Followed, batch: Batch, decay: number) => Followed

const decays = fc.double({ min: 0.5, max: 0.995, noNaN: true })

const given = (decay: Arbitrary<number>) =>
  fc.record({
    batch: Arbitraries.assigned,
    decay,
    uses: fc.double({ min: 0, max: 4, noNaN: true })
  })

/** Returns the laws of a moving average of directions. */
export const movingAverage = (follow: Follow): ReadonlyArray<Law> => {
  const after = ({ assigned, codes, vectors }: Arbitraries.Assigned, decay: number, uses: number, times = 1) => {
    const width = codes[0]!.length
    const units = vectors.map(Rows.unit)
    const before = codes.map(Rows.unit)
    const usesOf = (at: number) => uses * (1 + at % 3)
    let state: HostOf<Followed> = {
      codebook: Rows.toHost(before, width),
      uses: HostTensor.make([codes.length], "float32", Float32Array.from(codes, (_, at) => usesOf(at)))
    }
    const batch = {
      z: Rows.toHost(units, width),
      codes: HostTensor.make([vectors.length], "int32", Int32Array.from(assigned))
    }
    for (let time = 0; time < times; time++) {
      state = Eager.run(
        { state, batch },
        (given: { readonly state: Followed; readonly batch: Batch }) => follow(given.state, given.batch, decay)
      )
    }
    const found = Rows.fromHost(state.codebook)
    return before.map((code, at) => {
      const own = units.filter((_, row) => assigned[row] === at)
      return {
        at,
        code,
        own,
        sum: Rows.sum(own, width),
        found: found[at]!,
        used: usesOf(at),
        uses: state.uses.data[at]!
      }
    })
  }

  const moved = (code: ReadonlyArray<number>, sum: ReadonlyArray<number>, decay: number) => {
    const target = Rows.unit(sum)
    return code.map((x, channel) => decay * x + (1 - decay) * target[channel]!)
  }

  // A mean of vectors that cancel each other has no direction, nor has a code that turns to its opposite.
  const isClear = (vector: ReadonlyArray<number>) => Math.hypot(...vector) > 1e-2

  return [
    make("keeps every code on the unit sphere", given(decays), ({ batch, decay, uses }) => {
      for (const { at, code, found, own, sum } of after(batch, decay, uses)) {
        if (own.length > 0 && !(isClear(sum) && isClear(moved(code, sum, decay)))) continue
        Claim.close([Math.hypot(...found)], [1], 1e-6, `the length of code ${at}`)
      }
    }),

    make(
      "does not move unused codes, for any decay",
      given(fc.oneof(fc.constant(0), fc.double({ min: 0, max: 0.995, noNaN: true }))),
      ({ batch, decay, uses }) => {
        for (const { at, code, found, own } of after(batch, decay, uses)) {
          if (own.length === 0) Claim.close(found, code, 1e-6, `code ${at}, which no vector has,`)
        }
      }
    ),

    make(
      "turns a used code towards the mean of its vectors by the same share for any number of vectors",
      given(decays),
      ({ batch, decay, uses }) => {
        for (const { at, code, found, own, sum } of after(batch, decay, uses)) {
          if (own.length === 0 || !isClear(sum) || !isClear(moved(code, sum, decay))) continue
          Claim.close(found, Rows.unit(moved(code, sum, decay)), 1e-4, `code ${at} with ${own.length} vectors`)
        }
      }
    ),

    make("averages the usage of each code with the same decay", given(decays), ({ batch, decay, uses }) => {
      for (const { at, own, used, uses: found } of after(batch, decay, uses)) {
        Claim.close([found], [decay * used + (1 - decay) * own.length], 1e-5, `the uses of code ${at}`)
      }
    }),

    make(
      "approaches the mean of repeated vectors at the rate of the decay",
      fc.record({ batch: Arbitraries.assigned, decay: decays, times: fc.integer({ min: 1, max: 12 }) }),
      ({ batch, decay, times }) => {
        for (const { at, code, found, sum } of after(batch, decay, 0, times)) {
          if (Math.hypot(...sum) < 0.1) continue
          const target = Rows.unit(sum)
          const [start, end] = [code, found].map((row) => Math.acos(Math.min(Rows.dot(row, target), 1)))
          if (Math.cos(start!) < 0.1) continue
          const said = (what: string) => () =>
            `after ${times} times code ${at} is ${end!.toFixed(4)} from its target, ${what}; it began ${
              start!.toFixed(4)
            } from it`
          Claim.holds(Math.tan(end!) <= decay ** times * Math.tan(start!) + 2e-3, said("too far"))
          Claim.holds(Math.sin(end!) >= decay ** times * Math.sin(start!) - 2e-3, said("too near"))
        }
      }
    )
  ]
}
