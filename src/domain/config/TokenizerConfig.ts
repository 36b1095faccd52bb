/**
 * The settings of the tokenizer, which learns by vector-quantised knowledge distillation (VQ-KD).
 *
 * ```ts
 * import assert from "node:assert"
 * import { Presets } from "patchword/domain"
 *
 * const { codebook, decoder } = Presets.base.tokenizer
 * assert.deepStrictEqual([codebook.size, codebook.dim], [8192, 32])
 * assert.deepStrictEqual([decoder.imageSize, decoder.patchSize, decoder.depth], [14, 1, 3])
 * ```
 */
import { Schema } from "effect"
import { Sampling } from "../method/Sampling.ts"
import * as ScalarLevels from "../method/ScalarLevels.ts"
import * as Quantity from "../values/Quantity.ts"
import { AugmentConfig } from "./AugmentConfig.ts"
import { OptimizerConfig } from "./OptimizerConfig.ts"
import { VitConfig } from "./VitConfig.ts"

/** A quantizer that was given in code, by its name: `trainTokenizer` writes it, and who reads the tokenizer gives it again. */
const OwnQuantizer = Schema.Struct({ kind: Schema.Literal("own"), name: Schema.NonEmptyString })

/** Codes that learn by gradient; `commitment` is the factor of the loss that pulls vectors to their codes. */
const GradientCodes = Schema.Struct({ kind: Schema.Literal("gradient"), commitment: Quantity.NonNegative })

/** Finite scalar quantization: the levels of each channel. `size` is their product, `dim` their number. */
const FiniteScalar = Schema.Struct({
  kind: Schema.Literal("finiteScalar"),
  levels: Schema.Array(
    Schema.Int.check(
      Schema.makeFilter(ScalarLevels.fits, { expected: `a whole number from 2 to ${ScalarLevels.MOST}` })
    )
  )
})

const Quantizer = Schema.Union([GradientCodes, FiniteScalar, OwnQuantizer]).annotate({
  expected: "one of kind \"gradient\", \"finiteScalar\" or \"own\""
})

interface Issue {
  readonly path: ReadonlyArray<string>
  readonly issue: string
}

/** What a quantizer cannot use. The moving average, which there is without a quantizer, uses all. */
const unfit = (
  { dim, kmeans, quantizer, revival, size }: {
    readonly dim: number
    readonly kmeans: boolean
    readonly quantizer?: typeof Quantizer.Type
    readonly revival: object | null
    readonly size: number
  }
): ReadonlyArray<Issue> => {
  if (quantizer === undefined || quantizer.kind === "own") return []
  const revives: Issue = {
    path: ["revival"],
    issue: `expected null, for the quantizer ${quantizer.kind} revives no code`
  }
  const issues = revival === null ? [] : [revives]
  if (quantizer.kind === "gradient") return issues
  const { levels } = quantizer
  const product = ScalarLevels.codes(levels)
  return [
    ...issues,
    ...(kmeans ? [{ path: ["kmeans"], issue: "expected false, for the quantizer finiteScalar has no codebook" }] : []),
    ...(size === product
      ? []
      : [{ path: ["size"], issue: `expected ${product}, the product of the levels, got ${size}` }]),
    ...(dim === levels.length
      ? []
      : [{ path: ["dim"], issue: `expected ${levels.length}, the number of the levels, got ${dim}` }])
  ]
}

/** The codebook and how it learns (`norm_ema_quantizer.py`). */
export class CodebookConfig extends Schema.Class<CodebookConfig>("patchword/CodebookConfig")(
  Schema.Struct({
    /** Number of codes. */
    size: Quantity.upTo(2 ** 24),
    /** Channels of a code. */
    dim: Quantity.Size,
    /**
     * Of the moving average: how much of a code stays at each step. The rest moves to the mean direction of the patches that it
     * was given to.
     */
    decay: Quantity.Rate,
    /** Whether k-means over the first batch sets the codes; random directions otherwise. */
    kmeans: Schema.Boolean,
    /**
     * Moves codes that are hardly used to patches of the batch: those whose running count falls below `threshold` times
     * that of a uniformly used code. Null is the method as published, which revives no code.
     */
    revival: Schema.NullOr(Schema.Struct({ threshold: Quantity.Share })),
    /** How vectors become codes; the moving average of the published method when absent. */
    quantizer: Schema.optionalKey(Quantizer)
  }).check(
    Schema.makeFilter(({ decay, revival, ...rest }) => [
      ...unfit({ revival, ...rest }),
      ...(revival === null || decay > 0
        ? []
        : [{ path: ["decay"], issue: "expected a number above 0, for revival needs running counts, got 0" }])
    ])
  )
) {}

/** A tokenizer and its training. The width of the teacher's features comes with the teacher. */
export class TokenizerConfig extends Schema.Class<TokenizerConfig>("patchword/TokenizerConfig")({
  /** Names the stream of every random number of the stage. */
  seed: Schema.Int,
  /** The network that encodes patches. */
  encoder: VitConfig,
  /** Blocks of the decoder, which is like the encoder otherwise. */
  decoderDepth: Quantity.Blocks,
  codebook: CodebookConfig,
  optimizer: OptimizerConfig,
  augment: AugmentConfig,
  sampling: Schema.optionalKey(Sampling)
}) {
  /** The decoder: a transformer over the grid of codes, each code being a patch of one pixel with `codebook.dim` channels. */
  get decoder(): VitConfig {
    return new VitConfig({
      ...this.encoder,
      imageSize: this.encoder.grid.height,
      patchSize: 1,
      depth: this.decoderDepth
    })
  }
}
