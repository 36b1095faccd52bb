// error: a plain number is not a dimension: write a literal, or name it with Dim.named
// compile time only
import { Tensor, Tokens } from "../../../src/shapes/index.ts"

const size: number = 4
Tokens.repeat(Tensor.zeros([1, 1, 3]), size)
