/**
 * The settings of a pixel decoder: a small transformer that draws an image from the codes of its patches. The tokenizer stays as
 * it is, so the decoder shows what the codes keep of an image.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Presets } from "patchword/domain"
 *
 * assert.strictEqual(Presets.base.decoder?.width, 512)
 * ```
 */
import { Schema } from "effect"
import { Sampling } from "../method/Sampling.ts"
import * as Quantity from "../values/Quantity.ts"
import { AugmentConfig } from "./AugmentConfig.ts"
import { OptimizerConfig } from "./OptimizerConfig.ts"

/** The settings of a pixel decoder and of its training. Codes, image size and patch size come with the tokenizer. */
export class DecoderConfig extends Schema.Class<DecoderConfig>("patchword/DecoderConfig")(
  Schema.Struct({
    /** The random seed of the stage. */
    seed: Schema.Int.annotateKey({ description: "Random seed of the stage." }),
    /** Channels of a token. */
    width: Quantity.Size.annotateKey({ description: "Channels of a token." }),
    /** Number of blocks. */
    depth: Quantity.Blocks.annotateKey({ description: "Number of blocks." }),
    /** Number of attention heads. It divides `width`. */
    heads: Quantity.Size.annotateKey({ description: "Number of attention heads; divides width." }),
    /** Channels of the MLP's hidden layer, as a multiple of `width`. */
    mlpRatio: Quantity.Positive.annotateKey({
      description: "Channels of the MLP's hidden layer, as a multiple of width."
    }),
    /**
     * Factor of the perceptual loss, which is added to the squared error of pixels: the cosine distance between the features
     * that the tokenizer's encoder has of the decoded image and of the true one. 0 for squared error alone.
     */
    perceptual: Quantity.NonNegative.annotateKey({
      description: "Factor of the perceptual loss, a distance of the tokenizer's features; 0 for squared error alone."
    }),
    optimizer: OptimizerConfig,
    augment: AugmentConfig,
    sampling: Schema.optionalKey(Sampling)
  }).check(
    Schema.makeFilter(({ heads, mlpRatio, width }) => [
      ...(width % heads === 0
        ? []
        : [{ path: ["heads"], issue: `expected a divisor of width ${width}, got ${heads}` }]),
      ...(Math.round(width * mlpRatio) >= 1
        ? []
        : [{ path: ["mlpRatio"], issue: `expected at least one channel of width ${width}, got ${mlpRatio}` }])
    ])
  ),
  { description: "The pixel decoder, which draws images from codes." }
) {
  /** Channels of the MLP's hidden layer. */
  get hidden(): number {
    return Math.round(this.width * this.mlpRatio)
  }
}
