// error: matMul: [2, 197, 768] cannot be multiplied by [2, 197, 768]
import { Linear, Tensor } from "../../../src/shapes/index.ts"

const x = Tensor.zeros([2, 197, 768])
Linear.matMul(x, x)
