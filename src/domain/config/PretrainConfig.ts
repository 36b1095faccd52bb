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
      description: "blockwise, random, or own for a mask that is given in code."
    })
  }),
  // A mask that was given in code, by its name: `pretrain` writes it.
  Schema.Struct({
    kind: Schema.Literal("own").annotateKey({
      description: "blockwise, random, or own for a mask that is given in code."
    }),
    name: Schema.NonEmptyString.annotateKey({ description: "Name of the own mask." })
  })
]).annotate({ expected: "one of kind \"blockwise\", \"random\" or \"own\"" })

// Other masks have no rectangles whose sizes could contradict each other.
const inBlocks = ({ pattern }: MaskConfig): boolean => pattern === undefined || pattern.kind === "blockwise"

/** The masks, in patches. All but `count` is of blockwise ones; see `BlockMask`. */
export class MaskConfig extends Schema.Class<MaskConfig>("patchword/MaskConfig")({
  /** Masked patches of each image, exactly. */
  count: Quantity.Count.annotateKey({ description: "Masked patches of each image." }),
  /** Least area that a rectangle is drawn with. */
  minBlock: Quantity.Count.annotateKey({ description: "Least area of a masked block." }),
  /** Most patches that one rectangle adds; null for `count`. */
  maxBlock: Schema.NullOr(Quantity.Count).annotateKey({ description: "Most patches of one block; null for count." }),
  /** Least ratio of a rectangle's sides, whose inverse is the greatest. */
  minAspect: Quantity.Factor.annotateKey({
    description: "Least ratio of the sides of a block; its inverse is the greatest."
  }),
  /** How masks are drawn; blockwise when absent. */
  pattern: Schema.optionalKey(Pattern).annotateKey({ description: "How masks are drawn. Default: in blocks." })
}, { description: "Masks, in patches." }) {}

/**
 * Patch aggregation: a shallow head predicts the codes once more from the last class token and the patch tokens of an
 * earlier block, so that the class token has to gather what those do not tell (paper, section 2.3).
 */
export class AggregationConfig extends Schema.Class<AggregationConfig>("patchword/AggregationConfig")({
  /** The block whose patch tokens the head sees, counted from 1. */
  earlyLayer: Quantity.Count.annotateKey({ description: "Block whose patch tokens the head sees, counted from 1." }),
  /** Blocks of the head. */
  headDepth: Quantity.Count.annotateKey({ description: "Blocks of the head." }),
  /** Whether both predictions go through the same norm and the same output layer. */
  sharedHead: Schema.Boolean.annotateKey({
    description: "Whether both predictions share the last norm and the output layer."
  })
}, {
  description: "Patch aggregation: a shallow head predicts the codes once more from the class token; null for none."
}) {}

/** A masked-image-modelling run. The number of codes comes with the tokenizer. */
export class PretrainConfig extends Schema.Class<PretrainConfig>("patchword/PretrainConfig")(
  Schema.Struct({
    /** Names the stream of every random number of the stage. */
    seed: Schema.Int.annotateKey({ description: "Random seed of the stage." }),
    /** The network. */
    vit: VitConfig.annotateKey({ description: "The network." }),
    /** Standard deviation of the first weights. They are cut at one, which leaves 0.54 of it (`init_std`). */
    initStd: Quantity.Positive.annotateKey({ description: "Standard deviation of the initial weights." }),
    mask: MaskConfig,
    /** Null to predict from the last block alone. */
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
  /** What a mask is asked for. */
  get masking(): BlockMask.Options {
    const { count, maxBlock, minAspect, minBlock } = this.mask
    return { ...this.vit.grid, count, minBlock, maxBlock: maxBlock ?? count, minAspect }
  }
}
