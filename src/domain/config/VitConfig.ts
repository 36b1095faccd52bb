/**
 * The sizes of a vision transformer. The tokenizer's encoder and decoder, the pretrained network and the classifier are all
 * built from it.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Presets } from "patchword/domain"
 *
 * const { vit } = Presets.base.pretrain
 * assert.deepStrictEqual([vit.grid, vit.tokens, vit.headWidth, vit.hidden], [{ height: 14, width: 14 }, 197, 64, 3072])
 * ```
 */
import { Schema } from "effect"
import * as Grid from "../values/Grid.ts"
import * as Quantity from "../values/Quantity.ts"

/** The place of the relative position bias: none, one table shared by all blocks, or one table per block. */
export const RelativePositions = Schema.Literals(["none", "shared", "perBlock"])

/** The feature of an image: the mean of its patch tokens, or the class token. */
export const Pooling = Schema.Literals(["mean", "cls"])

/** The sizes and options of a vision transformer (`modeling_finetune.py`, `modeling_pretrain.py`). */
export class VitConfig extends Schema.Class<VitConfig>("patchword/VitConfig")(
  Schema.Struct({
    /** Height and width of the image, in pixels. */
    imageSize: Quantity.Size.annotateKey({ description: "Height and width of the image, in pixels." }),
    /** Height and width of a patch, in pixels. It divides `imageSize`. */
    patchSize: Quantity.Size.annotateKey({ description: "Height and width of a patch, in pixels; divides imageSize." }),
    /** Channels of a token (hidden size in the paper). */
    width: Quantity.Size.annotateKey({ description: "Channels of a token." }),
    /** Number of blocks. */
    depth: Quantity.Blocks.annotateKey({ description: "Number of blocks." }),
    /** Number of attention heads. It divides `width`. */
    heads: Quantity.Size.annotateKey({ description: "Number of attention heads; divides width." }),
    /** Channels of the MLP's hidden layer, as a multiple of `width`. */
    mlpRatio: Quantity.Positive.annotateKey({
      description: "Channels of the MLP's hidden layer, as a multiple of width."
    }),
    /** Initial value of layer scale, the per-channel factor of each residual branch; 0 for networks without layer scale. */
    layerScale: Quantity.NonNegative.annotateKey({
      description: "Initial layer scale of each residual branch; 0 for none."
    }),
    /** True if queries and values have a bias. Keys never have one. */
    qkvBias: Schema.Boolean.annotateKey({ description: "True if queries and values have a bias." }),
    /** True if a learned table of absolute positions is added to the tokens. */
    absolutePositions: Schema.Boolean.annotateKey({
      description: "True if learned absolute positions are added to the tokens."
    }),
    /** The place of the relative position bias. */
    relativePositions: RelativePositions.annotateKey({
      description: "Relative position bias: none, shared by all blocks, or perBlock."
    }),
    /** Drop-path rate of the last block. The rate of earlier blocks grows linearly from 0 with their depth. */
    dropPath: Quantity.Rate.annotateKey({
      description: "Drop-path rate of the last block. It grows linearly from 0 at the first block."
    }),
    /** The feature of an image. Pretraining predicts patches and does not use it. */
    pooling: Pooling.annotateKey({ description: "Feature of an image: mean of the patch tokens, or cls token." }),
    /** Added to the variance in every layer norm; 1e-6, as in the official code, when absent. */
    normEpsilon: Schema.optionalKey(Quantity.Positive).annotateKey({
      description: "Added to the variance in layer norms. Default 1e-6."
    })
  }).check(
    Schema.makeFilter((vit) => [
      ...(vit.imageSize % vit.patchSize === 0
        ? []
        : [{ path: ["patchSize"], issue: `expected a divisor of imageSize ${vit.imageSize}, got ${vit.patchSize}` }]),
      ...(vit.width % vit.heads === 0
        ? []
        : [{ path: ["heads"], issue: `expected a divisor of width ${vit.width}, got ${vit.heads}` }]),
      ...(Math.round(vit.width * vit.mlpRatio) >= 1
        ? []
        : [{ path: ["mlpRatio"], issue: `expected at least one channel of width ${vit.width}, got ${vit.mlpRatio}` }])
    ])
  ),
  { description: "The vision transformer." }
) {
  /** Rows and columns of patches. */
  get grid(): Grid.Grid {
    return Grid.square(this.imageSize / this.patchSize)
  }

  /** Number of patches. */
  get patches(): number {
    return this.grid.height * this.grid.width
  }

  /** Number of tokens: the patches and the class token. */
  get tokens(): number {
    return this.patches + 1
  }

  /** Channels of one attention head. */
  get headWidth(): number {
    return this.width / this.heads
  }

  /** Channels of the MLP's hidden layer. */
  get hidden(): number {
    return Math.round(this.width * this.mlpRatio)
  }
}
