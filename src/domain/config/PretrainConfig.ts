/**
 * The settings of masked image modelling, which predicts the codes of masked patches.
 *
 * ```ts
 * import assert from "node:assert"
 * import { BlockMask, Presets } from "patchword/domain"
 *
 * const { masking } = Presets.base.pretrain
 * const mask = BlockMask.fromKey(masking, { seed: 0, purpose: "mask", epoch: 0, index: 7 })
 * assert.strictEqual(mask.reduce((sum, masked) => sum + masked, 0), 75)
 * ```
 */
import { Schema } from "effect"
import type * as BlockMask from "../method/BlockMask.ts"
import { Sampling } from "../method/Sampling.ts"
import * as Quantity from "../values/Quantity.ts"
import { AugmentConfig } from "./AugmentConfig.ts"
import { OptimizerConfig } from "./OptimizerConfig.ts"
import { VitConfig } from "./VitConfig.ts"

const Pattern = Schema.Union([
  Schema.Struct({
    kind: Schema.Literals(["blockwise", "random"]).annotateKey({
      description: "blockwise, random, or own for a mask given in code."
    })
  }),
  // A mask that was given in code, by its name: `pretrain` writes it.
  Schema.Struct({
    kind: Schema.Literal("own").annotateKey({
      description: "blockwise, random, or own for a mask given in code."
    }),
    name: Schema.NonEmptyString.annotateKey({ description: "Name of the own mask." })
  })
]).annotate({ expected: "one of kind \"blockwise\", \"random\" or \"own\"" })

// Other masks have no rectangles whose sizes could contradict each other.
const inBlocks = ({ pattern }: MaskConfig): boolean => pattern === undefined || pattern.kind === "blockwise"

/** The settings of masks, in patches. All except `count` apply to blockwise masks only; see `BlockMask`. */
export class MaskConfig extends Schema.Class<MaskConfig>("patchword/MaskConfig")({
  /** Exact number of masked patches of each image. */
  count: Quantity.Count.annotateKey({ description: "Masked patches of each image." }),
  /** Smallest area of a rectangle, as drawn. */
  minBlock: Quantity.Count.annotateKey({ description: "Smallest area of a masked block." }),
  /** Largest number of patches that one rectangle adds; null for `count`. */
  maxBlock: Schema.NullOr(Quantity.Count).annotateKey({
    description: "Largest number of patches of one block; null for count."
  }),
  /** Smallest aspect ratio of a rectangle. The largest ratio is its inverse. */
  minAspect: Quantity.Factor.annotateKey({
    description: "Smallest aspect ratio of a block; its inverse is the largest."
  }),
  /** The kind of masks; blockwise when absent. */
  pattern: Schema.optionalKey(Pattern).annotateKey({ description: "Kind of masks. Default: blockwise." })
}, { description: "Masks, in patches." }) {}

/**
 * Patch aggregation. A shallow head also predicts the codes, from the last class token and the patch tokens of an earlier
 * block. The class token therefore has to collect the information that those patch tokens lack (paper, section 2.3).
 */
export class AggregationConfig extends Schema.Class<AggregationConfig>("patchword/AggregationConfig")({
  /** The block that gives the head its patch tokens, counted from 1. */
  earlyLayer: Quantity.Count.annotateKey({ description: "Block whose patch tokens the head sees, counted from 1." }),
  /** Blocks of the head. */
  headDepth: Quantity.Count.annotateKey({ description: "Blocks of the head." }),
  /** True if both predictions share the final norm and the output layer. */
  sharedHead: Schema.Boolean.annotateKey({
    description: "True if both predictions share the final norm and the output layer."
  })
}, {
  description: "Patch aggregation: a shallow head predicts the codes once more from the class token; null for none."
}) {}

/** The settings of a pretraining run. The number of codes comes with the tokenizer. */
export class PretrainConfig extends Schema.Class<PretrainConfig>("patchword/PretrainConfig")(
  Schema.Struct({
    /** The random seed of the stage. */
    seed: Schema.Int.annotateKey({ description: "Random seed of the stage." }),
    /** The network. */
    vit: VitConfig.annotateKey({ description: "The network." }),
    /**
     * Standard deviation of the initial weights (`init_std`). The normal distribution is truncated at one standard deviation,
     * which leaves 0.54 of it.
     */
    initStd: Quantity.Positive.annotateKey({ description: "Standard deviation of the initial weights." }),
    mask: MaskConfig,
    /** Patch aggregation; null to predict from the last block alone. */
    aggregation: Schema.NullOr(AggregationConfig),
    optimizer: OptimizerConfig,
    augment: AugmentConfig,
    sampling: Schema.optionalKey(Sampling)
  }).check(
    Schema.makeFilter(({ aggregation, mask, vit }) => [
      ...(mask.count < vit.patches
        ? []
        : [{ path: ["mask", "count"], issue: `expected fewer than the ${vit.patches} patches, got ${mask.count}` }]),
      ...(!inBlocks(mask) || mask.minBlock <= mask.count
        ? []
        : [{ path: ["mask", "minBlock"], issue: `expected at most mask.count ${mask.count}, got ${mask.minBlock}` }]),
      ...(!inBlocks(mask) || mask.maxBlock === null || mask.maxBlock >= mask.minBlock
        ? []
        : [{ path: ["mask", "maxBlock"], issue: `expected at least minBlock ${mask.minBlock}, got ${mask.maxBlock}` }]),
      ...(aggregation === null || aggregation.earlyLayer <= vit.depth
        ? []
        : [{
          path: ["aggregation", "earlyLayer"],
          issue: `expected at most vit.depth ${vit.depth}, got ${aggregation.earlyLayer}`
        }])
    ])
  ),
  { description: "Masked image modelling: the network predicts the codes of masked patches." }
) {
  /** The options of the mask generator. */
  get masking(): BlockMask.Options {
    const { count, maxBlock, minAspect, minBlock } = this.mask
    return { ...this.vit.grid, count, minBlock, maxBlock: maxBlock ?? count, minAspect }
  }
}
