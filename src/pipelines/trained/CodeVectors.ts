/**
 * The vectors of a tokenizer's codes: what its decoder sees of each code.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Effect } from "effect"
 * import { Presets } from "patchword/domain"
 * import { CodeVectors } from "patchword/pipelines"
 * import { HostTensor } from "patchword/shapes"
 *
 * const tensors = { "quantize.embedding.weight": HostTensor.zeros([256, 32], "float32") }
 * const vectors = await Effect.runPromise(CodeVectors.of("decoder", { config: Presets.tiny.tokenizer, tensors }))
 * assert.deepStrictEqual(vectors.shape, [256, 32])
 * ```
 */
import { Effect } from "effect"
import * as Config from "../../domain/config/Config.ts"
import * as FiniteScalar from "../../nn/tokenizer/FiniteScalar.ts"
import * as HostTensor from "../../shapes/HostTensor.ts"
import type * as Tokenizer from "./Tokenizer.ts"

const EMBEDDING = "quantize.embedding.weight"

/** Returns rows of unit length. */
const directions = (rows: Float32Array, width: number): Float32Array => {
  const made = rows.slice()
  for (let from = 0; from < made.length; from += width) {
    const row = made.subarray(from, from + width)
    const length = Math.max(Math.hypot(...row), 1e-12)
    row.forEach((value, at) => (row[at] = value / length))
  }
  return made
}

/**
 * Returns the vectors of all codes, `[K, E]`, as a copy. Fails with `ConfigError` in the name of a stage if the quantizer was
 * given in code: its file does not tell the vectors of its codes.
 */
export const of = Effect.fnUntraced(function*(
  stage: string,
  tokenizer: Pick<Tokenizer.Tokenizer, "config" | "tensors">
): Effect.fn.Return<HostTensor.HostTensor<[number, number], "float32">, Config.ConfigError> {
  const { dim, quantizer, size } = tokenizer.config.codebook
  const made = (data: Float32Array) => HostTensor.make([size, dim], "float32", data)
  if (quantizer?.kind === "finiteScalar") {
    const { levels } = quantizer
    return made(
      Float32Array.from(Array.from({ length: size }, (_, code) => FiniteScalar.vectorOf(levels, code)).flat())
    )
  }
  const rows = tokenizer.tensors[EMBEDDING]?.data
  if (quantizer?.kind === "own" || !(rows instanceof Float32Array)) {
    const message =
      "expected a quantizer of patchword: of one that is given in code, the vectors of its codes are not known"
    return yield* new Config.ConfigError({
      source: stage,
      problems: [{ path: "tokenizer.codebook.quantizer", message }]
    })
  }
  return made(quantizer?.kind === "gradient" && quantizer.l2Normalize !== false ? directions(rows, dim) : rows.slice())
})
