// error: attention: the bias is [12, 196, 196] but 12 heads see 197 tokens
import { Attention, Tensor } from "../../../src/shapes/index.ts"

const x = Tensor.zeros([1, 12, 197, 2])
Attention.attention(x, x, x, Tensor.zeros([12, 196, 196]))
