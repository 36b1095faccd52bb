import * as Schedule from "../../src/domain/method/Schedule.ts"
import * as Laws from "../../src/laws/index.ts"
import { refuses } from "./kit.ts"

const { cosine } = Schedule

const overshooting: typeof cosine = (of) => (step) => cosine(of)(step) * (step > 0 && step === of.warmup - 2 ? 2 : 1)

const returning: typeof cosine = (of) => (step) => cosine(of)(step > of.total ? 2 * of.total - step : step)

const relative: typeof cosine = (of) => (step) => {
  const { floor, peak } = of
  return floor + (peak - floor) * ((cosine(of)(step) - floor) / (peak - floor))
}

const counting: typeof cosine = (of) => {
  let asked = 0
  return (step) => cosine(of)(Math.max(step, asked++))
}

refuses("a schedule", Laws.schedule, cosine, {
  "warms up from 0 to the peak, and starts the next step at the peak": {
    mutant: (of) => cosine({ ...of, warmup: of.warmup + 1 }),
    said: /number 0 of the rate after warmup is \d\S* but must be about/
  },
  "rises during warmup and never afterwards": [
    {
      mutant: (of) => (step) => cosine(of)(step) + (step === of.total - 1 ? of.peak : 0),
      said: /it rises at step \d+: \d\S*, then/
    },
    { mutant: overshooting, said: /it does not rise at step \d+: \d\S*, then/ },
    { mutant: returning, said: /it rises at step \d+: \d\S*, then/ }
  ],
  "is between floor and peak after warmup": [
    { mutant: (of) => (step) => cosine(of)(step) - 1e-3, said: /the rate of step \d+ is -?\d\S*, not between \d/ },
    { mutant: relative, said: /the rate of step 0 is NaN, not between (\S+) and \1\n/ }
  ],
  "reaches the floor at the end of the run, and not before": [
    { mutant: (of) => (step) => cosine(of)(step + 1), said: /the rate of the last step, \d+, is that of the floor/ },
    { mutant: returning, said: /the rate after the last step, 2, is 0\.000002 but must be 0\.000001\n/ }
  ],
  "gives a step the same rate, independent of earlier calls": {
    mutant: counting,
    said: /the rate of step 0 is 0\.000001 but must be 0\.000002\n/
  }
})
