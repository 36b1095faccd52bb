/** Figures of a codebook: from the counts of its codes, and from its vectors in two states. */
import type { TokenizerConfig } from "../../domain/config/TokenizerConfig.ts"
import type { Figures } from "../../domain/health/Diagnosis.ts"
import * as Codebook from "../../domain/method/Codebook.ts"
import * as EffectiveRank from "../../domain/method/EffectiveRank.ts"
import type { Pausable } from "../../domain/values/Pausable.ts"
import type * as Weights from "../../layers/weights/Weights.ts"
import * as MovingAverage from "../../nn/tokenizer/MovingAverage.ts"

/** The array of a codebook, under its official name. */
export const CODEBOOK = "quantize.embedding.weight"

const RUNNING = "quantize.cluster_size"

/** Codes with less than this share of a uniformly used code's count are rare. */
const RARE = 0.05

/** Returns the codebook `[K, E]` of a tokenizer, if its quantizer has one. */
export const codebookOf = (tensors: Weights.Tensors): Float32Array | undefined => {
  const data = tensors[CODEBOOK]?.data
  return data instanceof Float32Array ? data : undefined
}

/** Tells whether the quantizer compares vectors and codes on the unit sphere. */
export const isNormalised = (config: TokenizerConfig): boolean => {
  const { quantizer } = config.codebook
  return quantizer?.kind !== "gradient" || quantizer.l2Normalize !== false
}

/** Computes the figures of the counts of codes. There must be a count. */
export const ofCounts = (counts: Codebook.Counts): Figures => {
  const { length } = counts
  return {
    usedShare: Codebook.usage(counts) / length,
    deadCodes: length - Codebook.usage(counts),
    rareShare: Codebook.rare(counts, RARE) / length,
    topShare: Codebook.topShare(counts),
    entropy: Codebook.entropy(counts),
    perplexityShare: Codebook.perplexity(counts) / length
  }
}

/** A code whose running count is below this share of a uniformly used code's has got no patch for long. */
const FORGOTTEN = 0.01

/** A code that was just revived has a count that no patch gave it. */
const REVIVED = 1.5

/**
 * Computes the figures of the running counts of a moving average, which cover the last `1 / (1 - decay)` steps. Undefined if the
 * quantizer has none, or none of its codes was used.
 */
export const ofRunningCounts = (config: TokenizerConfig, tensors: Weights.Tensors): Figures | undefined => {
  const { decay, revival, size } = config.codebook
  const counts = tensors[RUNNING]?.data
  if (decay === null || !(counts instanceof Float32Array)) return undefined
  const even = counts.reduce((sum, count) => sum + count, 0) / size
  const begun = revival === null
    ? 0
    : MovingAverage.freshCount({ decay, threshold: revival.threshold, vectors: size, size }) * REVIVED
  const limit = Math.max(FORGOTTEN, begun) * even
  const kept = counts.map((count) => count > limit ? count : 0)
  return even > 0 && kept.some((count) => count > 0) ? ofCounts(kept) : undefined
}

/** Scales the rows of `[K, E]` to unit length. */
const directions = (rows: Float32Array, width: number): Float32Array => {
  const units = new Float32Array(rows.length)
  for (let start = 0; start < rows.length; start += width) {
    let squares = 0
    for (let i = 0; i < width; i++) squares += rows[start + i]! ** 2
    const scale = squares === 0 ? 0 : 1 / Math.sqrt(squares)
    for (let i = 0; i < width; i++) units[start + i] = rows[start + i]! * scale
  }
  return units
}

/** Rounding moves a code by less than this. A code in use moves by much more. */
const MOVED = 1e-5

/** Computes the effective rank of a codebook, and the share of codes that did not move since a state before. It pauses now and then. */
export function* ofVectors(
  config: TokenizerConfig,
  now: Float32Array,
  before: Float32Array | undefined
): Pausable<Figures> {
  const { dim, size } = config.codebook
  const units = directions(now, dim)
  const gram = EffectiveRank.begin(dim)
  yield* EffectiveRank.adding(gram, isNormalised(config) ? units : now)
  yield
  const codebookRank = EffectiveRank.of(gram) / Math.min(dim, size)
  if (before === undefined || before.length !== now.length) return { codebookRank }
  yield
  const older = directions(before, dim)
  yield
  let still = 0
  for (let start = 0; start < units.length; start += dim) {
    let squares = 0
    for (let i = 0; i < dim; i++) squares += (units[start + i]! - older[start + i]!) ** 2
    if (squares < MOVED ** 2) still++
  }
  return { codebookRank, stillShare: still / size }
}
