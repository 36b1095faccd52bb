import { Effect, Layer } from "effect"
import * as Signals from "../../src/cli/terminal/Signals.ts"
import * as Runs from "../../src/layers/run/Runs.ts"
import { classify } from "../../src/pipelines/evaluate/Classify.ts"
import { finetune } from "../../src/pipelines/Finetune.ts"
import { pretrain } from "../../src/pipelines/Pretrain.ts"
import { trainTokenizer } from "../../src/pipelines/TrainTokenizer.ts"
import { machine, micro, set } from "../pipelines/kit.ts"

const preset = micro({ duration: 30 })
const options = { checkpointEvery: 8 }

Effect.gen(function*() {
  const tokenizer = yield* trainTokenizer(preset.tokenizer, options)
  const backbone = yield* pretrain(preset.pretrain, tokenizer, options)
  const classifier = yield* finetune(preset.finetune, backbone, options)
  yield* classify(classifier, [set("val", 6)])
}).pipe(
  Effect.provide(Layer.merge(machine, Runs.layer(process.argv[2]!, { config: { test: "resume" } }))),
  Signals.runMain("pretrain")
)
