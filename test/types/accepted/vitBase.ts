import { Attention, type Dim, Elementwise, Linear, Tensor, Tokens } from "../../../src/shapes/index.ts"

export const tokens: Dim.Plus<Dim.Patches<224, 224, 16>, 1> = 197
export const rectangle: Dim.Patches<224, 448, 16> = 392
export const channels: Dim.Div<768, 12> = 64

const images = Tensor.zeros([1, 3, 224, 224])
const projection = { weight: Tensor.zeros([768, 3, 16, 16]), bias: Tensor.zeros([768]) }
const patches: Tensor.Tensor<[1, 196, 768]> = Tokens.patchEmbed(images, projection)
const x = Elementwise.addToSamples(
  Tokens.prepend(Tokens.repeat(Tensor.zeros([1, 1, 768]), 1), patches),
  Tensor.zeros([1, 197, 768])
)
const qkv = { weight: Tensor.zeros([2304, 768]), bias: Tensor.zeros([2304]) }
const { q, k, v } = Attention.splitHeads(Linear.linear(x, qkv), 768, 12)
const y: Tensor.Tensor<[1, 12, 197, 64]> = Attention.attention(q, k, v, Tensor.zeros([12, 197, 197]))
const merged: Tensor.Tensor<[1, 197, 768]> = Attention.mergeHeads(y, 768)
export const decoded: Tensor.Tensor<[1, 196, 768]> = Tokens.patchTokens(merged, 196)
export const target: Tensor.Tensor<[1, 3, 224, 224]> = Tokens.unpatchify(Tokens.patchify(images, 16), {
  channels: 3,
  height: 224,
  width: 224,
  patch: 16
})
