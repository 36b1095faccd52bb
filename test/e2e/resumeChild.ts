import { Effect, Layer } from "effect"
import * as Signals from "../../src/cli/terminal/Signals.ts"
import * as Engine from "../../src/layers/engine/Engine.ts"
import * as Runs from "../../src/layers/run/Runs.ts"
import { classify } from "../../src/pipelines/evaluate/Classify.ts"
import { finetune } from "../../src/pipelines/Finetune.ts"
import { pretrain } from "../../src/pipelines/Pretrain.ts"
import { trainTokenizer } from "../../src/pipelines/TrainTokenizer.ts"
import { engine, machineOf, micro, set } from "../pipelines/kit.ts"

const [folder, name, stages, steps] = process.argv.slice(2)
const duration = Number(steps)
const machine = machineOf(name === "tensorflow" ? Engine.layerTensorFlow() : engine)
const preset = micro({ duration })
const options = { checkpointEvery: Math.ceil(duration / 4) }

Effect.gen(function*() {
  const tokenizer = yield* trainTokenizer(preset.tokenizer, options)
  const backbone = yield* pretrain(preset.pretrain, tokenizer, options)
  if (stages === "2") return
  const classifier = yield* finetune(preset.finetune, backbone, options)
  yield* classify(classifier, [set("val", 6)])
}).pipe(
  Effect.provide(Layer.merge(machine, Runs.layer(folder!, { config: { test: "resume" } }))),
  Signals.runMain(["pretrain"])
)
