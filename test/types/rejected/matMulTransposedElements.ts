// error: matMulTransposed: b must be float32 but is int32
import { HostTensor, Linear, Tensor } from "../../../src/shapes/index.ts"

const x = Tensor.zeros([2, 3])
const codes = Tensor.constant(HostTensor.zeros([2, 3], "int32"))
Linear.matMulTransposed(x, codes)
