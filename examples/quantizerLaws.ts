/** Checks the laws of a quantizer on your own one: `npm run example examples/quantizerLaws.ts`. */
import { test } from "node:test"
import * as Laws from "patchword/laws"
import { Codes, Normalization, type Tensor } from "patchword/shapes"

/** Takes the nearest of `K` codes `[K, E]` for each vector `[M, E]`. */
export const quantize = <M extends number, K extends number, E extends number>(
  codebook: Tensor.Tensor<[K, E]>,
  vectors: Tensor.Tensor<[M, E]>
) => {
  const z = Normalization.l2Normalize(vectors)
  const codes = Codes.nearest(z, codebook)
  return { codes, z_q: Codes.straightThrough(z, Codes.lookup(codebook, codes)) }
}

const laws = [...Laws.lookup(quantize), ...Laws.straightThrough(quantize)]

for (const law of laws) test(`it ${law.name}`, () => law.check({ numRuns: 50 }))
