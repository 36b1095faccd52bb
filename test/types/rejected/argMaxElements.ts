// error: argMax: x must be float32 but is int32
import { Codes, HostTensor, Tensor } from "../../../src/shapes/index.ts"

const x = Tensor.constant(HostTensor.zeros([2, 3, 4], "int32"))
Codes.argMax(x)
