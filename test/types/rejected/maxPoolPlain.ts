// error: a plain number is not a dimension: write a literal, or name it with Dim.named
// compile time only
import { Convolution, Tensor } from "../../../src/shapes/index.ts"

const size: number = 4
Convolution.maxPool(Tensor.zeros([2, 3, 8, 8]), size)
