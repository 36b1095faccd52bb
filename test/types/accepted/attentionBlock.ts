import { Activation, Attention, Dim, Elementwise, Linear, Normalization, Tensor } from "../../../src/shapes/index.ts"

interface BlockParams<in out C extends number, in out F extends number> {
  readonly norm1: Normalization.NormParams<C>
  readonly qkv: Linear.LinearParams<C, Dim.Mul<3, C>>
  readonly proj: Linear.LinearParams<C, C>
  readonly gamma: Tensor.Tensor<[C]>
  readonly norm2: Normalization.NormParams<C>
  readonly fc1: Linear.LinearParams<C, F>
  readonly fc2: Linear.LinearParams<F, C>
}

const block = <B extends number, N extends number, C extends number, H extends number, F extends number>(
  params: BlockParams<C, F>,
  x: Tensor.Tensor<[B, N, C]>,
  width: C,
  heads: H,
  keep: Tensor.Tensor<[B]>,
  bias?: Tensor.Tensor<[H, N, N]>
): Tensor.Tensor<[B, N, C]> => {
  const joint = Linear.linear(Normalization.layerNorm(x, params.norm1, 1e-6), params.qkv)
  const { q, k, v } = Attention.splitHeads(joint, width, heads)
  const merged = Attention.mergeHeads(Attention.attention(q, k, v, bias), width)
  const attended = Elementwise.scaleChannels(Linear.linear(merged, params.proj), params.gamma)
  const residual = Elementwise.add(x, Elementwise.scaleSamples(attended, keep))
  const hidden = Activation.gelu(Linear.linear(Normalization.layerNorm(residual, params.norm2, 1e-6), params.fc1))
  return Elementwise.add(residual, Elementwise.scaleSamples(Linear.linear(hidden, params.fc2), keep))
}

const literal: BlockParams<8, 32> = {
  norm1: { weight: Tensor.fill([8], 1), bias: Tensor.zeros([8]) },
  qkv: { weight: Tensor.zeros([24, 8]), bias: Tensor.zeros([24]) },
  proj: { weight: Tensor.zeros([8, 8]), bias: Tensor.zeros([8]) },
  gamma: Tensor.fill([8], 0.1),
  norm2: { weight: Tensor.fill([8], 1), bias: Tensor.zeros([8]) },
  fc1: { weight: Tensor.zeros([32, 8]), bias: Tensor.zeros([32]) },
  fc2: { weight: Tensor.zeros([8, 32]), bias: Tensor.zeros([8]) }
}
export const fixed: Tensor.Tensor<[3, 5, 8]> = block(
  literal,
  Tensor.zeros([3, 5, 8]),
  8,
  2,
  Tensor.fill([3], 1),
  Tensor.zeros([2, 5, 5])
)

const batch = Dim.named("batch", 3)
const tokens = Dim.named("tokens", 5)
const width = Dim.named("width", 8)
const hidden = Dim.named("hidden", 32)
const heads = Dim.named("heads", 2)
const joint = Dim.mul(3, width)
const symbolic: BlockParams<typeof width, typeof hidden> = {
  norm1: { weight: Tensor.fill([width], 1), bias: Tensor.zeros([width]) },
  qkv: { weight: Tensor.zeros([joint, width]), bias: Tensor.zeros([joint]) },
  proj: { weight: Tensor.zeros([width, width]), bias: Tensor.zeros([width]) },
  gamma: Tensor.fill([width], 0.1),
  norm2: { weight: Tensor.fill([width], 1), bias: Tensor.zeros([width]) },
  fc1: { weight: Tensor.zeros([hidden, width]), bias: Tensor.zeros([hidden]) },
  fc2: { weight: Tensor.zeros([width, hidden]), bias: Tensor.zeros([width]) }
}
export const named: Tensor.Tensor<[Dim.Dim<"batch">, Dim.Dim<"tokens">, Dim.Dim<"width">]> = block(
  symbolic,
  Tensor.zeros([batch, tokens, width]),
  width,
  heads,
  Tensor.fill([batch], 1),
  Tensor.zeros([heads, tokens, tokens])
)
