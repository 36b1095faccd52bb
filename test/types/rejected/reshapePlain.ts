// error: a plain number is not a dimension: write a literal, or name it with Dim.named
// compile time only
import { Arrange, Tensor } from "../../../src/shapes/index.ts"

const width: number = 24
Arrange.reshape(Tensor.zeros([2, 6, 4]), [2, width])
