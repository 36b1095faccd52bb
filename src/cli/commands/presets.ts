/** `patchword presets`: the configurations that there are, what they need, and what they reach. */
import { Console, Effect } from "effect"
import { Command } from "effect/cli"
import type { OptimizerConfig } from "../../domain/config/OptimizerConfig.ts"
import type { Preset } from "../../domain/config/Preset.ts"
import * as PresetNotes from "../../domain/config/presets/PresetNotes.ts"
import * as Presets from "../../domain/config/presets/Presets.ts"
import * as Backbone from "../../pipelines/trained/Backbone.ts"
import * as Memory from "../../pipelines/training/Memory.ts"
import * as Flags from "../flags/Flags.ts"
import * as Count from "../terminal/Count.ts"
import * as Duration from "../terminal/Duration.ts"
import * as Failure from "../terminal/Failure.ts"

/** Floating-point operations of a second, at which the times are told: those of a large GPU in training. */
const RATE = 1e14

/** A weight takes a multiplication and an addition for each token, three times in training: forward, and twice backward. */
const TRAINING = 6

/** Numbers that training keeps for each weight: itself, its gradient, two moments of AdamW. */
const KEPT = 4

const seen = (optimizer: OptimizerConfig, images: number): number =>
  optimizer.steps(optimizer.stepsPerEpoch(images)).total * optimizer.batchSize

/** Operations of pretraining, with the tokenizer's forward pass over the second view, but without attention's products. */
const operations = ({ pretrain, tokenizer }: Preset, parameters: number, images: number): number => {
  const { depth, hidden, tokens, width } = tokenizer.encoder
  const encoder = depth * width * (4 * width + 2 * hidden)
  return seen(pretrain.optimizer, images) * (TRAINING * parameters * pretrain.vit.tokens + 2 * encoder * tokens)
}

const rounded = (value: number): string => String(Number(value.toPrecision(2)))

/** A preset as a person compares it with others. */
const summary = (name: Presets.Name) => {
  const preset = Presets.all[name]
  const { images, ...notes } = PresetNotes.all[name]
  const { optimizer, vit } = preset.pretrain
  const parameters = Memory.elements(Backbone.spec(preset.pretrain, preset.tokenizer.codebook.size))
  const work = operations(preset, parameters, images)
  return {
    name,
    ...notes,
    images,
    imageSize: vit.imageSize,
    parameters,
    codes: preset.tokenizer.codebook.size,
    pretraining: `${optimizer.duration} ${optimizer.unit} of batch ${optimizer.batchSize}`,
    operations: work,
    secondsAt100Teraflops: work / RATE,
    trainingState: 4 * KEPT * parameters
  }
}

type Summary = ReturnType<typeof summary>

const told = (found: Summary): string => {
  const { codes, data, expected, imageSize, images, measured, name, network, parameters, pretraining, recipe } = found
  const time = measured ??
    `about ${
      Duration.show(found.secondsAt100Teraflops, rounded)
    } of pretraining at 100 Tflop/s, the speed of a large GPU`
  const reached = expected.map(({ method, source, top1 }) => `${method} ${top1} % (${source})`).join(", ")
  return [
    name,
    `  network  ${network}, ${Count.show(parameters)} parameters, ${imageSize} px, ${codes} codes`,
    `  data     ${data}, ${images} images`,
    `  recipe   ${recipe}; pretraining takes ${pretraining}`,
    `  time     ${time}`,
    `  memory   ${Memory.show(found.trainingState)} for weights, gradients and AdamW; activations come on top`,
    `  expected ${reached === "" ? "nothing published" : `top-1 ${reached}`}`
  ].join("\n")
}

/** The command. */
export const presets = Command.make("presets", { json: Flags.json }, ({ json }) =>
  Effect.gen(function*() {
    const found = Object.keys(Presets.all).filter(Presets.isName).map(summary)
    yield* Console.log(
      json
        ? JSON.stringify({ presets: found })
        : [...found.map(told), "patchword plan --preset NAME measures time and memory on this machine."].join("\n\n")
    )
  }).pipe(Failure.mapErrors)).pipe(
    Command.withDescription("list the presets: sizes, data, time, memory, expected accuracy"),
    Command.withExamples([{ command: "patchword presets" }])
  )
