/** Vision transformers of DINO and DINOv2 as teachers. */
import { Effect } from "effect"
import * as Dino from "../../nn/teachers/Dino.ts"
import * as Weights from "../weights/Weights.ts"
import * as NetworkTeacher from "./NetworkTeacher.ts"
import * as Published from "./PublishedNetwork.ts"
import type { NetworkOptions, Origin } from "./PublishedNetwork.ts"

/**
 * Adapts timm's weights of DINO with registers. timm names the registers differently, and adds the position of the class
 * token to the class token itself.
 */
const withRegisters = (given: Weights.Weights): Weights.Weights => {
  const { tensors } = given
  const table = tensors["pos_embed"]
  if (!Object.hasOwn(tensors, "reg_token") || table?.shape.length !== 3) return given
  const [one = 0, tokens = 0, width = 0] = table.shape
  const data = new Float32Array(table.data.length + width)
  data.set(table.data, width)
  const weights = Weights.make({ ...tensors, pos_embed: { dtype: "float32", shape: [one, tokens + 1, width], data } })
  return Weights.rename(weights, (name) => name === "reg_token" ? "register_tokens" : name)
}

/** Reads the sizes and the parameters of a network. */
export const described = Effect.fnUntraced(function*(given: Weights.Weights, origin: Origin, options: NetworkOptions) {
  yield* Published.activationOf(origin, "gelu")
  const { channels, epsilon, unusual } = yield* Published.norms(origin, options, Dino)
  const weights = withRegisters(given)
  const own = {
    depth: Published.depthOf(weights, "blocks."),
    layerScale: Object.keys(weights.tensors).some((name) => /^blocks\.\d+\.ls[12]\.gamma$/.test(name)),
    registers: weights.tensors["register_tokens"]?.shape[1] ?? 0
  }
  const found = yield* Published.axesOf(weights, origin, Dino.spec({ ...Published.HOLLOW, ...own }), {
    width: ["cls_token", 2, 3],
    patch: ["patch_embed.proj.weight", 2, 4],
    tokens: ["pos_embed", 1, 3],
    hidden: ["blocks.0.mlp.fc1.weight", 0, 2]
  })
  const sizes = { ...(yield* Published.sizesOf(origin, options, "pos_embed", found)), epsilon, ...own }
  const { digest, parameters } = yield* Published.fitted(Dino.spec(sizes), weights, origin, sizes.heads, ...unusual)
  return { channels, digest, epsilon, parameters, sizes }
})

const network = Effect.fnUntraced(function*(given: Weights.Weights, origin: Origin, options: NetworkOptions) {
  const { channels, digest, parameters, sizes } = yield* described(given, origin, options)
  const made: NetworkTeacher.Network = {
    patch: sizes.patch,
    width: sizes.width,
    channels,
    digest,
    open: (batch) =>
      NetworkTeacher.open(Dino.features(sizes, Published.named(batch)), parameters, ({ target }) => target.data)
  }
  return made
})

/** Makes a teacher from weights, from a file of weights, or from a folder with such a file. */
export const make = (given: Weights.Weights | string, options: NetworkOptions) =>
  Published.make("dino", given, (weights, origin) => network(weights, origin, options))
