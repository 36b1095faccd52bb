/**
 * The sizes of a vision transformer. Tokenizer encoder and decoder, pretrained network and classifier are all built from
 * it.
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

/** Where the bias by relative position lives: nowhere, in one table for all blocks, or in one table for each. */
export const RelativePositions = Schema.Literals(["none", "shared", "perBlock"])

/** What stands for the image: the mean of its patch tokens, or the class token. */
export const Pooling = Schema.Literals(["mean", "cls"])

/** The sizes and options of a vision transformer (`modeling_finetune.py`, `modeling_pretrain.py`). */
export class VitConfig extends Schema.Class<VitConfig>("patchword/VitConfig")(
  Schema.Struct({
    /** Height and width of the image, in pixels. */
    imageSize: Quantity.Size.annotateKey({ description: "Height and width of the image, in pixels." }),
    /** Height and width of a patch, in pixels; divides `imageSize`. */
    patchSize: Quantity.Size.annotateKey({ description: "Height and width of a patch, in pixels; divides imageSize." }),
    /** Channels of a token (paper: hidden size). */
    width: Quantity.Size.annotateKey({ description: "Channels of a token." }),
    /** Number of blocks. */
    depth: Quantity.Blocks.annotateKey({ description: "Number of blocks." }),
    /** Attention heads; divides `width`. */
    heads: Quantity.Size.annotateKey({ description: "Attention heads; divides width." }),
    /** Channels inside the MLP, as a multiple of `width`. */
    mlpRatio: Quantity.Positive.annotateKey({ description: "Channels inside the MLP, as a multiple of width." }),
    /** Initial value of the per-channel scale of each residual branch; 0 for networks without layer scale. */
    layerScale: Quantity.NonNegative.annotateKey({
      description: "Initial layer scale of each residual branch; 0 for none."
    }),
    /** Whether query and value have a bias. The key never has one. */
    qkvBias: Schema.Boolean.annotateKey({ description: "Whether query and value have a bias." }),
    /** Whether a learned table of absolute positions is added to the tokens. */
    absolutePositions: Schema.Boolean.annotateKey({
      description: "Whether learned absolute positions are added to the tokens."
    }),
    /** Where the bias by relative position lives. */
    relativePositions: RelativePositions.annotateKey({
      description: "Relative position bias: none, shared by all blocks, or perBlock."
    }),
    /** Drop-path rate of the last block; earlier blocks drop in proportion to their depth. */
    dropPath: Quantity.Rate.annotateKey({
      description: "Drop-path rate of the last block; earlier blocks drop in proportion to their depth."
    }),
    /** What stands for the image. Pretraining, which predicts patches, does not use it. */
    pooling: Pooling.annotateKey({ description: "What stands for the image: mean of the patch tokens, or cls token." }),
    /** Added to the variance in every layer norm; 1e-6, the official value, when absent. */
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

  /** Channels inside the MLP. */
  get hidden(): number {
    return Math.round(this.width * this.mlpRatio)
  }
}
