// error: fromFloat: x must be float32 but is int32
import { Codes, HostTensor, Tensor } from "../../../src/shapes/index.ts"

Codes.fromFloat(Tensor.constant(HostTensor.zeros([2, 3], "int32")))
