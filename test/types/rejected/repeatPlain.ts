// error: a plain number is not a dimension: write a literal, or name it with Dim.named
// compile time only
import { Arrange, Tensor } from "../../../src/shapes/index.ts"

const size: number = 4
Arrange.repeat(Tensor.zeros([6]), 0, size)
