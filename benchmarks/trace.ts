/**
 * What it costs to compile a pretraining step: `node benchmarks/trace.ts [preset] [batch size]`.
 *
 * Prints milliseconds of the first and of the best later compilation, those of the processor in the first one and in its longest part,
 * bytes and operators of the program, how many states cannot be updated in place, and by how much the resident set has grown.
 */
import { Effect } from "effect"
import * as OnnxProgram from "../src/compiler/programs/OnnxProgram.ts"
import * as Presets from "../src/domain/config/presets/Presets.ts"
import { pretraining } from "./steps.ts"

const REPEATS = 5

const [name = "base", size = "8"] = process.argv.slice(2)
const { step } = pretraining(await Effect.runPromise(Presets.preset(name)), Number(size))

const processor = () => {
  const { system, user } = process.threadCpuUsage()
  return (system + user) / 1000
}

const timed = () => {
  const start = performance.now()
  const parts = OnnxProgram.compiling(step, { external: true })
  const taken: Array<number> = []
  for (;;) {
    const before = processor()
    const { done, value } = parts.next()
    taken.push(processor() - before)
    if (done === true) return [performance.now() - start, value, taken] as const
  }
}

const before = process.memoryUsage.rss()
const [milliseconds, program, parts] = timed()
const grown = process.memoryUsage.rss() - before
const best = Math.min(...Array.from({ length: REPEATS }, () => timed()[0]))

console.log(JSON.stringify({
  preset: name,
  batch: Number(size),
  firstMs: Math.round(milliseconds),
  bestMs: Math.round(best),
  processorMs: Math.round(parts.reduce((sum, part) => sum + part, 0)),
  longestPartMs: Math.round(Math.max(...parts)),
  bytes: program.bytes.length,
  operators: program.graph.nodes.length,
  updatedApart: program.adamw.length,
  otherStates: program.updates.length,
  notInPlace: program.updates.filter((update) => !update.inPlace).length,
  megabytesGrown: Math.round(grown / 2 ** 20)
}))
