// error: shiftBy: x must be float32 but is int32
import { Elementwise, HostTensor, Tensor } from "../../../src/shapes/index.ts"

const x = Tensor.constant(HostTensor.zeros([2, 3, 4], "int32"))
Elementwise.shiftBy(x, Tensor.fill([], 2))
