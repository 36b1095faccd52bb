// error: matMul: [2, 197, 768] by [2, 197, 768] do not chain
import { Linear, Tensor } from "../../../src/shapes/index.ts"

const x = Tensor.zeros([2, 197, 768])
Linear.matMul(x, x)
