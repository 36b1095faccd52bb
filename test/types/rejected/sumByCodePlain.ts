// error: a plain number is not a dimension: write a literal, or name it with Dim.named
// compile time only
import { Codes, HostTensor, Tensor } from "../../../src/shapes/index.ts"

const size: number = 4
Codes.sumByCode(Tensor.zeros([2, 3]), Tensor.constant(HostTensor.zeros([2], "int32")), size)
