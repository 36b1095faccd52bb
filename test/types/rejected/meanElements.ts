// error: mean: x must be float32 but is int32
import { HostTensor, Reduction, Tensor } from "../../../src/shapes/index.ts"

const x = Tensor.constant(HostTensor.zeros([2, 3, 4], "int32"))
Reduction.mean(x)
