// error: a plain number is not a dimension: write a literal, or name it with Dim.named
// compile time only
import { Arrange, Tensor } from "../../../src/shapes/index.ts"

const size: number = 4
Arrange.slice(Tensor.zeros([2, 6]), 1, 0, size)
