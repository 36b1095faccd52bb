// error: a plain number is not a dimension: write a literal, or name it with Dim.named
// compile time only
import { Tensor, Tokens } from "../../../src/shapes/index.ts"

const size: number = 4
Tokens.patchify(Tensor.zeros([2, 3, 8, 8]), size)
