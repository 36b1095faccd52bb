/** Laws of learning rate schedules. */
import type { Arbitrary } from "fast-check"
import type * as Domain from "../domain/method/Schedule.ts"
import * as Claim from "./Claim.ts"
import { fc } from "./FastCheck.ts"
import { type Law, make } from "./Law.ts"

const asked: Arbitrary<Domain.Cosine> = fc.record({
  floor: fc.oneof(fc.constant(0), fc.double({ min: 1e-6, max: 1, noNaN: true })),
  above: fc.oneof({ weight: 9, arbitrary: fc.double({ min: 1e-6, max: 10, noNaN: true }) }, fc.constant(0)),
  warmup: fc.nat(40),
  after: fc.integer({ min: 1, max: 200 })
}).map(({ above, after, floor, warmup }) => ({ peak: floor + above, floor, warmup, total: warmup + after })).filter((
  { peak }
) => peak > 0)

/**
 * Returns the laws of a schedule with a warmup. The schedule may have any form: it may fall at once, later or never. It is a
 * function of the step, counted from 0. The warmup may start at any rate, and reach the peak at its last step or one step later.
 */
export const schedule = (of: (options: Domain.Cosine) => (step: number) => number): ReadonlyArray<Law> => {
  const law = (name: string, body: (options: Domain.Cosine, rates: ReadonlyArray<number>, slack: number) => void) =>
    make(name, asked, (options) => {
      const rate = of(options)
      // Twice the steps of the run: a periodic schedule has returned by then.
      body(options, Array.from({ length: 2 * options.total + 1 }, (_, step) => rate(step)), 1e-12 * options.peak)
    })
  const said = (what: string, rates: ReadonlyArray<number>, at: number) => () =>
    `${what} at step ${at}: ${rates[at - 1]}, then ${rates[at]}`

  return [
    law("reaches the peak at the end of warmup", ({ peak, warmup }, rates, slack) => {
      const reached = Math.max(...rates.slice(Math.max(0, warmup - 1), warmup + 1))
      Claim.holds(
        Math.abs(reached - peak) <= slack,
        () => `the rate is ${reached} at the end of ${warmup} steps of warmup, not ${peak}`
      )
    }),

    law("rises during warmup and never afterwards", ({ warmup }, rates, slack) => {
      for (let at = 1; at < rates.length; at++) {
        if (at < warmup) Claim.holds(rates[at]! > rates[at - 1]!, said("it does not rise", rates, at))
        else if (at > warmup) Claim.holds(rates[at]! <= rates[at - 1]! + slack, said("it rises", rates, at))
      }
    }),

    law("is between 0 and the peak, and not below the floor after warmup", ({ floor, peak, warmup }, rates, slack) => {
      rates.forEach((rate, step) => {
        const least = step < warmup ? 0 : floor
        Claim.holds(
          rate >= least - slack && rate <= peak + slack,
          () => `the rate of step ${step} is ${rate}, not between ${least} and ${peak}`
        )
      })
    }),

    law("stays at the floor after the end, if it ever falls", ({ floor, peak, total, warmup }, rates, slack) => {
      if (rates.slice(warmup).every((rate) => Math.abs(rate - peak) <= slack)) return
      rates.slice(total).forEach((rate, at) =>
        Claim.holds(
          Math.abs(rate - floor) <= slack,
          () => `the rate of step ${total + at}, after ${total} steps, is ${rate}, not the floor ${floor}`
        )
      )
    }),

    make("gives a step the same rate, independent of earlier calls", asked, (options) => {
      const rate = of(options)
      const steps = Array.from({ length: options.total + 1 }, (_, step) => step)
      const forwards = steps.map(rate)
      of({ ...options, peak: 2 * options.peak })(0)
      steps.toReversed().forEach((step) => Claim.same(rate(step), forwards[step], `the rate of step ${step}`))
    })
  ]
}
