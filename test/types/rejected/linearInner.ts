// error: linear: input axis -1 is 768 but the weight expects 512
import { Linear, Tensor } from "../../../src/shapes/index.ts"

const layer = { weight: Tensor.zeros([3072, 512]), bias: Tensor.zeros([3072]) }
Linear.linear(Tensor.zeros([2, 197, 768]), layer)
