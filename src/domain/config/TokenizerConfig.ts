/**
 * The settings of the tokenizer, which learns by vector-quantized knowledge distillation (VQ-KD).
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

/**
 * A quantizer given in code, by its name. `trainTokenizer` writes the name. The reader of the tokenizer has to give the
 * quantizer again.
 */
const OwnQuantizer = Schema.Struct({
  kind: Schema.Literal("own").annotateKey({ description: "movingAverage, gradient, finiteScalar, or own." }),
  name: Schema.NonEmptyString.annotateKey({ description: "Name of the own quantizer." })
})

/** Codes that follow the moving average of their vectors, as in the published method. It is the default. */
const MovingAverage = Schema.Struct({
  kind: Schema.Literal("movingAverage").annotateKey({ description: "movingAverage, gradient, finiteScalar, or own." })
})

/**
 * Codes that learn by gradient. `commitment` is the factor of the loss that pulls vectors to their codes. `l2Normalize: false`
 * compares vectors and codes as they are, as plain VQ does.
 */
const GradientCodes = Schema.Struct({
  kind: Schema.Literal("gradient").annotateKey({ description: "movingAverage, gradient, finiteScalar, or own." }),
  commitment: Quantity.NonNegative.annotateKey({
    description: "Factor of the loss that pulls vectors to their codes."
  }),
  l2Normalize: Schema.optionalKey(Schema.Boolean).annotateKey({
    description: "False: vectors and codes are compared as they are, not on the unit sphere. Default: true."
  })
})

/** Finite scalar quantization: the number of levels of each channel. `size` is their product, `dim` the number of channels. */
const FiniteScalar = Schema.Struct({
  kind: Schema.Literal("finiteScalar").annotateKey({ description: "movingAverage, gradient, finiteScalar, or own." }),
  levels: Schema.Array(
    Schema.Int.check(
      Schema.makeFilter(ScalarLevels.fits, { expected: `a whole number from 2 to ${ScalarLevels.MOST}` })
    )
  ).annotateKey({ description: "Levels of each channel." })
})

const Quantizer = Schema.Union([MovingAverage, GradientCodes, FiniteScalar, OwnQuantizer]).annotate({
  expected: "one of kind \"movingAverage\", \"gradient\", \"finiteScalar\" or \"own\""
})

interface Given {
  readonly decay: number | null
  readonly dim: number
  readonly kmeans: boolean
  readonly quantizer?: typeof Quantizer.Type
  readonly revival: object | null
  readonly size: number
}

type Demand = readonly [wrong: boolean, key: keyof Given, issue: string]

/** Lists the demands of a quantizer on the other settings. The moving average is the default. */
const demands = ({ decay, dim, kmeans, quantizer, revival, size }: Given): ReadonlyArray<Demand> => {
  const nothing = (key: "decay" | "revival", why: string): Demand => [
    { decay, revival }[key] !== null,
    key,
    `expected null, because the quantizer ${quantizer?.kind} ${why}`
  ]
  const revives = nothing("revival", "revives no code")
  const averages = nothing("decay", "has no moving average")
  switch (quantizer?.kind) {
    case undefined:
    case "movingAverage":
      return [
        [decay === null, "decay", "expected a number such as 0.99 for the moving average, got null"],
        [
          decay === 0 && revival !== null,
          "decay",
          "expected a number above 0, because revival needs running counts, got 0"
        ]
      ]
    case "own":
      return [revives]
    case "gradient": {
      const why = "because k-means makes codes on the unit sphere, and l2Normalize is false"
      return [revives, averages, [kmeans && quantizer.l2Normalize === false, "kmeans", `expected false, ${why}`]]
    }
    case "finiteScalar": {
      const { levels } = quantizer
      const product = ScalarLevels.codes(levels)
      return [
        revives,
        averages,
        [kmeans, "kmeans", "expected false, because the quantizer finiteScalar has no codebook"],
        [size !== product, "size", `expected ${product}, the product of the levels, got ${size}`],
        [dim !== levels.length, "dim", `expected ${levels.length}, the number of the levels, got ${dim}`]
      ]
    }
  }
}

const unfit = (given: Given) => demands(given).flatMap(([wrong, key, issue]) => wrong ? [{ path: [key], issue }] : [])

/** The codebook and its training (`norm_ema_quantizer.py`). */
export class CodebookConfig extends Schema.Class<CodebookConfig>("patchword/CodebookConfig")(
  Schema.Struct({
    /** Number of codes. */
    size: Quantity.upTo(2 ** 24).annotateKey({ description: "Number of codes." }),
    /** Channels of a code. */
    dim: Quantity.Size.annotateKey({ description: "Channels of a code." }),
    /**
     * Decay of the moving average: the share of a code that stays at each step. The rest moves to the mean direction of the
     * patches that were assigned to the code. Null for quantizers without a moving average.
     */
    decay: Schema.NullOr(Quantity.Rate).annotateKey({
      description: "Share of a code that each step keeps, in the moving average; null for other quantizers."
    }),
    /** True if k-means over the first batch initialises the codes, false for random directions. */
    kmeans: Schema.Boolean.annotateKey({
      description: "True: k-means over the first batch initialises the codes. False: random directions."
    }),
    /**
     * Revival of rarely used codes. A code is moved to a patch of the batch when its running count falls below `threshold`
     * times that of a uniformly used code. Null revives no code, as in the published method.
     */
    revival: Schema.NullOr(
      Schema.Struct({
        threshold: Quantity.Share.annotateKey({
          description: "Codes are revived when their count falls below this share of a uniformly used code's."
        })
      })
    ).annotateKey({
      description: "Revival, which moves rarely used codes to patches of the batch; null for none, as published."
    }),
    /** The quantizer, which turns vectors into codes; the moving average of the published method when absent. */
    quantizer: Schema.optionalKey(Quantizer).annotateKey({
      description: "Quantizer, which turns vectors into codes. Default: the moving average of the published method."
    })
  }).check(Schema.makeFilter(unfit)),
  { description: "The codebook of visual words." }
) {}

/** The settings of a tokenizer and of its training. The width of the teacher's features comes with the teacher. */
export class TokenizerConfig extends Schema.Class<TokenizerConfig>("patchword/TokenizerConfig")({
  /** The random seed of the stage. */
  seed: Schema.Int.annotateKey({ description: "Random seed of the stage." }),
  /** The network that encodes patches. */
  encoder: VitConfig.annotateKey({ description: "The network that encodes patches." }),
  /** Number of blocks of the decoder. Its other sizes are those of the encoder. */
  decoderDepth: Quantity.Blocks.annotateKey({ description: "Blocks of the decoder." }),
  codebook: CodebookConfig,
  optimizer: OptimizerConfig,
  augment: AugmentConfig,
  sampling: Schema.optionalKey(Sampling)
}, { description: "The tokenizer and its training by vector-quantized knowledge distillation (VQ-KD)." }) {
  /**
   * The sizes of the decoder: a transformer over the grid of codes. Each code is a patch of one pixel with `codebook.dim`
   * channels.
   */
  get decoder(): VitConfig {
    return new VitConfig({
      ...this.encoder,
      imageSize: this.encoder.grid.height,
      patchSize: 1,
      depth: this.decoderDepth
    })
  }
}
