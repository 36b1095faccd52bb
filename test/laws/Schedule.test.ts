import * as Schedule from "../../src/domain/method/Schedule.ts"
import * as Laws from "../../src/laws/index.ts"
import { holds, refuses } from "./kit.ts"

const { cosine } = Schedule

const falling = ({ floor, peak, total, warmup }: Schedule.Cosine, step: number) =>
  step >= total ? floor : peak + ((floor - peak) * (step - warmup)) / (total - warmup)

const warmed = (rise: (step: number, warmup: number) => number, fall = falling): typeof cosine => (of) => (step) =>
  step < of.warmup ? of.peak * rise(step, of.warmup) : fall(of, step)

holds("a warmup from 0", Laws.schedule(warmed((step, warmup) => step / warmup)))

holds("a warmup to the peak at its last step", Laws.schedule(warmed((step, warmup) => (step + 1) / warmup)))

holds("a warmup between 0 and the peak", Laws.schedule(warmed((step, warmup) => (step + 1) / (warmup + 1))))

holds("a constant rate after warmup", Laws.schedule(warmed((step, warmup) => step / warmup, ({ peak }) => peak)))

holds(
  "a trapezoid",
  Laws.schedule(
    warmed((step, warmup) => step / warmup, (of, step) => {
      const stable = Math.floor((of.warmup + of.total) / 2)
      return step < stable ? of.peak : falling({ ...of, warmup: stable }, step)
    })
  )
)

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
  "reaches the peak at the end of warmup": {
    mutant: (of) => cosine({ ...of, warmup: of.warmup + 2 }),
    said: /the rate is \d\S* at the end of \d+ steps of warmup, not \d/
  },
  "rises during warmup and never afterwards": [
    {
      mutant: (of) => (step) => cosine(of)(step) + (step === of.total - 1 ? of.peak : 0),
      said: /it rises at step \d+: \d\S*, then/
    },
    { mutant: overshooting, said: /it does not rise at step \d+: \d\S*, then/ },
    { mutant: returning, said: /it rises at step \d+: \d\S*, then/ }
  ],
  "is between 0 and the peak, and not below the floor after warmup": [
    { mutant: (of) => (step) => cosine(of)(step) - 1e-3, said: /the rate of step \d+ is -?\d\S*, not between \d/ },
    { mutant: relative, said: /the rate of step 0 is NaN, not between (\S+) and \1\n/ }
  ],
  "stays at the floor after the end, if it ever falls": [
    {
      mutant: (of) => (step) => cosine(of)(Math.min(step, of.total - 1) * 0.9),
      said: /the rate of step \d+, after \d+ steps, is \d\S*, not the floor \d/
    },
    { mutant: returning, said: /the rate of step 2, after 1 steps, is 0\.000002, not the floor 0\.000001\n/ }
  ],
  "gives a step the same rate, independent of earlier calls": {
    mutant: counting,
    said: /the rate of step 0 is 0\.000001 but must be 0\.000002\n/
  }
})
