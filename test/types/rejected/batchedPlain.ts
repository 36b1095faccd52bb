// error: a plain number is not a dimension: write a literal, or name it with Dim.named
// compile time only
import { Tensor, Tokens } from "../../../src/shapes/index.ts"

const size: number = 4
Tokens.batched(Tensor.zeros([8, 3]), 2, size)
