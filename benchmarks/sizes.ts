/** What `peer.py` is told of a step: the sizes of its networks and the numbers of its update. */
import type { Preset } from "../src/domain/config/Preset.ts"
import { TEACHER_WIDTH } from "./steps.ts"

/** The stages of the backbone. The others belong to the tokenizer. */
export const BACKBONE: ReadonlySet<string> = new Set(["mim", "features"])

/** The learning rate of all measured steps. */
export const RATE = 1e-4

/** The sizes of a preset's step, and of its batch. */
export const sizesOf = ({ pretrain, tokenizer }: Preset, stage: string, batch: number) => {
  const { absolutePositions, depth, heads, hidden, imageSize, layerScale, patchSize, width } = BACKBONE.has(stage)
    ? pretrain.vit
    : tokenizer.encoder
  const { betas, clipNorm, eps, weightDecay } = (BACKBONE.has(stage) ? pretrain : tokenizer).optimizer
  return {
    stage,
    batch,
    depth,
    heads,
    hidden,
    width,
    absolutePositions,
    layerScale,
    image: imageSize,
    patch: patchSize,
    codes: tokenizer.codebook.size,
    codeWidth: tokenizer.codebook.dim,
    teacher: TEACHER_WIDTH,
    decoderDepth: tokenizer.decoderDepth,
    masked: pretrain.mask.count,
    ...pretrain.aggregation,
    adamw: { lr: RATE, betas, eps, weightDecay, clipNorm }
  }
}
