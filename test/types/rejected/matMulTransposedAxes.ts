// error: matMulTransposed: [2, 5, 8] cannot be multiplied by the transpose of [2, 8, 5]
import { Linear, Tensor } from "../../../src/shapes/index.ts"

Linear.matMulTransposed(Tensor.zeros([2, 5, 8]), Tensor.zeros([2, 8, 5]))
