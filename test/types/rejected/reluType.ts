// error: relu: x must be float32 but is int32
import { Activation, HostTensor, Tensor } from "../../../src/shapes/index.ts"

Activation.relu(Tensor.constant(HostTensor.zeros([2, 3], "int32")))
