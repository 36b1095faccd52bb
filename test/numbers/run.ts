/**
 * Trains every stage at extreme configurations: `npm run extremes -- --count 200`. Each ends with finite weights, with a typed refusal, or
 * with `NonFinite` and a batch from which the same step fails again. `--seed` draws others, `--stage` selects one stage.
 */
import { Effect, Exit, ManagedRuntime } from "effect"
import fc from "fast-check"
import { parseArgs } from "node:util"
import { configurations, machine, outcomeOf, stages } from "./extremes.ts"

const { values } = parseArgs({
  options: {
    count: { type: "string", default: "20" },
    seed: { type: "string", default: "0" },
    stage: { type: "string" }
  }
})
const runtime = ManagedRuntime.make(machine)
const drawn = fc.sample(configurations, { seed: Number(values.seed), numRuns: Number(values.count) })
const counts: Record<string, Record<string, number>> = {}
let faults = 0
for (const given of drawn) {
  for (const stage of stages.filter((one) => values.stage === undefined || values.stage === one)) {
    const exit = await runtime.runPromise(Effect.exit(outcomeOf(stage, given)))
    const { kind, said } = Exit.isSuccess(exit) ? exit.value : { kind: "other", said: String(exit) }
    const own = counts[stage] ??= {}
    own[kind] = (own[kind] ?? 0) + 1
    if (kind === "refused") process.stdout.write(`${stage}: ${said.slice(0, 160)}\n`)
    if (kind !== "other") continue
    faults++
    process.stdout.write(`FAULT ${stage} ${JSON.stringify(given)}: ${said}\n`)
  }
}
process.stdout.write(`${JSON.stringify(counts)}\n`)
await runtime.dispose()
process.exitCode = faults === 0 ? 0 : 1
