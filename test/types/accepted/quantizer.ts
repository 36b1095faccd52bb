import { Codes, Dim, Loss, Normalization, Reduction, Tensor, Tokens } from "../../../src/shapes/index.ts"

const quantize = <B extends number, N extends number, E extends number, K extends number>(
  x: Tensor.Tensor<[B, N, E]>,
  codebook: Tensor.Tensor<[K, E]>,
  batch: B,
  count: N,
  size: K
) => {
  const vectors = Normalization.l2Normalize(Tokens.rows(x))
  const codes = Codes.nearest(vectors, codebook)
  const quantized: Tensor.Tensor<[Dim.Mul<B, N>, E]> = Codes.lookup(codebook, codes)
  const grid: Tensor.Tensor<[B, N], "int32"> = Codes.asGrid(codes, batch, count)
  const sums: Tensor.Tensor<[K, E]> = Codes.sumByCode(vectors, codes, size)
  const similarity: Tensor.Tensor<[Dim.Mul<B, N>]> = Normalization.cosine(vectors, quantized)
  const passed: Tensor.Tensor<[B, N, E]> = Tokens.batched(Codes.straightThrough(vectors, quantized), batch, count)
  return { grid, sums, similarity: Reduction.mean(similarity), passed, counts: Codes.countByCode(codes, size) }
}

const literal = quantize(Tensor.fill([2, 9, 4], 1), Tensor.fill([16, 4], 1), 2, 9, 16)
export const grid: Tensor.Tensor<[2, 9], "int32"> = literal.grid
export const counts: Tensor.Tensor<[16]> = literal.counts

const batch = Dim.named("batch", 2)
const size = Dim.named("codes", 16)
const named = quantize(Tensor.fill([batch, 9, 4], 1), Tensor.fill([size, 4], 1), batch, 9, size)
export const sums: Tensor.Tensor<[Dim.Dim<"codes">, 4]> = named.sums
export const loss: Tensor.Tensor<[]> = Loss.crossEntropy(
  Tensor.zeros([18, 16]),
  Codes.nearest(
    Tokens.rows(literal.passed),
    Tensor.fill([16, 4], 1)
  )
)
