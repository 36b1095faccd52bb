/**
 * What models are and what they ask for: `npm run bench -- models [preset ...]`.
 *
 * Prints for each preset the parameters and the multiply-adds of its classifier (which papers call its FLOPs), and for its
 * pretraining step the multiply-adds per image, seconds to trace and to compile, and by how much the resident set grew:
 * weights are given to a program when it runs, so this is beyond them.
 */
import { Effect } from "effect"
import * as Graph from "../src/compiler/graph/Graph.ts"
import * as OnnxProgram from "../src/compiler/programs/OnnxProgram.ts"
import * as Trace from "../src/compiler/trace/Trace.ts"
import * as Presets from "../src/domain/config/presets/Presets.ts"
import * as Engine from "../src/layers/engine/Engine.ts"
import * as FinetuneStep from "../src/nn/finetune/FinetuneStep.ts"
import * as Classifier from "../src/pipelines/trained/Classifier.ts"
import * as HostTensor from "../src/shapes/HostTensor.ts"
import * as Tree from "../src/shapes/Tree.ts"
import { pretraining } from "./steps.ts"

const CLASSES = 1000
const BATCH = 8

const given = process.argv.slice(2)
const names = given.length > 0 ? given : ["tiny", "base", "large"]

const millions = (record: object) =>
  Tree.leaves(record).reduce((sum, [, { shape }]) => sum + HostTensor.size(shape), 0) / 1e6
const giga = (flops: number) => flops / 2 / 1e9
const digits = (value: number) => Number(value.toPrecision(4))

const timed = Effect.fnUntraced(function*<A, E, R>(effect: Effect.Effect<A, E, R>) {
  const start = performance.now()
  const value = yield* effect
  return [(performance.now() - start) / 1000, value] as const
})

const measured = Effect.fnUntraced(function*(name: string) {
  const preset = yield* Presets.preset(name)
  const classifier = FinetuneStep.logits(Classifier.sizes(preset.finetune, CLASSES), 1)
  const { step } = pretraining(preset, BATCH)
  const before = process.memoryUsage.rss()
  const [trace, program] = yield* timed(Effect.sync(() => OnnxProgram.of(Trace.trainStep(step))))
  const [compile] = yield* timed((yield* Engine.Engine).load(name, program.bytes))
  const grown = process.memoryUsage.rss() - before
  return {
    model: name,
    classifier: {
      millions: digits(millions(classifier.weights.parameters)),
      gigaMultiplyAdds: digits(giga(Graph.flops(Trace.inference(classifier).graph)))
    },
    pretraining: {
      millions: digits(millions(step.state.parameters)),
      gigaMultiplyAddsPerImage: digits(giga(Graph.flops(Trace.trainStep(step).graph)) / BATCH),
      traceSeconds: digits(trace),
      compileSeconds: digits(compile),
      megabytesGrown: Math.round(grown / 2 ** 20)
    }
  }
}, Effect.scoped)

for (const name of names) {
  console.log(JSON.stringify(await Effect.runPromise(Effect.provide(measured(name), Engine.layerOnnx()))))
}
