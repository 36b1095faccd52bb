import * as Schedule from "../../src/domain/method/Schedule.ts"
import * as Laws from "../../src/laws/index.ts"
import { refuses } from "./kit.ts"

const { cosine } = Schedule

refuses("a schedule", Laws.schedule, cosine, {
  "warms up from 0 to the peak, which the next step has too": {
    mutant: (of) => cosine({ ...of, warmup: of.warmup + 1 }),
    said: /number 0 of the rate after the warm-up is \d\S* but must be about/
  },
  "rises in the warm-up, and never again": {
    mutant: (of) => (step) => cosine(of)(step) + (step === of.total - 1 ? of.peak : 0),
    said: /it rises at step \d+: \d\S*, then/
  },
  "is between floor and peak after the warm-up": {
    mutant: (of) => (step) => cosine(of)(step) - 1e-3,
    said: /the rate of step \d+ is -?\d\S*, not between \d/
  },
  "is at the floor when the run is over, and not before": {
    mutant: (of) => (step) => cosine(of)(step + 1),
    said: /the rate of the last step, \d+, is that of the floor/
  }
})
