/**
 * The result of training a pixel decoder: a network that draws images from the codes of a tokenizer.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Presets } from "patchword/domain"
 * import { Decoder } from "patchword/pipelines"
 *
 * const about = { imageSize: 48, patchSize: 8, codes: 256, codeWidth: 32, tokenizer: "0af3" }
 * const { patches, width } = Decoder.sizes({ config: Presets.tiny.decoder!, ...about })
 * assert.deepStrictEqual([patches, width], [36, 96])
 * ```
 */
import { Effect, Record, Runtime, Schema } from "effect"
import { DecoderConfig } from "../../domain/config/DecoderConfig.ts"
import * as Quantity from "../../domain/values/Quantity.ts"
import { TaggedError } from "../../domain/values/TaggedError.ts"
import * as Weights from "../../layers/weights/Weights.ts"
import * as Vit from "../../nn/blocks/Vit.ts"
import * as PixelDecoder from "../../nn/decoder/PixelDecoder.ts"
import * as Dim from "../../shapes/Dim.ts"
import type * as Tokenizer from "./Tokenizer.ts"

/** The configuration of a pixel decoder, and the tokenizer whose codes it draws. */
export const Described = Schema.Struct({
  config: DecoderConfig,
  /** Side of the tokenizer's images, and of its patches, in pixels. */
  imageSize: Quantity.Size,
  patchSize: Quantity.Size,
  /** Number of codes, and the channels of their vectors. */
  codes: Quantity.Count,
  codeWidth: Quantity.Size,
  /** SHA-256 of the tokenizer's weights. */
  tokenizer: Schema.String
})
export type Described = typeof Described.Type

/** A trained pixel decoder: arrays under their names. `codebook` are the vectors of the codes, `baseline.means` their mean patches. */
export interface Decoder extends Described {
  readonly tensors: Weights.Tensors
}

/** The name of the model in files. */
export const NAME = "decoder"

/** A decoder is used with another tokenizer than it was trained with. */
export class OtherTokenizer extends TaggedError<OtherTokenizer>()("OtherTokenizer", {
  /** The network that was trained with a tokenizer. */
  network: Schema.Literals(["pixel decoder", "pretrained network"]),
  /** SHA-256 of the weights of both tokenizers. */
  expected: Schema.String,
  found: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    const { expected, found, network } = this
    return `the ${network} belongs to other codes: to those of weights with the digest ${
      expected.slice(0, 12)
    }, not of ` +
      found.slice(0, 12)
  }
  get remedy() {
    return "give the tokenizer that it was trained with"
  }
}

/** Fails with {@link OtherTokenizer} if a network was trained with another tokenizer. */
export const checkTokenizer = (
  network: OtherTokenizer["network"],
  expected: string,
  tokenizer: Pick<Tokenizer.Tokenizer, "tensors">
): Effect.Effect<void, OtherTokenizer> =>
  Effect.flatMap(
    Weights.digest(tokenizer.tensors),
    (found) => expected === found ? Effect.void : Effect.fail(new OtherTokenizer({ network, expected, found }))
  )

/** Describes a decoder for the codes of a tokenizer with the given digest. */
export const describe = (
  config: DecoderConfig,
  tokenizer: Pick<Tokenizer.Tokenizer, "config">,
  digest: string
): Described => {
  const { codebook, encoder: { imageSize, patchSize } } = tokenizer.config
  const { dim: codeWidth, size: codes } = codebook
  return { config, imageSize, patchSize, codes, codeWidth, tokenizer: digest }
}

/** Returns the sizes of a decoder. */
export const sizes = (described: Described) => {
  const { codeWidth, codes, config, imageSize, patchSize } = described
  return {
    ...Vit.dims({
      image: Dim.named("image", imageSize),
      patch: Dim.named("patch", patchSize),
      width: Dim.named("decoderWidth", config.width),
      heads: Dim.named("decoderHeads", config.heads)
    }),
    hidden: Dim.named("decoderHidden", config.hidden),
    depth: config.depth,
    codes: Dim.named("codes", codes),
    codeWidth: Dim.named("codeWidth", codeWidth)
  }
}

/** The sizes of a decoder, as the network's type parameter. */
export type Sizes = ReturnType<typeof sizes>

/** Returns the arrays that the optimizer learns. */
export const spec = (described: Described): object => PixelDecoder.spec(sizes(described))

const BASELINE = "baseline."

/** Renames the arrays of a decoder to the names of its inference. */
export const weights = (decoder: Pick<Decoder, "tensors">): Weights.Tensors =>
  Object.fromEntries(
    Object.entries(Record.filter(decoder.tensors, (_, name) => !name.startsWith(BASELINE))).map(
      ([name, tensor]) => [name === "codebook" ? name : `parameters.${name}`, tensor]
    )
  )

/**
 * Returns the mean patch of each code, `[K, 3·P·P]`, in standardised values. A code that no patch of the training had gets the
 * mean of all patches. Fails with `WeightsError` if the decoder has none, or none of these shapes.
 */
export const meanPatches = Effect.fnUntraced(function*(decoder: Decoder) {
  const { codes, patchSize, tensors } = decoder
  const values = 3 * patchSize ** 2
  const spec = {
    baseline: {
      means: { shape: [codes, values], dtype: "float32" },
      seen: { shape: [codes], dtype: "float32" }
    }
  } as const
  const own = Weights.make(Record.filter(tensors, (_, name) => name.startsWith(BASELINE)))
  const { baseline } = yield* Effect.fromResult(Weights.conform(spec, own, NAME))
  const [means, seen] = [baseline.means.data.slice(), baseline.seen.data]
  const total = seen.reduce((sum, count) => sum + count, 0)
  const overall = new Float64Array(values)
  seen.forEach((count, code) => {
    for (let i = 0; i < values; i++) overall[i]! += means[code * values + i]! * count / Math.max(total, 1)
  })
  seen.forEach((count, code) => {
    if (count === 0) means.set(overall, code * values)
  })
  return means
})
