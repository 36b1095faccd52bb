/**
 * A network as a value: its model record, and its arrays under official names.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Result } from "effect"
 * import { Presets } from "patchword/domain"
 * import { Backbone, Network } from "patchword/pipelines"
 *
 * const backbone = { _tag: "Backbone", ...Backbone.untrained(Presets.tiny.pretrain, 256) } as const
 * assert.ok(Result.isSuccess(Network.check(backbone, backbone.tensors)))
 * ```
 */
import { Record, Result } from "effect"
import type * as Model from "../../domain/config/Model.ts"
import type * as Naming from "../../domain/weights/Naming.ts"
import * as Weights from "../../layers/weights/Weights.ts"
import * as Parameter from "../../nn/blocks/Parameter.ts"
import * as Vqkd from "../../nn/tokenizer/Vqkd.ts"
import * as Backbone from "./Backbone.ts"
import * as Classifier from "./Classifier.ts"
import * as Tokenizer from "./Tokenizer.ts"

/** A network with its weights. An `Artifact` is one. */
export type Network = Described & { readonly tensors: Weights.Tensors }

/** The model record of a network, and the quantizer of a tokenizer if it was given in code. */
export type Described = Model.Model & Pick<Tokenizer.Tokenizer, "quantizer">

const names: Readonly<Record<Model.Kind, Naming.Network>> = {
  Tokenizer: "tokenizer",
  Backbone: "pretrained",
  Classifier: "classifier"
}

/** Returns the network whose official names the arrays have. */
export const namesOf = (model: Model.Model): Naming.Network => names[model._tag]

/** Returns the arrays that a network has. */
const specOf = (model: Described): Result.Result<object, Tokenizer.OtherQuantizer> => {
  switch (model._tag) {
    case "Tokenizer":
      return Result.map(
        Tokenizer.quantizer(model),
        (quantizer) => Tokenizer.spec(Tokenizer.sizes(model.config, model.teacherWidth), quantizer)
      )
    case "Backbone":
      return Result.succeed(Backbone.spec(model.config, model.codes))
    case "Classifier":
      return Result.succeed(Classifier.spec(model.config, model.classes.length))
  }
}

/**
 * Returns a network with the random initial weights of its training, by the seed of its configuration: a baseline of
 * evaluations. A tokenizer then has no codebook, but its encoder has features.
 */
export const untrained = <N extends Network>(network: N): N => {
  const model: Network = network
  const spec = model._tag === "Tokenizer"
    ? Vqkd.spec(Tokenizer.sizes(model.config, model.teacherWidth))
    : model._tag === "Backbone"
    ? Backbone.spec(model.config, model.codes)
    : Classifier.spec(model.config, model.classes.length)
  return { ...network, tensors: Weights.flatten(Parameter.initialise(spec, model.config.seed)) }
}

/** Returns the number of blocks of a network under each prefix. */
const depthsOf = (model: Model.Model): Readonly<Record<string, number>> => {
  switch (model._tag) {
    case "Tokenizer":
      return { "encoder.blocks.": model.config.encoder.depth, "decoder.blocks.": model.config.decoderDepth }
    case "Backbone":
      return { "blocks.": model.config.vit.depth, "cls_pt_layers.": model.config.aggregation?.headDepth ?? 0 }
    case "Classifier":
      return { "blocks.": model.config.vit.depth }
  }
}

const unreadOf = (model: Described): ReadonlySet<string> =>
  model._tag === "Tokenizer"
    ? Result.match(Tokenizer.quantizer(model), { onFailure: () => new Set(), onSuccess: Tokenizer.statistics })
    : new Set()

/**
 * Checks that arrays are those of a network. Fails with every array that is missing, unexpected or of a wrong shape. The number
 * of blocks is compared first, so a damaged file cannot ask for millions of arrays.
 */
export const check = (
  model: Described,
  tensors: Weights.Tensors,
  source = "given"
): Result.Result<void, Weights.WeightsError | Tokenizer.OtherQuantizer> => {
  const names = Object.keys(tensors)
  const missing = Object.entries(depthsOf(model)).flatMap(([prefix, depth]) => {
    const there = new Set(
      names.filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length).split(".")[0])
    )
    return depth <= there.size ? [] : [{ name: `${prefix}*`, expected: `of ${depth} blocks, got ${there.size}` }]
  })
  if (missing.length > 0) {
    const reason = new Weights.Mismatch({ missing, unexpected: [], misshaped: [] })
    return Result.fail(new Weights.WeightsError({ source, reason }))
  }
  // A statistic of training, which no inference reads, may be there or not.
  const unread = unreadOf(model)
  const learned = Weights.make(Record.filter(tensors, (_, name) => !unread.has(name)))
  return Result.flatMap(
    specOf(model),
    (spec) => Result.map(Weights.conform(spec, learned, source), () => undefined)
  )
}
