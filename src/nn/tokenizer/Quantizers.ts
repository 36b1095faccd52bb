/**
 * The quantizers that a configuration can name.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Presets } from "patchword/domain"
 * import { Quantizers } from "patchword/nn"
 *
 * assert.strictEqual(Quantizers.of(Presets.base.tokenizer.codebook)?.name, "movingAverage")
 * ```
 */
import type { CodebookConfig } from "../../domain/config/TokenizerConfig.ts"
import * as Dim from "../../shapes/Dim.ts"
import * as FiniteScalar from "./FiniteScalar.ts"
import * as LearnedCodes from "./LearnedCodes.ts"
import * as MovingAverage from "./MovingAverage.ts"
import type * as Quantizer from "./Quantizer.ts"

/** Returns the quantizer of a configuration, or undefined if the quantizer is given in code. */
export const of = (config: CodebookConfig): Quantizer.Named | undefined => {
  const { decay, dim, kmeans, quantizer, revival, size } = config
  const sizes = { codes: Dim.named("codes", size), codeWidth: Dim.named("codeWidth", dim) }
  switch (quantizer?.kind) {
    case undefined:
    case "movingAverage":
      // The configuration has refused null.
      return MovingAverage.make({ ...sizes, kmeans, revival, decay: decay! })
    case "gradient":
      return LearnedCodes.make({
        ...sizes,
        commitment: quantizer.commitment,
        kmeans,
        l2Normalize: quantizer.l2Normalize
      })
    case "finiteScalar":
      return FiniteScalar.make({ ...sizes, levels: quantizer.levels })
    case "own":
      return undefined
  }
}
