/**
 * How long the first values of a network take to draw: `npm run bench -- initial [preset ...] [--rounds 3]`.
 *
 * Draws all parameters of a preset's pretraining, in one thread and in several, and a part of the same values one at a time, as streams
 * of single numbers give them. Prints medians in seconds of the clock and of the processor, the ratio for one value of the first and the
 * last, and by how much the resident set grew beyond the arrays in one thread.
 */
import { Effect } from "effect"
import { parseArgs } from "node:util"
import type { Preset } from "../src/domain/config/Preset.ts"
import * as Presets from "../src/domain/config/presets/Presets.ts"
import * as KeyedRandom from "../src/domain/values/KeyedRandom.ts"
import * as InitialValues from "../src/layers/weights/InitialValues.ts"
import * as Parameter from "../src/nn/blocks/Parameter.ts"
import * as Backbone from "../src/pipelines/trained/Backbone.ts"
import * as HostTensor from "../src/shapes/HostTensor.ts"
import type { Shape } from "../src/shapes/Shape.ts"
import * as Tree from "../src/shapes/Tree.ts"

const { positionals, values } = parseArgs({
  options: { rounds: { type: "string", default: "3" } },
  allowPositionals: true
})
const names = positionals.length > 0 ? positionals : ["base", "large"]

/** Largest number of values of each parameter that are drawn one at a time. */
const PART = 100_000

const oneByOne = (spec: object): number => {
  let drawn = 0
  for (const [path, { init, shape }] of Tree.leaves<Parameter.Parameter<Shape>>(spec)) {
    if (init._tag === "Constant") continue
    const part = new Float32Array(Math.min(HostTensor.size(shape), PART))
    const { normal, uniform } = KeyedRandom.generator({ seed: 0, purpose: `init/${path}`, epoch: 0, index: 0 })
    for (let i = 0; i < part.length;) {
      const value = init._tag === "Uniform" ? (2 * uniform() - 1) * init.bound : normal() * init.deviation
      if (init._tag === "Uniform" || Math.abs(value) <= init.cut) part[i++] = value
    }
    drawn += part.length
  }
  return drawn
}

const timed = async (work: () => unknown) => {
  const [began, cpu] = [performance.now(), process.cpuUsage()]
  await work()
  const { system, user } = process.cpuUsage(cpu)
  return { seconds: (performance.now() - began) / 1e3, processor: (system + user) / 1e6 }
}

const median = (numbers: ReadonlyArray<number>) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)]!
const digits = (value: number) => Number(value.toPrecision(3))

const measured = async (name: string, { pretrain, tokenizer }: Preset) => {
  const spec = Backbone.spec(pretrain, tokenizer.codebook.size)
  const leaves = Tree.leaves<Parameter.Parameter<Shape>>(spec)
  const count = (of: typeof leaves) => of.reduce((sum, [, { shape }]) => sum + HostTensor.size(shape), 0)
  const random = count(leaves.filter(([, { init }]) => init._tag !== "Constant"))
  const rounds = []
  for (let round = 0; round < Number(values.rounds); round++) {
    const resident = process.memoryUsage.rss()
    const all = await timed(() => Parameter.initialise(spec, 0))
    const grown = process.memoryUsage.rss() - resident
    const threads = await timed(() => Effect.runPromise(InitialValues.draw(spec, 0)))
    let drawn = 0
    const part = await timed(() => (drawn = oneByOne(spec)))
    rounds.push({ all, grown, threads, single: part.processor / drawn })
  }
  return {
    name,
    millions: digits(count(leaves) / 1e6),
    seconds: digits(median(rounds.map(({ all }) => all.seconds))),
    processorSeconds: digits(median(rounds.map(({ all }) => all.processor))),
    threadsSeconds: digits(median(rounds.map(({ threads }) => threads.seconds))),
    threadsProcessorSeconds: digits(median(rounds.map(({ threads }) => threads.processor))),
    oneByOneProcessorSeconds: digits(median(rounds.map(({ single }) => single)) * random),
    ratio: digits(median(rounds.map(({ all, single }) => single * random / all.processor))),
    megabytesBeyondArrays: digits((rounds[0]!.grown - 4 * count(leaves)) / 1e6)
  }
}

for (const name of names) {
  console.log(JSON.stringify(await measured(name, await Effect.runPromise(Presets.preset(name)))))
}
