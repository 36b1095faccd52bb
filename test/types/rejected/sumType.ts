// error: sumAlong: x must be float32 but is int32
import { HostTensor, Reduction, Tensor } from "../../../src/shapes/index.ts"

Reduction.sumAlong(Tensor.constant(HostTensor.zeros([2, 3], "int32")), 0)
