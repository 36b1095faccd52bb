/**
 * What it costs to compile a training step: `node benchmarks/trace.ts [preset] [batch size]`.
 *
 * The step is that of pretraining. Prints a line of JSON: milliseconds of the first and of the best later trace, bytes and
 * operators of the program, states that cannot be updated in place, and growth of the resident set.
 */
import { Effect } from "effect"
import * as Trace from "../src/compiler/Trace.ts"
import * as Presets from "../src/domain/Presets.ts"
import * as PretrainStep from "../src/nn/PretrainStep.ts"
import * as Sizes from "../src/pipelines/Sizes.ts"
import * as Dim from "../src/shapes/Dim.ts"

const REPEATS = 5
const CODES = 8192

const [name = "base", size = "8"] = process.argv.slice(2)
const { pretrain } = await Effect.runPromise(Presets.preset(name))
const patches = pretrain.vit.grid.height * pretrain.vit.grid.width
const step = PretrainStep.step(
  Sizes.backbone(pretrain, CODES),
  {
    size: Dim.named("batch", Number(size)),
    masked: Dim.named("masked", Math.floor(Number(size) * patches * 0.4)),
    dropPath: true
  },
  { betas: [0.9, 0.98], weightDecay: 0.05, clipNorm: 3, decays: (_, rank) => rank > 1 }
)

const timed = () => {
  const start = performance.now()
  const program = Trace.trainStep(step)
  return [performance.now() - start, program] as const
}

const before = process.memoryUsage.rss()
const [milliseconds, program] = timed()
const grown = process.memoryUsage.rss() - before
const best = Math.min(...Array.from({ length: REPEATS }, () => timed()[0]))

process.stdout.write(`${
  JSON.stringify({
    preset: name,
    batch: Number(size),
    firstMilliseconds: Math.round(milliseconds),
    bestMilliseconds: Math.round(best),
    bytes: program.bytes.length,
    operators: program.nodes,
    states: program.updates.length,
    notInPlace: program.updates.filter((update) => !update.inPlace).map((update) => update.output),
    megabytesGrown: Math.round(grown / 2 ** 20)
  })
}\n`)
