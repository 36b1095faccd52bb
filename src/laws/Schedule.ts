/** Laws of learning rate schedules. */
import fc from "fast-check"
import type * as Domain from "../domain/method/Schedule.ts"
import * as Claim from "./Claim.ts"
import { type Law, make } from "./Law.ts"

const asked: fc.Arbitrary<Domain.Cosine> = fc.record({
  floor: fc.oneof(fc.constant(0), fc.double({ min: 1e-6, max: 1, noNaN: true })),
  above: fc.oneof({ weight: 9, arbitrary: fc.double({ min: 1e-6, max: 10, noNaN: true }) }, fc.constant(0)),
  warmup: fc.nat(40),
  after: fc.integer({ min: 1, max: 200 })
}).map(({ above, after, floor, warmup }) => ({ peak: floor + above, floor, warmup, total: warmup + after })).filter((
  { peak }
) => peak > 0)

/**
 * Returns the laws of a schedule with a warmup. The schedule may have any form. It is a function of the step, counted from 0.
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
    law("warms up from 0 to the peak, and starts the next step at the peak", ({ peak, warmup }, rates, slack) => {
      if (warmup > 0) Claim.close([rates[0]!], [0], 0, "the first rate")
      if (warmup > 1) Claim.close([rates[warmup - 1]!], [peak], slack, "the last rate of warmup")
      Claim.close([rates[warmup]!], [peak], slack, "the rate after warmup")
    }),

    law("rises during warmup and never afterwards", ({ warmup }, rates, slack) => {
      for (let at = 1; at < rates.length; at++) {
        if (at < warmup) Claim.holds(rates[at]! > rates[at - 1]!, said("it does not rise", rates, at))
        else if (at > warmup) Claim.holds(rates[at]! <= rates[at - 1]! + slack, said("it rises", rates, at))
      }
    }),

    law("is between floor and peak after warmup", ({ floor, peak, warmup }, rates, slack) => {
      rates.slice(warmup).forEach((rate, at) =>
        Claim.holds(
          rate >= floor && rate <= peak + slack,
          () => `the rate of step ${warmup + at} is ${rate}, not between ${floor} and ${peak}`
        )
      )
    }),

    law("reaches the floor at the end of the run, and not before", ({ floor, peak, total }, rates) => {
      rates.slice(total).forEach((rate, at) => Claim.same(rate, floor, `the rate after the last step, ${total + at},`))
      Claim.holds(
        rates[total - 1]! > floor || peak === floor,
        () => `the rate of the last step, ${total - 1}, is that of the floor`
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
