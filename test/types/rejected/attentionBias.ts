// error: attention: the bias is [12, 196, 196] but there are 12 heads and 197 tokens
import { Attention, Tensor } from "../../../src/shapes/index.ts"

const x = Tensor.zeros([1, 12, 197, 2])
Attention.attention(x, x, x, Tensor.zeros([12, 196, 196]))
