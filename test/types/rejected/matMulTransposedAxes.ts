// error: matMulTransposed: [2, 5, 8] by [2, 8, 5] do not chain
import { Linear, Tensor } from "../../../src/shapes/index.ts"

Linear.matMulTransposed(Tensor.zeros([2, 5, 8]), Tensor.zeros([2, 8, 5]))
