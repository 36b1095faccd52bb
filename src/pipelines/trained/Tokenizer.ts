/**
 * What the first stage gives: a visual vocabulary, and the network that says images in it.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Presets } from "patchword/domain"
 * import { Tokenizer } from "patchword/pipelines"
 *
 * const { codes, codeWidth } = Tokenizer.sizes(Presets.base.tokenizer, 512)
 * assert.deepStrictEqual([codes, codeWidth], [8192, 32])
 * ```
 */
import type { TokenizerConfig } from "../../domain/config/TokenizerConfig.ts"
import type * as Weights from "../../layers/weights/Weights.ts"
import * as Vqkd from "../../nn/tokenizer/Vqkd.ts"
import * as Dim from "../../shapes/Dim.ts"
import * as Inference from "./Inference.ts"
import * as VitSizes from "./VitSizes.ts"

/** A trained tokenizer: arrays under their official names, the codebook as `quantize.embedding.weight`. */
export interface Tokenizer {
  readonly config: TokenizerConfig
  readonly teacherWidth: number
  readonly tensors: Weights.Tensors
}

/** The sizes of a tokenizer for a teacher of some width. */
export const sizes = (config: TokenizerConfig, teacherWidth: number) => ({
  ...VitSizes.plain(config.encoder),
  decoderDepth: config.decoderDepth,
  codes: Dim.named("codes", config.codebook.size),
  codeWidth: Dim.named("codeWidth", config.codebook.dim),
  teacherWidth: Dim.named("teacherWidth", teacherWidth)
})
export type Sizes = ReturnType<typeof sizes>

/** The arrays of a tokenizer for a teacher of some width, under their official names. */
export const spec = (config: TokenizerConfig, teacherWidth: number) => {
  const network = sizes(config, teacherWidth)
  const weight = { shape: [network.codes, network.codeWidth], dtype: "float32" } as const
  return { ...Vqkd.spec(network), quantize: { embedding: { weight } } }
}

/** A tokenizer's arrays as its inferences name them. */
export const weights = ({ tensors }: Pick<Tokenizer, "tensors">): Weights.Tensors =>
  Inference.renamed(
    tensors,
    (name) =>
      name === "quantize.embedding.weight"
        ? "codebook"
        : name === "quantize.cluster_size"
        ? undefined
        : `parameters.${name}`
  )
