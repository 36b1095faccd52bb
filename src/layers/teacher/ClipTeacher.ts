/** Image towers of CLIP as teachers. */
import { Effect } from "effect"
import * as Clip from "../../nn/teachers/Clip.ts"
import * as Dim from "../../shapes/Dim.ts"
import type * as Weights from "../weights/Weights.ts"
import * as NetworkTeacher from "./NetworkTeacher.ts"
import * as Published from "./PublishedNetwork.ts"
import type { NetworkOptions, Origin } from "./PublishedNetwork.ts"

/** Options of a CLIP teacher. */
export interface ClipOptions extends NetworkOptions {
  /**
   * Activation function of the MLPs. Default: the one in a configuration next to the file (of transformers, timm or
   * OpenCLIP), else `quick_gelu`, as in OpenAI's models. The assumption is logged, unless the file is OpenAI's own.
   */
  readonly activation?: Clip.Mlp
}

/** Greatest width at which all published towers of CLIP have heads of 64 channels. Wider ones can have 80, 88 or 104. */
const WIDEST = 1024

// Names of tensors that only OpenAI's own files have.
const OPENAI = ["input_resolution", "context_length", "vocab_size"]

const network = Effect.fnUntraced(function*(weights: Weights.Weights, origin: Origin, options: ClipOptions) {
  const told = yield* Published.activationOf(origin, "quick_gelu", "gelu")
  if (
    options.activation === undefined && told === undefined &&
    !OPENAI.every((name) => Object.hasOwn(origin.tensors, name))
  ) {
    yield* Effect.logWarning(
      "teacher clip: neither the weights nor a configuration next to them name the activation function. " +
        "quick_gelu is assumed, as in OpenAI's models. Most of OpenCLIP's use gelu: set it by activation (--teacher-activation)"
    )
  }
  const activation = yield* Published.chosen<Clip.Mlp>(origin, "activation", options.activation, told, "quick_gelu")
  const { channels, epsilon, unusual } = yield* Published.norms(origin, options, Clip)
  const positions = "visual.positional_embedding"
  const blocks = "visual.transformer.resblocks."
  const depth = Published.depthOf(weights, blocks)
  const found = yield* Published.axesOf(weights, origin, Clip.spec({ ...Published.HOLLOW, depth }), {
    width: ["visual.class_embedding", 0, 1],
    patch: ["visual.conv1.weight", 2, 4],
    tokens: [positions, 0, 2],
    out: ["visual.proj", 1, 2],
    hidden: [`${blocks}0.mlp.c_fc.weight`, 0, 2]
  })
  const sizes = {
    ...(yield* Published.sizesOf(origin, options, positions, found, WIDEST)),
    activation,
    epsilon,
    out: Dim.named("out", found.out),
    depth
  }
  const { digest, parameters } = yield* Published.fitted(
    Clip.spec(sizes),
    weights,
    origin,
    sizes.heads,
    ...Published.unlike(activation, "quick_gelu"),
    ...unusual
  )
  const made: NetworkTeacher.Network = {
    patch: found.patch,
    width: found.out,
    channels,
    digest,
    open: (batch) =>
      NetworkTeacher.open(Clip.features(sizes, Published.named(batch)), parameters, ({ target }) => target.data)
  }
  return made
})

/** Makes a teacher from weights, from a file of weights, or from a folder with such a file. */
export const make = (given: Weights.Weights | string, options: ClipOptions) =>
  Published.make("clip", given, (weights, origin) => network(weights, origin, options))
