// error: exp: x must be float32 but is int32
import { Elementwise, HostTensor, Tensor } from "../../../src/shapes/index.ts"

Elementwise.exp(Tensor.constant(HostTensor.zeros([2, 3], "int32")))
