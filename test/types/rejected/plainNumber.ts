// error: a plain number is not a dimension: write a literal, or name it with Dim.named
// compile time only
import { Tensor } from "../../../src/shapes/index.ts"

const width: number = 4
Tensor.zeros([2, width])
